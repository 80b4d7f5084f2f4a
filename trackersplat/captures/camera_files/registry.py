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


@dataclass(frozen=True, kw_only=True)
class CameraFileFacts(Facts):
    """What is known about a format. ``load`` names a `WriteCameras`."""

    read: str  # "package.module:function", a `ReadCameras`


CAMERA_FILES: Registry[CameraFileFacts] = Registry(
    "format of cameras",
    (
        CameraFileFacts(
            name="colmap",
            title="cameras and points as a binary COLMAP model",
            load=f"{_MODULES}.colmap:write_binary",
            read=f"{_MODULES}.colmap:read_back",
        ),
        CameraFileFacts(
            name="colmap-text",
            title="the same as text",
            load=f"{_MODULES}.colmap:write_text_model",
            read=f"{_MODULES}.colmap:read_back",
        ),
        CameraFileFacts(
            name="transforms",
            title="cameras as transforms.json of nerfstudio, and points as PLY",
            load=f"{_MODULES}.transforms:write_transforms",
            read=f"{_MODULES}.transforms:read_back",
        ),
    ),
)
