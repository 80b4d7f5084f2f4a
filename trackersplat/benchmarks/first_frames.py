"""First frames by where their points come from: ``python -m trackersplat.benchmarks.first_frames PATH...``.

Per capture and seed, the held-out PSNR of frame 1 with its own points ("auto"), without them ("images alone"), from nothing but its own
points, and, where the folder has them, from true depths (``gt/depth_<camera>.npz``, key ``depth`` (T, H, W), 1 cm of noise). A capture
without held-out cameras needs ``held_out`` in its ``capture.json``.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from trackersplat.captures.capture import Capture, PointCloud
from trackersplat.captures.registry import open_capture
from trackersplat.errors import InputError
from trackersplat.events import Note
from trackersplat.files import write_json
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.rendering.registry import choose_rasterizer
from trackersplat.training.first_frame.fit import fit_first_frame
from trackersplat.training.first_frame.optimise import held_out_psnr
from trackersplat.training.first_frame.settings import FirstFrameSettings
from trackersplat.training.fit import FitDone
from trackersplat.training.points.views import unproject

WAYS = ("auto", "images", "own", "depth")
TITLES = {"auto": "with its own points", "images": "images alone", "own": "own points alone", "depth": "from true depths"}
DEPTH_NOISE = 0.01  # scene units, standard deviation per axis
COUNT = 20_000  # points from true depths


@dataclass(frozen=True)
class FirstFrame:
    """One fit."""

    capture: str
    way: str  # of WAYS
    seed: int
    psnr: float  # dB, mean over the held-out cameras
    seconds: float
    gaussians: int
    told: tuple[str, ...]  # what the log said about the points


def measure(capture: Capture, way: str, seed: int, rasterizer: Rasterizer) -> FirstFrame | None:
    """None where the capture has no points, or no depths, for this way. Raises InputError if it holds no camera out."""
    if not capture.held_out:
        raise InputError(f"{capture.name} holds no camera out, so nothing can be measured: name some in its capture.json.")
    settings = FirstFrameSettings.for_device(rasterizer.device.type)
    points = settings.points
    if way == "own":
        points = replace(points, strategy="capture")
    if way == "images":
        capture = replace(capture, points=None)
    if way == "depth":
        cloud = true_points(capture, seed)
        if cloud is None:
            return None
        capture, points = replace(capture, points=cloud), replace(points, strategy="capture")
    elif way != "images" and capture.points is None:
        return None
    began, told = time.perf_counter(), []
    fitted: FitDone | None = None
    for event in fit_first_frame(capture, 0, rasterizer, replace(settings, points=points, seed=seed)):
        if isinstance(event, Note):
            told.append(event.text)
        if isinstance(event, FitDone):
            fitted = event
    assert fitted is not None, "a fit ends with its result"
    seconds = time.perf_counter() - began
    psnr = held_out_psnr(capture, 0, rasterizer, fitted.gaussians)
    assert psnr is not None, "cameras are held out"
    return FirstFrame(capture.name, way, seed, psnr, seconds, len(fitted.gaussians), tuple(told))


def true_points(capture: Capture, seed: int) -> PointCloud | None:
    """COUNT points of the true depths of the training cameras in frame 1, with noise; None without depths."""
    random = np.random.default_rng(seed)
    parts = []
    for index in capture.training_cameras:
        camera = capture.cameras[index]
        path = capture.root / "gt" / f"depth_{camera.name}.npz"
        if not path.is_file():
            return None
        with np.load(path, allow_pickle=False) as data:
            depth = data["depth"][0].astype(np.float64)
        row, column = np.nonzero(depth > 0)
        pixels = np.stack((column + 0.5, row + 0.5), axis=1)
        parts.append((unproject(camera, pixels, depth[row, column]), capture.image(index, 0)[row, column]))
    xyz, rgb = (np.concatenate(values) for values in zip(*parts, strict=True))
    chosen = random.choice(len(xyz), min(COUNT, len(xyz)), replace=False)
    noise = random.normal(0, DEPTH_NOISE, (len(chosen), 3))
    return PointCloud((xyz[chosen] + noise).astype(np.float32), rgb[chosen])


def measured(paths: Sequence[str], ways: Sequence[str], seeds: Sequence[int], rasterizer: Rasterizer) -> Iterator[FirstFrame]:
    for path in paths:
        capture = open_capture(path)
        with closing(capture):
            for seed in seeds:
                for way in ways:
                    found = measure(capture, way, seed, rasterizer)
                    if found is not None:
                        yield found


def table(found: Sequence[FirstFrame], ways: Sequence[str]) -> list[str]:
    """Mean, and half the range over the seeds; a line per capture."""
    lines = [f"{'':<16}" + "".join(f"{TITLES[way]:>22}" for way in ways)]
    for name in dict.fromkeys(one.capture for one in found):
        cells = []
        for way in ways:
            values = [one.psnr for one in found if (one.capture, one.way) == (name, way)]
            spread = 0.5 * (max(values) - min(values)) if values else 0.0
            cells.append(f"{statistics.mean(values):.2f} ± {spread:.2f}" if values else "-")
        lines.append(f"{name:<16}" + "".join(f"{cell:>22}" for cell in cells))
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", metavar="PATH", help='captures, or "demo"')
    parser.add_argument("--ways", default=",".join(WAYS), help=f"of {', '.join(WAYS)}; default: all")
    parser.add_argument("--seeds", type=int, default=3, help="seeds 0, 1 and so on; default: 3")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="default: the GPU if a back end for it works here")
    parser.add_argument("--json", type=Path, help="file for all numbers")
    options = parser.parse_args(arguments)
    ways = options.ways.split(",")
    if unknown := set(ways) - set(WAYS):
        parser.error(f"--ways: {', '.join(sorted(unknown))} is none of {', '.join(WAYS)}")
    found: list[FirstFrame] = []
    for one in measured(options.paths, ways, range(options.seeds), choose_rasterizer(options.device)):
        found.append(one)
        print(
            f"{one.capture} {TITLES[one.way]}, seed {one.seed}: {one.psnr:.2f} dB, {one.seconds:.0f} s",
            *one.told[-1:],
            sep="; ",
            flush=True,
        )
    print(*table(found, ways), sep="\n")
    if options.json is not None:
        rows: list[dict[str, Any]] = [vars(one) for one in found]
        write_json(options.json, {"fits": rows})


if __name__ == "__main__":
    main()
