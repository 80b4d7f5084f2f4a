"""The formats that cameras can be written in, by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import PointCloud
from trackersplat.registry import Facts, Registry

_MODULES = "trackersplat.captures.camera_files"


class WriteCameras(Protocol):
    """Writes cameras, and points of the scene, into an empty folder."""

    def __call__(self, cameras: Sequence[Camera], points: PointCloud, folder: Path) -> None: ...


class ReadCameras(Protocol):
    """Reads them back, in the order in which they were written, with our reader of captures of that format."""

    def __call__(self, folder: Path) -> tuple[Camera, ...]: ...


@dataclass(frozen=True)
class CameraFiles:
    """A format."""

    write: WriteCameras
    read: ReadCameras


# ``load`` names a `CameraFiles`.
CAMERA_FILES: Registry[Facts] = Registry(
    "format of cameras",
    (
        Facts("colmap", "cameras and points as a binary COLMAP model", f"{_MODULES}.colmap:BINARY"),
        Facts("colmap-text", "the same as text", f"{_MODULES}.colmap:TEXT"),
        Facts("transforms", "cameras as transforms.json of nerfstudio, and points as PLY", f"{_MODULES}.transforms:TRANSFORMS"),
    ),
)
