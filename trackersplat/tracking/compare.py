"""Tracks of a file beside the truth of another file, as a protocol takes them."""

from __future__ import annotations

import math

import numpy as np

from trackersplat.errors import InputError
from trackersplat.metrics.tracks.compared import RASTER, ComparedTracks, first_queries, strided_queries, to_raster
from trackersplat.metrics.tracks.registry import PROTOCOLS
from trackersplat.tracking.files.track_file import TrackFile
from trackersplat.tracking.tracks import Tracks
from trackersplat.tracking.tracks3d import Tracks3D

VISIBLE = 0.5  # probability from which a point counts as visible, where a file has probabilities


def compared(found: TrackFile, truth: TrackFile, protocol: str, visible: float = VISIBLE) -> ComparedTracks:
    """Raises InputError if the two do not fit each other or the protocol: other numbers of tracks or frames, 2D and 3D, no camera."""
    facts = PROTOCOLS.facts(protocol)
    if facts.space == "image":
        return _in_image(found, truth, strided=protocol.endswith("strided"), visible=visible)
    ours, theirs = found.tracks3d, truth.tracks3d
    if ours is None or theirs is None:
        flat = found if ours is None else truth
        raise InputError(f"{flat.path} has tracks in images, the protocol {protocol} measures tracks in space: choose tapvid-first.")
    _require_same(found, truth, (len(ours.frames), len(ours)), (len(theirs.frames), len(theirs)))
    positions = _in_world_of(found, ours, truth)
    true, focal = theirs.positions, None
    if facts.space == "camera":
        if truth.camera is None:
            raise InputError(f"{truth.path} has no camera, in whose frame the protocol {protocol} measures: choose mvtracker-dexycb.")
        if truth.size is None:
            raise InputError(f"{truth.path} does not tell the size of its images, on which the thresholds depend: give it with --size.")
        matrix = truth.camera.K[0]
        focal = math.sqrt(matrix[0, 0] * matrix[1, 1]) * RASTER / min(truth.size)
        positions, true = truth.camera.in_camera(positions), truth.camera.in_camera(true)
    start = np.searchsorted(theirs.frames, theirs.query_frames)
    return ComparedTracks(start, true, theirs.visibility >= visible, positions, ours.visibility >= visible, focal)


def _in_world_of(found: TrackFile, tracks: Tracks3D, truth: TrackFile) -> np.ndarray:
    """(T, N, 3) positions in the world of the truth: predictions of TAPVid-3D are in the frame of a camera that only the truth places."""
    if found.local and not truth.local and truth.camera is not None:
        return truth.camera.in_world(tracks.positions)
    if truth.local and not found.local:
        if found.camera is None:
            raise InputError(
                f"{truth.path} is in the frame of its camera and {found.path} in a world: give one of them with the poses of the camera."
            )
        return found.camera.in_camera(tracks.positions)
    return tracks.positions


def _in_image(found: TrackFile, truth: TrackFile, *, strided: bool, visible: float) -> ComparedTracks:
    ours, theirs = found.tracks2d, truth.tracks2d
    if ours is None or theirs is None:
        deep = found if ours is None else truth
        raise InputError(f"{deep.path} has tracks in space, TAP-Vid measures tracks in images: choose another protocol.")
    size = truth.size or found.size
    if size is None:
        raise InputError(f"{truth.path} does not tell the size of its images, to which TAP-Vid scales: give it with --size.")
    true, true_seen = _arrays(theirs, visible)
    positions, seen = _arrays(ours, visible)
    chosen, frames = strided_queries(true_seen) if strided else first_queries(true_seen)
    if not strided and len(ours) == len(theirs):
        positions, seen = positions[:, chosen], seen[:, chosen]
    _require_same(found, truth, positions.shape[:2], (len(true), len(chosen)))
    return ComparedTracks(frames, to_raster(true[:, chosen], *size), true_seen[:, chosen], to_raster(positions, *size), seen)


def _arrays(tracks: Tracks, visible: float) -> tuple[np.ndarray, np.ndarray]:
    return tracks.positions.double().cpu().numpy(), (tracks.visibility >= visible).cpu().numpy()


def _require_same(found: TrackFile, truth: TrackFile, ours: tuple[int, ...], theirs: tuple[int, ...]) -> None:
    if ours != theirs:
        raise InputError(
            f"{found.path} has {ours[1]:,} tracks over {ours[0]:,} frames, the truth in {truth.path} asks for {theirs[1]:,} over "
            f"{theirs[0]:,}: both must be of the same queries and frames."
        )
