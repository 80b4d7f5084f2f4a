"""Tracks from a file, to be diagnosed in place of a run's own: a plain ``.npz``, a ``tracks.npz`` of a frame, or all of another run."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from trackersplat.captures.arrays import ArrayLayout, read_arrays
from trackersplat.captures.capture import Capture
from trackersplat.diagnosis.tracked import TrackTable
from trackersplat.errors import InputError
from trackersplat.files import NPZ_DAMAGE
from trackersplat.jobs.run_tracks import joined, run_tracks
from trackersplat.motion.followed_tracks import POSITION_LIMIT
from trackersplat.store.run import Run
from trackersplat.store.track_files import read_tracks

MOST_TRACKS = 4_000_000  # for memory
_NEEDED: ArrayLayout = {"cameras": ("U", ("C",)), "camera": ("iu", ("P",)), "frames": ("iu", ("F",)), "positions": ("f", ("F", "P", 2))}
_OPTIONAL: ArrayLayout = {
    "visibility": ("fb", ("F", "P")), "confidence": ("f", ("F", "P")), "query": ("f", ("P", 3)), "ids": ("iu", ("P",)),
}  # fmt: skip


def read_track_file(path: Path, capture: Capture) -> TrackTable:
    """The tracks at ``path`` (docs/diagnosis.md has the formats).

    Raises InputError, which names the file, if it is missing, damaged, not of this capture, or its arrays contradict each other.
    """
    if path.is_dir():
        run = Run.open(path)
        return _of_capture(path, run_tracks(run, run.frames()), capture)
    if not path.is_file():
        raise InputError(f"There is no file {path}: give an .npz with tracks, or the folder of a run.")
    try:
        with zipfile.ZipFile(path) as archive:
            members = {name.removesuffix(".npy") for name in archive.namelist()}
    except NPZ_DAMAGE as error:
        raise InputError(f"{path} is not an .npz file ({error}): docs/diagnosis.md says what tracks can be read.") from error
    if "facts" in members:
        tracks = read_tracks(path)
        frame = next(iter(tracks.values())).frames[0] if tracks else 0
        return _of_capture(path, joined([(frame, tracks)]), capture)
    arrays = read_arrays(path, {**_NEEDED, **{name: kind for name, kind in _OPTIONAL.items() if name in members}})
    return _of_capture(path, _table(path, arrays), capture)


def _table(path: Path, arrays: dict[str, np.ndarray]) -> TrackTable:
    cameras, camera, frames = tuple(arrays["cameras"].tolist()), arrays["camera"], arrays["frames"].tolist()
    positions = arrays["positions"].astype(np.float32)
    count = len(camera)
    if count > MOST_TRACKS:
        raise InputError(f"{path} has {count:,} tracks, more than {MOST_TRACKS:,}: split it.")
    if len(set(cameras)) != len(cameras) or (camera < 0).any() or (camera >= len(cameras)).any():
        raise InputError(f"{path}: expected different names in cameras, and in camera an index from 0 to {len(cameras) - 1} per track.")
    if frames != sorted(set(frames)) or (frames and frames[0] < 0):
        raise InputError(f"{path}: frames must be different indices from 0, in ascending order.")
    if (np.abs(positions[np.isfinite(positions)]) > POSITION_LIMIT).any():
        raise InputError(f"{path}: positions must be pixels, at most {POSITION_LIMIT} from 0, or nan where a track has none.")
    known = np.isfinite(positions[..., 0]) & np.isfinite(positions[..., 1])
    query = arrays.get("query", _first(known, positions, frames)).astype(np.float32)
    if not np.isfinite(query).all() or (np.abs(query) > POSITION_LIMIT).any():
        raise InputError(f"{path}: query must hold a frame and a pixel x, y per track.")
    before = np.array(frames, np.float32)[:, None] < query[:, 0]
    positions = np.where((known & ~before)[..., None], positions, np.float32(np.nan))
    shares: dict[str, np.ndarray] = {}
    for name, absent in (("visibility", known.astype(np.float32)), ("confidence", np.full(known.shape, np.nan, np.float32))):
        shares[name] = arrays.get(name, absent).astype(np.float32)
        if ((shares[name] < 0) | (shares[name] > 1)).any():
            raise InputError(f"{path}: {name} must be from 0 to 1.")
    ids = arrays.get("ids", np.arange(count)).astype(np.int64)
    if len(np.unique(ids)) != count:
        raise InputError(f"{path}: ids must be different.")
    return TrackTable(
        cameras=cameras,
        frames=tuple(frames),
        ids=ids,
        camera=camera.astype(np.int16),
        query=query,
        positions=positions,
        visibility=np.nan_to_num(shares["visibility"]),
        confidence=shares["confidence"],
        ends=np.zeros(known.shape, np.uint8),
        source=path.name,
    )


def _first(known: np.ndarray, positions: np.ndarray, frames: list[int]) -> np.ndarray:
    """(P, 3): where each track has its first position; zeros where it has none."""
    if not len(frames):
        return np.zeros((known.shape[1], 3), np.float32)
    row, column = known.argmax(0), np.arange(known.shape[1])
    return np.nan_to_num(np.concatenate((np.array(frames, np.float32)[row][:, None], positions[row, column]), axis=1))


def _of_capture(path: Path, table: TrackTable, capture: Capture) -> TrackTable:
    known = {camera.name for camera in capture.cameras}
    strange = [name for name in table.cameras if name not in known]
    if strange:
        raise InputError(
            f"{path} has tracks of camera {strange[0]!r}, which {capture.name} does not have: give the tracks of this capture."
        )
    if table.frames and table.frames[-1] >= capture.frame_count:
        raise InputError(f"{path} has tracks in frame {table.frames[-1] + 1}; {capture.name} ends with frame {capture.frame_count}.")
    return table
