"""The cameras of a run in a format of others, with the Gaussians of a frame as points, read back and compared."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from trackersplat.captures.camera import Camera
from trackersplat.captures.camera_files.registry import CAMERA_FILES, CameraFiles
from trackersplat.captures.capture import PointCloud
from trackersplat.captures.settings import plain_name
from trackersplat.errors import InputError
from trackersplat.events import Event
from trackersplat.files import atomic_folder, size_of
from trackersplat.gaussians.exporters.exporter import check_target
from trackersplat.gaussians.gaussians import SH_C0, Gaussians
from trackersplat.jobs.export import ExportSource
from trackersplat.jobs.export_events import CamerasRead, FileDone

EXACT = 1e-9  # of the numbers of a camera, relative to the largest of them: what double precision and a quaternion keep


def export_cameras(source: ExportSource, frame: int, path: Path, format: str) -> Iterator[Event]:
    """Writes all cameras of the run to the new folder ``path``, and the centres of the Gaussians of ``frame`` as points.

    The last event is `FileDone`. Raises InputError if the run names no cameras, a camera cannot be written so, or the path is taken.
    """
    files: CameraFiles = CAMERA_FILES.load(format)
    check_target(path)
    cameras = source.run.read_cameras()
    if not cameras:
        raise InputError(f"The run {source.run.path} has no cameras.json that says where its cameras are: there is nothing to export.")
    for camera in cameras:
        plain_name(camera.name, f"{source.run.path}: the name of a camera that is written")
    with atomic_folder(path) as folder:
        files.write(cameras, _points(source.gaussians(frame)), folder)
        back = files.read(folder)
        for place, camera in enumerate(cameras):
            if (lost := _lost(camera, back[place] if place < len(back) else None)) is not None:
                raise InputError(f"The camera {camera.name} of {source.run.path} cannot be written as {format}: {lost}.")
    yield CamerasRead(len(back))
    yield FileDone(str(path), 0, size_of(path))


def _points(gaussians: Gaussians) -> PointCloud:
    colours = (255 * (0.5 + SH_C0 * gaussians.sh[:, 0])).round().clamp(0, 255).to(torch.uint8)
    return PointCloud(gaussians.means.detach().cpu().numpy(), colours.detach().cpu().numpy())


def _lost(written: Camera, read: Camera | None) -> str | None:
    """What of a camera is not as it was, in words; None if nothing."""
    if read is None or (read.name, read.width, read.height) != (written.name, written.width, written.height):
        return "the format does not keep its name"
    if not _same(written.K, read.K):
        return "the format does not keep its lens"
    return None if _same(written.world_to_camera, read.world_to_camera) else "its pose is no exact rotation"


def _same(ours: np.ndarray, theirs: np.ndarray) -> bool:
    return bool(np.abs(ours - theirs).max() <= EXACT * max(1.0, float(np.abs(ours).max())))
