"""A run of frames that were imported: nobody filmed it. Its cameras were made around the scene, and its images are blank.

``rig.json`` beside ``run.json`` has the cameras, in the form of ``cameras.json`` (formats/cameras_json.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import Capture
from trackersplat.captures.formats.cameras_json import read_rig
from trackersplat.captures.layout import Layout
from trackersplat.captures.media.video import FALLBACK_FPS
from trackersplat.errors import InputError

NAME = "imported"
RIG = "rig.json"
BLANK = 40  # value of every pixel
MADE = "The frames were imported. Nobody filmed them: the cameras are made around the scene, and there are no photographs."


@dataclass(frozen=True)
class BlankImages:
    """A `capture.FrameSource` without images."""

    sizes: tuple[tuple[int, int], ...]  # width, height per camera

    def read(self, camera: int, frame: int) -> np.ndarray:
        width, height = self.sizes[camera]
        return np.broadcast_to(np.uint8(BLANK), (height, width, 3))  # no memory

    def prefetch(self, wanted: Iterable[tuple[int, int]]) -> None:
        """There is nothing to decode."""

    def close(self) -> None:
        """Nothing is open."""


def detects(folder: Path) -> bool:
    return (folder / RIG).is_file() and (folder / "run.json").is_file()


def read(folder: Path) -> Capture:
    """Raises InputError if ``rig.json`` is damaged."""
    rig = read_rig(folder / RIG)
    if rig.frames is None:
        raise InputError(f"{folder / RIG} does not say how many frames there are: import the frames again.")
    made = []
    for camera in rig.cameras:
        if any(camera.lens.distortion) or camera.lens.fisheye:
            raise InputError(f"{folder / RIG}: {camera.name} has a lens with distortion, and made cameras have none: import again.")
        made.append(Camera(camera.name, camera.lens.width, camera.lens.height, camera.lens.K, camera.world_to_camera))
    return imported_capture(folder, folder.resolve().name, tuple(made), rig.frames, rig.fps or FALLBACK_FPS)


def imported_capture(root: Path, name: str, cameras: tuple[Camera, ...], frames: int, fps: float) -> Capture:
    """A capture of made cameras."""
    return Capture(
        name=name,
        root=root,
        layout=NAME,
        cameras=cameras,
        frame_count=frames,
        fps=fps,
        source=BlankImages(tuple((camera.width, camera.height) for camera in cameras)),
        warnings=(MADE,),
        filmed=False,
    )


LAYOUT = Layout(detects, read)
