"""How much of an object one lasso in one frame selects in all frames, alone and carried through time, by the truth of a made scene.

python -m trackersplat.benchmarks.carried_selections demo assets/demo-run --truth TRUTH --object ball --frames 1 10 21 30

TRUTH is the folder of a made scene: the names of its objects in gt/tracks.npz (object_names), and for each camera which object every pixel
shows in gt/depth_<camera>.npz (seg (T, H, W): place among the names plus 1). With --without FOLDER, images of the same scene without the
object (images/<camera>/<frame from 0>.png), also the PSNR of the object's pixels after deleting the selection. The lasso is the hull of the
object in the camera, 10 % wider.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from trackersplat.captures.camera import Camera
from trackersplat.captures.registry import open_capture
from trackersplat.document.document import Document
from trackersplat.document.selecting.in_camera import Looking
from trackersplat.document.selecting.polygon import Polygon
from trackersplat.document.selecting.through_time import ThroughTime
from trackersplat.document.selection import NOTHING, Selection
from trackersplat.errors import InputError
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.rendering.lift import lift
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.rendering.registry import choose_rasterizer

WIDER = 1.1  # the lasso than the object


@dataclass(frozen=True)
class Truth:
    """Which pixels show the object."""

    folder: Path
    numbers: np.ndarray  # of the parts of the object

    @staticmethod
    def of(folder: Path, name: str) -> Truth:
        """All parts whose name begins so. Raises InputError if there is none."""
        with np.load(folder / "gt" / "tracks.npz", allow_pickle=False) as data:
            names = [str(each) for each in data["object_names"]]
        numbers = np.array([index + 1 for index, each in enumerate(names) if each.startswith(name)])
        if not len(numbers):
            raise InputError(f"{folder} has no object named {name}; it has {', '.join(names)}.")
        return Truth(folder, numbers)

    def pixels(self, camera: str) -> np.ndarray:
        """(T, H, W) bool."""
        with np.load(self.folder / "gt" / f"depth_{camera}.npz", allow_pickle=False) as data:
            return np.isin(data["seg"], self.numbers)


@dataclass(frozen=True)
class FrameWeights:
    """Of the N Gaussians of a frame: what all cameras show of each, and how much of that is in pixels of the object."""

    ids: np.ndarray
    inside: np.ndarray
    whole: np.ndarray

    def found(self, selection: Selection) -> tuple[float, float]:
        """Shares: of what is seen of the object that is selected, and of what is selected that is the object."""
        mask = selection.mask(self.ids)
        hit = self.inside[mask].sum()
        return float(hit / max(self.inside.sum(), 1e-9)), float(hit / max(self.whole[mask].sum(), 1e-9))


def weights_of(
    document: Document, cameras: list[Camera], pixels: dict[str, np.ndarray], rasterizer: Rasterizer, frame: int
) -> FrameWeights:
    gaussians = document.original(frame)
    sums = np.zeros((len(gaussians), 2))
    for camera in cameras:
        mask = pixels[camera.name][frame]
        features = torch.from_numpy(np.stack((mask, np.ones_like(mask)), axis=-1).astype(np.float32))[None]
        sums += lift(rasterizer, gaussians, [camera], features)[0].numpy()
    return FrameWeights(document.original_ids(frame), sums[:, 0], sums[:, 1])


def best_ids(frames: list[FrameWeights]) -> Selection:
    """The ids that are mostly in the object over their life, by the truth: no selection of ids can do much better."""
    ids = np.unique(np.concatenate([each.ids for each in frames]))
    sums = np.zeros((len(ids), 2))
    for each in frames:
        sums[np.searchsorted(ids, each.ids)] += np.stack((each.inside, each.whole), axis=-1)
    return Selection.of(ids[sums[:, 0] > 0.5 * sums[:, 1]])


def lasso(mask: np.ndarray) -> tuple[tuple[float, float], ...]:
    """Around the pixels of a mask (H, W)."""
    points = np.argwhere(mask)[:, ::-1].astype(np.float32) + 0.5
    hull = cv2.convexHull(points)[:, 0]
    middle = hull.mean(0)
    return tuple((float(x), float(y)) for x, y in middle + WIDER * (hull - middle))


def without(gaussians: Gaussians, ids: np.ndarray, selection: Selection) -> Gaussians:
    return gaussians[torch.from_numpy(~selection.mask(ids))]


def psnr_of(document: Document, rasterizer: Rasterizer, folder: Path, pixels: dict[str, np.ndarray], selection: Selection) -> str:
    """Of the object's pixels, in each frame of which the folder has images: least and most of the cameras, dB."""
    cameras = {camera.name: camera for camera in document.cameras}
    found: dict[int, list[float]] = {}
    for path in sorted(folder.glob("images/*/*.png")):
        frame, camera = int(path.stem), cameras[path.parent.name]
        mask = pixels[camera.name][frame]
        shown = without(document.original(frame), document.original_ids(frame), selection)
        image = rasterizer.render(shown, [camera]).color[0].numpy().clip(0, 1)
        picture = cv2.imread(str(path))
        if picture is None:
            raise InputError(f"{path} cannot be read: render it again.")
        wanted = picture[..., ::-1] / 255.0
        if mask.any():
            found.setdefault(frame, []).append(float(-10 * np.log10(((image - wanted)[mask] ** 2).mean())))
    return ", ".join(f"{min(values):.1f}-{max(values):.1f} in frame {frame + 1}" for frame, values in sorted(found.items()))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m trackersplat.benchmarks.carried_selections", description=__doc__)
    parser.add_argument("capture")
    parser.add_argument("run", type=Path)
    parser.add_argument("--truth", type=Path, required=True)
    parser.add_argument("--object", required=True, help="beginning of the names of its parts")
    parser.add_argument("--frames", type=int, nargs="+", default=[1], help="frames of the lasso, counted from 1")
    parser.add_argument("--camera", default="cam08", help="of the lasso; where it does not show the object, the one that shows most of it")
    parser.add_argument("--every", type=int, default=3, help="what is found is measured in one of so many frames")
    parser.add_argument("--without", type=Path)
    given = parser.parse_args(arguments)
    rasterizer = choose_rasterizer()
    document = Document.open(given.run, capture=open_capture(given.capture), rasterizer=rasterizer)
    truth = Truth.of(given.truth, given.object)
    cameras = list(document.cameras)
    pixels = {camera.name: truth.pixels(camera.name) for camera in cameras}
    measured = [weights_of(document, cameras, pixels, rasterizer, frame) for frame in document.frames[:: given.every]]

    def report(what: str, selection: Selection) -> None:
        shares = np.array([each.found(selection) for each in measured])
        seen = shares[:, 0]
        words = f"found {seen.mean():.2f} (least {seen.min():.2f}), right {shares[:, 1].mean():.2f}"
        dB = "" if given.without is None else "; PSNR " + psnr_of(document, rasterizer, given.without, pixels, selection)
        print(f"{what:<40} {len(selection):>6,} ids: {words}{dB}", flush=True)

    report("nothing", NOTHING)
    for number in given.frames:
        shown = {name: int(masks[number - 1].sum()) for name, masks in pixels.items()}
        camera = given.camera if shown[given.camera] else max(shown, key=shown.__getitem__)
        if not shown[camera]:
            raise InputError(f"No camera shows the {given.object} in frame {number}.")
        alone = document.select(Polygon(Looking(camera, number - 1), lasso(pixels[camera][number - 1])))
        report(f"lasso in {camera}, frame {number}", alone)
        report(f"lasso in {camera}, frame {number}, through time", document.select(ThroughTime(alone, number - 1)))
    report("ids by the truth", best_ids(measured))


if __name__ == "__main__":
    main()
