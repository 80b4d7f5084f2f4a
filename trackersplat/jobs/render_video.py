"""Videos of a clip: pictures along a camera path, or of cameras of the capture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from trackersplat.camera_paths.path import CameraPath
from trackersplat.camera_paths.trajectory import Trajectory, video_times
from trackersplat.captures.camera import Camera
from trackersplat.captures.units import NEAR, rig_size
from trackersplat.errors import InputError
from trackersplat.events import Event
from trackersplat.files import size_of
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.jobs.clip import Clip
from trackersplat.jobs.video_events import PictureDone, VideoDone, VideoStarted
from trackersplat.jobs.video_files import check_out, open_video
from trackersplat.rendering.rasterizer import Rasterizer

SIDES = (16, 16384)  # pixels: smallest and largest width and height of a picture
MOST_PIXELS = 1 << 26  # of what is rendered for one picture: memory
MOST_PICTURES = 100_000  # of a video
FPS = (1.0, 240.0)
MOST_SUPERSAMPLE = 4
WORST_CRF = 51  # of x264


@dataclass(frozen=True)
class VideoSettings:
    """Raises InputError if a number is out of range."""

    width: int  # pixels
    height: int
    fps: float = 30.0
    supersample: int = 1  # so many samples per pixel across and down, averaged
    background: tuple[float, float, float] = (0.0, 0.0, 0.0)  # RGB in 0..1, where nothing is
    between: bool = False  # between two frames of the clip, the Gaussians on their way; else the nearest frame
    crf: int = 16  # quality of an mp4: 0 is lossless, 23 is x264's default

    def __post_init__(self) -> None:
        if not all(SIDES[0] <= side <= SIDES[1] for side in (self.width, self.height)):
            raise InputError(f"The width and height of a video are from {SIDES[0]} to {SIDES[1]} pixels, not {self.width}x{self.height}.")
        if not 1 <= self.supersample <= MOST_SUPERSAMPLE:
            raise InputError(f"A pixel has 1 to {MOST_SUPERSAMPLE} samples across and down, not {self.supersample}.")
        if self.width * self.height * self.supersample**2 > MOST_PIXELS:
            raise InputError(
                f"{self.width}x{self.height} with {self.supersample}x{self.supersample} samples per pixel needs too much memory: "
                f"{MOST_PIXELS:,} samples are possible."
            )
        if not FPS[0] <= self.fps <= FPS[1]:
            raise InputError(f"A video has {FPS[0]:g} to {FPS[1]:g} pictures per second, not {self.fps:g}.")
        if not 0 <= self.crf <= WORST_CRF:
            raise InputError(f"--crf is from 0 to {WORST_CRF}, not {self.crf}.")


@dataclass(frozen=True, eq=False)
class Shot:
    """One picture: from where, and when in the clip (in frames, with a fraction)."""

    camera: Camera
    time: float
    number: int  # in the name of its file, from 1


def shots_of_path(path: CameraPath, clip: Clip, frames: Sequence[int], settings: VideoSettings) -> list[Shot]:
    """``frames``: of the clip, in the order in which they are shown evenly where no key of the path names a frame.

    Raises InputError if there are too many.
    """
    trajectory = Trajectory(path, 0, len(frames) - 1)
    if path.seconds * settings.fps > MOST_PICTURES:
        raise InputError(f"A video has at most {MOST_PICTURES:,} pictures: make the path shorter, or give fewer per second.")
    times = video_times(path, settings.fps)
    moments = trajectory.at(times)
    near = NEAR * rig_size(clip.cameras) if clip.cameras else _near(moments.positions)
    shown = moments.frames if trajectory.names_frames else np.interp(moments.frames, np.arange(len(frames)), frames)
    return [
        Shot(moments.camera(index, settings.width, settings.height, near), float(shown[index]), index + 1) for index in range(len(times))
    ]


def shots_of_camera(camera: Camera, frames: Sequence[int], clip: Clip, settings: VideoSettings) -> list[Shot]:
    """A camera's own view over frames of the clip, one picture per frame, numbered as the frames are unless these come in another order."""
    view = replace(in_size(camera, settings.width, settings.height), near=NEAR * rig_size(clip.cameras))
    plain = all(earlier < later for earlier, later in pairwise(frames))
    return [Shot(view, float(frame), frame + 1 if plain else index) for index, frame in enumerate(frames, 1)]


def in_size(camera: Camera, width: int, height: int) -> Camera:
    """The same view in another size: what is seen from the upper to the lower edge stays, the middle stays the middle."""
    scale = height / camera.height
    K = np.array(camera.K)
    K[:2, :2] *= scale
    K[0, 2] = 0.5 * width + scale * (camera.cx - 0.5 * camera.width)
    K[1, 2] = scale * camera.cy
    return replace(camera, width=width, height=height, K=K)


def render_video(clip: Clip, shots: Sequence[Shot], settings: VideoSettings, out: Path, rasterizer: Rasterizer) -> Iterator[Event]:
    """Renders the shots to ``out``: FILE.mp4, FILE.zip of PNG images, or a folder of them. The last event is VideoDone.

    Closing the iterator cancels it; then, and if something fails, nothing stays. Raises InputError if ``out`` is taken or cannot be
    written, or a frame cannot be read.
    """
    check_out(out, settings.width, settings.height)
    yield VideoStarted(len(shots), settings.width, settings.height, rasterizer.describe())
    if not rasterizer.is_prepared():
        rasterizer.prepare()
    shown: tuple[float, Gaussians] | None = None
    with open_video(out, settings.width, settings.height, settings.fps, settings.crf) as add:
        for done, shot in enumerate(shots, 1):
            time = shot.time if settings.between else float(clip.nearest(shot.time))
            if shown is None or shown[0] != time:
                gaussians = clip.between(time) if settings.between else clip.gaussians(int(time))
                shown = (time, gaussians.to(rasterizer.device))
            add(picture(rasterizer, shown[1], shot.camera, settings), shot.number)
            yield PictureDone(done, len(shots))
    yield VideoDone(str(out), len(shots), size_of(out))


@torch.no_grad()
def picture(rasterizer: Rasterizer, gaussians: Gaussians, camera: Camera, settings: VideoSettings) -> np.ndarray:
    """(H, W, 3) uint8. The samples of a pixel are averaged before rounding."""
    factor = settings.supersample
    background = torch.tensor(settings.background, dtype=torch.float32, device=rasterizer.device)
    view = camera.resized(camera.width * factor, camera.height * factor) if factor > 1 else camera
    colour = rasterizer.render(gaussians, [view], background=background).color[0].clamp(0, 1)
    if factor > 1:
        colour = torch.nn.functional.avg_pool2d(colour.permute(2, 0, 1)[None], factor)[0].permute(1, 2, 0)
    return (colour * 255 + 0.5).to(torch.uint8).cpu().numpy()


def _near(positions: np.ndarray) -> float:
    """Where there is no rig: relative to the extent of the path."""
    extent = float(np.linalg.norm(np.ptp(positions, axis=0)))
    return NEAR * extent if extent > 0 else NEAR
