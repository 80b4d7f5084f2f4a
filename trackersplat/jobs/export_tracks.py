"""3D tracks of points that the Gaussians of a run carry, as they are edited, in a file of TAPVid-3D."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from trackersplat.captures.layouts.imported import imported_capture
from trackersplat.errors import InputError
from trackersplat.events import Event
from trackersplat.files import size_of
from trackersplat.gaussians.exporters.exporter import check_target
from trackersplat.jobs.export import ExportSource
from trackersplat.jobs.export_events import ExportStarted, FileDone, FrameWritten, Said
from trackersplat.jobs.tracks_format import SUFFIX
from trackersplat.motion.lifting.carried import carried_by_shared, tracks_of_carried
from trackersplat.motion.lifting.queries import RenderedScene, SceneDepths, seen_in, surface_queries
from trackersplat.motion.lifting.settings import LiftSettings
from trackersplat.motion.settings import CarryPointsSettings
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.tracking.files.formats import tapvid3d
from trackersplat.tracking.files.registry import read_tracks_of
from trackersplat.tracking.tracks3d import Tracks3D

GRID = 8  # distance of the points in pixels, as `trackersplat tracks --grid`
LEAST_LEFT = 0.5  # share of the Gaussians around a point that must be there in a frame to carry it
EXACT = 1e-4  # scene units per unit of distance: what float32 keeps


def export_tracks(source: ExportSource, frames: Sequence[int], path: Path, rasterizer: Rasterizer) -> Iterator[Event]:
    """Writes to ``path`` the tracks of points on the surface that the first camera of the run sees in the first of the ``frames``.

    Each point moves as the Gaussians around it do (`motion.carry`). What is hidden or deleted carries nothing: no track begins there, and
    where less than half of the Gaussians around a point are left, its track has a gap. No images are written. The last event is
    `FileDone`.

    Raises InputError if the run names no cameras, nothing is seen, or the path cannot be written or is taken.
    """
    if path.suffix != SUFFIX:
        raise InputError(f"Tracks are one file: give a name that ends with {SUFFIX} instead of {path.name!r}.")
    check_target(path)
    cameras = source.run.read_cameras()
    if not cameras:
        raise InputError(f"The run {source.run.path} has no cameras.json that says where its cameras are, so no surface is seen.")
    capture = imported_capture(source.run.path, source.run.name, cameras, max(frames) + 1, 1.0)
    scene = RenderedScene(lambda frame: source.gaussians(frame).to(rasterizer.device), rasterizer)
    yield ExportStarted(len(frames))
    for remark in source.remarks:
        yield Said(remark)
    query = surface_queries(capture, scene, frames[0], 0, GRID)
    if not len(query):
        raise InputError(f"{cameras[0].name} sees no surface in frame {frames[0] + 1}, on which points could start.")
    views = range(len(cameras))
    depths = SceneDepths(capture, views, scene, LiftSettings().depth_tolerance)
    start, known = source.gaussians(frames[0]), source.ids(frames[0])
    points = torch.from_numpy(query[:, 1:])
    positions = np.full((len(frames), len(query), 3), np.nan)
    seen = np.zeros((len(cameras), len(frames), len(query)), np.float32)
    for row, frame in enumerate(frames):
        now = source.gaussians(frame)
        positions[row] = carried_by_shared(points, start, known, now, source.ids(frame), CarryPointsSettings(), LEAST_LEFT)
        here = np.flatnonzero(np.isfinite(positions[row]).all(-1))
        seen[:, row, here] = seen_in(capture, views, positions[row, here], depths(frame))[0]
        yield FrameWritten(row + 1)
    tracks = tracks_of_carried(query, frames, positions, seen, [camera.name for camera in cameras])
    tapvid3d.write(path, tracks, cameras[0])
    _compare(path, tracks)
    grid = f"{len(tracks):,} tracks begin in frame {frames[0] + 1}, at every {GRID}th pixel of {cameras[0].name}"
    yield Said(f"{grid}; {int(tracks.known.all(axis=0).sum()):,} have a position in every frame. All were read back and are the same.")
    yield FileDone(str(path), len(frames), size_of(path))


def _compare(path: Path, tracks: Tracks3D) -> None:
    """Raises InputError if the file does not hold the tracks."""
    back = read_tracks_of(path, "tapvid3d").tracks3d
    if not isinstance(back, Tracks3D) or back.positions.shape != tracks.positions.shape:
        raise InputError(f"{path} was written and does not read back as the same tracks: write it to another disk.")
    far = np.nanmax(np.abs(tracks.positions), initial=1.0)
    apart = np.abs(back.positions - tracks.positions)
    if not np.array_equal(back.known, tracks.known) or np.nanmax(apart, initial=0.0) > EXACT * far:
        raise InputError(f"{path} was written and does not read back as the same tracks: write it to another disk.")
