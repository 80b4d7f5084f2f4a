"""Sparse tracks: what the page draws over images, and what a run keeps of its dense tracks."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trackersplat.errors import InputError, ShapeError
from trackersplat.files import NPZ_DAMAGE, atomic_file
from trackersplat.tracking.tracks import DenseTracks, as_array

_MAX_POINTS = 2_000_000  # per camera; a file that claims more is not ours
_MAX_CAMERAS = 1024
_MAX_BYTES = 1 << 30  # of all cameras, unpacked
_SHIFT_STEP = 1 / 16  # pixels
_FIELDS = ("frames", "start", "shift", "visibility")


@dataclass(frozen=True, eq=False)
class PointTracks:
    """Where P points of one view's base frame go in one target frame. Pixels, centres at +0.5."""

    base: int  # frame index
    target: int  # frame index
    start: np.ndarray  # (P, 2) float32 in the base frame
    end: np.ndarray  # (P, 2) float32 in the target frame
    visibility: np.ndarray  # (P,) float32 probability in [0, 1]: seen in the target frame at a position to be trusted

    def __post_init__(self) -> None:
        count = self.start.shape[0] if self.start.ndim else -1
        for name, shape in (("start", (count, 2)), ("end", (count, 2)), ("visibility", (count,))):
            if getattr(self, name).shape != shape:
                raise ShapeError(f"PointTracks.{name} must have shape {shape}, got {getattr(self, name).shape}.")


def sample_grid(tracks: DenseTracks, target_index: int, step: int) -> PointTracks:
    """Every ``step``-th pixel in x and y of the dense tracks to ``tracks.targets[target_index]``, rows first.

    The grid is centred: half a step from the border. Visibility is the tracker's visibility times its confidence.

    Raises ShapeError if the step is below one pixel or the target index is outside the tracks.
    """
    if step < 1 or not 0 <= target_index < len(tracks.targets):
        raise ShapeError(f"A grid needs a step >= 1 and a target index below {len(tracks.targets)}, got {step} and {target_index}.")
    grid = (
        slice(min(step // 2, tracks.positions.shape[1] - 1), None, step),
        slice(min(step // 2, tracks.positions.shape[2] - 1), None, step),
    )
    rows, columns = np.mgrid[: tracks.positions.shape[1], : tracks.positions.shape[2]]
    start = np.stack((columns[grid], rows[grid]), axis=-1).reshape(-1, 2).astype(np.float32) + 0.5
    certainty = as_array(tracks.visibility[target_index])[grid] * as_array(tracks.confidence[target_index])[grid]
    return PointTracks(
        base=tracks.base,
        target=tracks.targets[target_index],
        start=start,
        end=as_array(tracks.positions[target_index])[grid].reshape(-1, 2).astype(np.float32),
        visibility=certainty.reshape(-1).astype(np.float32),
    )


def write_point_tracks(path: Path, tracks: dict[str, PointTracks]) -> None:
    """Writes the tracks of several cameras (by name) to one ``.npz``, which appears complete or not at all.

    Displacements are kept in steps of 1/16 pixel up to 2048 pixels, visibility in 8 bits.

    Raises InputError if it cannot be written.
    """
    arrays: dict[str, np.ndarray] = {"cameras": np.array(list(tracks), dtype=np.str_)}
    for index, track in enumerate(tracks.values()):
        arrays[f"{index}.frames"] = np.array((track.base, track.target), dtype=np.int64)
        arrays[f"{index}.start"] = np.ascontiguousarray(track.start.T.astype(np.float32))  # x then y: deflates to a tenth
        steps = np.rint((track.end - track.start) / _SHIFT_STEP).clip(-32768, 32767)
        arrays[f"{index}.shift"] = np.ascontiguousarray(steps.T.astype(np.int16))
        arrays[f"{index}.visibility"] = np.rint(np.clip(track.visibility, 0.0, 1.0) * 255.0).astype(np.uint8)
    with atomic_file(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # NumPy types its keywords as its own options


def read_point_tracks(path: Path) -> dict[str, PointTracks]:
    """Camera name -> tracks, as written by ``write_point_tracks``.

    Raises InputError if the file is missing, damaged, larger than any we write, or something else.
    """
    try:
        return _read(path)
    except NPZ_DAMAGE as error:
        raise InputError(f"{path} is not a readable file of point tracks ({error}); delete it and reconstruct its frame again.") from error


def _read(path: Path) -> dict[str, PointTracks]:
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: info.file_size for info in archive.infolist()}
        # The sizes are the archive's own claim, so they bound what decompressing may allocate.
        largest = max(members.values(), default=0)
        if len(members) > 1 + len(_FIELDS) * _MAX_CAMERAS or largest > 8 * _MAX_POINTS + 4096 or sum(members.values()) > _MAX_BYTES:
            raise ValueError("it claims more points than a run can have")
    with np.load(path, allow_pickle=False) as file:
        names = file["cameras"]
        if names.ndim != 1 or names.dtype.kind != "U":
            raise ValueError("its camera names are not text")
        tracks = {}
        for index, name in enumerate(names.tolist()):
            frames, start, shift, visibility = (file[f"{index}.{field}"] for field in _FIELDS)
            if frames.shape != (2,) or start.ndim != 2 or start.shape[0] != 2 or shift.shape != start.shape or shift.dtype != np.int16:
                raise ValueError(f"the arrays of camera {name} do not fit together")
            if not np.isfinite(start).all():
                raise ValueError(f"camera {name} has positions that are not numbers")
            start = np.ascontiguousarray(start.T.astype(np.float32))
            tracks[name] = PointTracks(
                base=int(frames[0]),
                target=int(frames[1]),
                start=start,
                end=start + shift.T.astype(np.float32) * np.float32(_SHIFT_STEP),
                visibility=visibility.astype(np.float32) / 255.0,
            )
        return tracks
