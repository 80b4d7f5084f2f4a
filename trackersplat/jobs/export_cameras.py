"""The cameras of a run in a format of others, with the Gaussians of a frame as points, read back and compared."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from trackersplat.captures.camera import Camera
from trackersplat.captures.camera_files.registry import CAMERA_FILES, ReadCameras, WriteCameras
from trackersplat.captures.capture import PointCloud
from trackersplat.errors import InputError
from trackersplat.events import Event
from trackersplat.files import atomic_folder
from trackersplat.gaussians.exporters.exporter import check_target
from trackersplat.gaussians.gaussians import SH_C0, Gaussians
from trackersplat.jobs.export import ExportSource
from trackersplat.jobs.export_events import CamerasRead, FileDone

EXACT = 1e-9  # of the numbers of a camera, relative to the largest of them: what double precision and a quaternion keep


def export_cameras(source: ExportSource, frame: int, path: Path, format: str) -> Iterator[Event]:
    """Writes all cameras of the run to the new folder ``path``, and the centres of the Gaussians of ``frame`` as points.

    The last event is `FileDone`. Raises InputError if the run names no cameras, a camera cannot be written so, or the path is taken.
    """
    facts = CAMERA_FILES.facts(format)
    write: WriteCameras = CAMERA_FILES.load(format)
    module, _, attribute = facts.read.partition(":")
    read_back: ReadCameras = getattr(importlib.import_module(module), attribute)
    check_target(path)
    cameras = source.run.read_cameras()
    if not cameras:
        raise InputError(f"The run {source.run.path} has no cameras.json that says where its cameras are: there is nothing to export.")
    with atomic_folder(path) as folder:
        write(cameras, _points(source.gaussians(frame)), folder)
        back = read_back(folder)
        if (wrong := _first_difference(cameras, back)) is not None:
            raise InputError(f"The camera {wrong} of {source.run.path} cannot be written as {format}: its pose is no exact rotation.")
    yield CamerasRead(len(back))
    yield FileDone(str(path), 0, sum(file.stat().st_size for file in path.rglob("*") if file.is_file()))


def _points(gaussians: Gaussians) -> PointCloud:
    colours = (255 * (0.5 + SH_C0 * gaussians.sh[:, 0])).round().clamp(0, 255).to(torch.uint8)
    return PointCloud(gaussians.means.detach().cpu().numpy(), colours.detach().cpu().numpy())


def _first_difference(written: Sequence[Camera], read: Sequence[Camera]) -> str | None:
    """The name of the first camera that is another one now."""
    for index, camera in enumerate(written):
        back = read[index] if index < len(read) else None
        if back is None or (back.name, back.width, back.height) != (camera.name, camera.width, camera.height):
            return camera.name
        for ours, theirs in ((camera.K, back.K), (camera.world_to_camera, back.world_to_camera)):
            if np.abs(ours - theirs).max() > EXACT * max(1.0, float(np.abs(ours).max())):
                return camera.name
    return None
