"""What is read from a file of tracks, and what every format needs for that."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from trackersplat.errors import InputError
from trackersplat.tracking.tracks import Provenance, TrackEnd, Tracks
from trackersplat.tracking.tracks3d import Tracks3D

MAX_TRACKS = 4_000_000  # for memory
MAX_FRAMES = 1 << 20  # as many as ids of tracks have room for
MAX_VALUE = 1e9  # of a coordinate: beyond it float32 has lost the scene


@dataclass(frozen=True, eq=False)
class FileCamera:
    """The calibrated camera that a file tells about, which may move. OpenCV axes; pixel centres at +0.5."""

    K: np.ndarray  # (T, 3, 3) float64
    world_to_camera: np.ndarray | None  # (T, 4, 4) float64; None: the file has none, and the camera is its world

    def in_world(self, positions: np.ndarray) -> np.ndarray:
        """(T, N, 3) camera to world."""
        if self.world_to_camera is None:
            return positions
        rotation, translation = self.world_to_camera[:, :3, :3], self.world_to_camera[:, :3, 3]
        with np.errstate(invalid="ignore"):  # what is not finite is found by whoever checks the tracks
            found: np.ndarray = (positions - translation[:, None]) @ rotation
        return found

    def in_camera(self, positions: np.ndarray) -> np.ndarray:
        """(T, N, 3) world to camera."""
        if self.world_to_camera is None:
            return positions
        found: np.ndarray = positions @ self.world_to_camera[:, :3, :3].transpose(0, 2, 1) + self.world_to_camera[:, None, :3, 3]
        return found


@dataclass(frozen=True, eq=False)
class TrackFile:
    """Tracks in space, or in the images of one camera; what else the file tells."""

    path: Path
    format: str  # name of the format
    tracks3d: Tracks3D | None = None
    tracks2d: Tracks | None = None
    camera: FileCamera | None = None
    size: tuple[int, int] | None = None  # width, height of the images
    local: bool = False  # the world of the tracks in space is the frame of the camera, which the file does not place in a world
    remarks: tuple[str, ...] = ()  # what was assumed

    def __len__(self) -> int:
        return len(self.tracks3d if self.tracks3d is not None else self.tracks2d or ())


def space_tracks(
    path: Path,
    form: str,
    positions: np.ndarray,  # (T, N, 3) world
    visible: np.ndarray,  # (T, N) bool or probability
    query: np.ndarray | None = None,  # (N, 4) t, x, y, z; None: where a track is first visible
    *,
    cameras: tuple[str, ...] = (),
    view_visibility: np.ndarray | None = None,  # (V, T, N)
) -> Tracks3D:
    """Checked tracks. Raises InputError if numbers are implausible."""
    positions, visible = positions.astype(np.float64), _probabilities(path, visible)
    known = _known(path, positions)
    visible = np.where(known, visible, 0.0)
    if query is None:
        frame = np.where((visible >= 0.5).any(0), (visible >= 0.5).argmax(0), known.argmax(0))
        start = positions[frame, np.arange(len(frame))]
        query = np.concatenate([frame[:, None].astype(float), np.nan_to_num(start)], axis=1)
    query = check_query(path, query, positions.shape[:2], 4)
    return Tracks3D(
        ids=np.arange(positions.shape[1]),
        query=query,
        frames=tuple(range(len(positions))),
        positions=np.where(known[..., None], positions, np.nan),
        visibility=visible,
        confidence=known.astype(np.float32),
        provenance=Provenance(tracker=f"file:{form}"),
        cameras=cameras,
        view_visibility=view_visibility,
    )


def image_tracks(
    path: Path,
    form: str,
    positions: np.ndarray,  # (T, N, 2) px, centres at +0.5
    visible: np.ndarray,  # (T, N) bool or probability
    query: np.ndarray | None = None,  # (N, 3) t, x, y
    size: tuple[int, int] | None = None,
    confidence: np.ndarray | None = None,  # (T, N)
) -> Tracks:
    """Checked tracks of a camera that the file does not name. Raises InputError if numbers are implausible."""
    positions, visible = positions.astype(np.float64), _probabilities(path, visible)
    known = _known(path, positions)
    visible = np.where(known, visible, 0.0)
    if query is None:
        frame = np.where((visible >= 0.5).any(0), (visible >= 0.5).argmax(0), known.argmax(0))
        query = np.concatenate([frame[:, None].astype(float), np.nan_to_num(positions[frame, np.arange(len(frame))])], axis=1)
    query = check_query(path, query, positions.shape[:2], 3)
    trust = known.astype(np.float32) if confidence is None else np.where(known, _probabilities(path, confidence), 0.0)
    return Tracks(
        camera="",
        ids=torch.arange(positions.shape[1]),
        query=torch.from_numpy(query.astype(np.float32)),
        frames=tuple(range(len(positions))),
        positions=torch.from_numpy(np.where(known[..., None], positions, np.nan).astype(np.float32)),
        visibility=torch.from_numpy(visible.astype(np.float32)),
        confidence=torch.from_numpy(trust.astype(np.float32)),
        ends=torch.full(known.shape, int(TrackEnd.ALIVE), dtype=torch.uint8),
        provenance=Provenance(tracker=f"file:{form}", size=size),
    )


def check_query(path: Path, query: np.ndarray, shape: tuple[int, ...], columns: int, names: str = "") -> np.ndarray:
    """(N, columns) float64 queries of tracks of that shape (T, N). Raises InputError unless all are finite and within the clip.

    ``names`` are those of the columns, in their order: t, x, y and, with four, z, unless said otherwise.
    """
    frames, count = shape
    names = names or ("t, x, y, z" if columns == 4 else "t, x, y")
    if query.shape != (count, columns) or query.dtype.kind not in "fiu":
        raise InputError(f"{path}: expected one query {names} per track, ({count}, {columns}), got {query.dtype} {query.shape}.")
    query = query.astype(np.float64)
    time = query[:, names.split(", ").index("t")]
    good = np.isfinite(query).all() and (np.abs(query) <= MAX_VALUE).all()
    if not good or (time < 0).any() or (np.rint(time) >= frames).any():
        raise InputError(f"{path}: expected queries of finite {names} with t from 0 to {frames - 1}.")
    return query


def poses(path: Path, matrices: np.ndarray, frames: int) -> np.ndarray:
    """(T, 4, 4) world to camera, from (T, 4, 4), (T, 3, 4) or one of them for all frames.

    Raises InputError if they are no rigid motions.
    """
    if matrices.dtype.kind not in "fiu":
        raise InputError(f"{path}: expected camera poses as numbers, got {matrices.dtype}.")
    matrices = matrices.astype(np.float64)
    if matrices.ndim == 2:
        matrices = np.broadcast_to(matrices, (frames, *matrices.shape))
    if matrices.shape not in ((frames, 4, 4), (frames, 3, 4)):
        raise InputError(f"{path}: expected {frames} camera poses of 4 x 4 or 3 x 4, got {matrices.shape}.")
    full = np.broadcast_to(np.eye(4), (frames, 4, 4)).copy()
    full[:, :3] = matrices[:, :3]
    rotation = full[:, :3, :3]
    rigid = np.isfinite(full).all() and np.allclose(rotation @ rotation.transpose(0, 2, 1), np.eye(3), atol=1e-2)
    if not rigid or (np.linalg.det(rotation) < 0).any():
        raise InputError(f"{path}: the camera poses must be rigid motions from the world to the camera, finite and without a reflection.")
    return full


def intrinsics(path: Path, values: np.ndarray, frames: int, shift: float = 0.0) -> np.ndarray:
    """(T, 3, 3) from matrices or (fx, fy, cx, cy), for every frame or one for all; ``shift`` is added to the principal points.

    Raises InputError if focal lengths are not positive.
    """
    if values.dtype.kind not in "fiu":
        raise InputError(f"{path}: expected intrinsics as numbers, got {values.dtype}.")
    values = values.astype(np.float64)
    if values.shape[-1:] == (4,) and values.shape in ((4,), (frames, 4)):
        matrices = np.zeros((frames, 3, 3))
        for index, place in enumerate(((0, 0), (1, 1), (0, 2), (1, 2))):
            matrices[:, place[0], place[1]] = values[..., index]
        matrices[:, 2, 2] = 1.0
    elif values.shape in ((3, 3), (frames, 3, 3)):
        matrices = np.broadcast_to(values, (frames, 3, 3)).copy()
    else:
        raise InputError(f"{path}: expected intrinsics of 3 x 3 or (fx, fy, cx, cy) for one or {frames} frames, got {values.shape}.")
    if not np.isfinite(matrices).all() or (matrices[:, [0, 1], [0, 1]] <= 0).any():
        raise InputError(f"{path}: the intrinsics must be finite, with positive focal lengths.")
    matrices[:, :2, 2] += shift
    return matrices


def without_batch(path: Path, array: np.ndarray, dimensions: int, name: str) -> np.ndarray:
    """Without leading axes of length 1, down to so many dimensions. Raises InputError if that is not what is left."""
    while array.ndim > dimensions and array.shape[0] == 1:
        array = array[0]
    if array.ndim != dimensions:
        raise InputError(f"{path}: expected {name} of {dimensions} dimensions, got {array.shape}.")
    return array


def check_tracks(path: Path, name: str, array: np.ndarray, last: int) -> np.ndarray:
    """(T, N, last), floating, T and N bounded. Raises InputError if it is not."""
    if array.ndim != 3 or array.shape[2] != last or array.dtype.kind != "f" or not len(array):
        raise InputError(f"{path}: expected floating {name} of shape (frames, tracks, {last}), got {array.dtype} {array.shape}.")
    if array.shape[0] > MAX_FRAMES or array.shape[1] > MAX_TRACKS:
        raise InputError(f"{path}: {name} has {array.shape[0]:,} frames and {array.shape[1]:,} tracks: split the file.")
    return array


def check_visible(path: Path, name: str, array: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """(T, N) of that shape; a trailing axis of length 1 is dropped. Raises InputError if it is another."""
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.shape != shape or array.dtype.kind not in "bfui":
        raise InputError(f"{path}: expected {name} of shape {shape}, got {array.dtype} {array.shape}.")
    return array


def _known(path: Path, positions: np.ndarray) -> np.ndarray:
    if not len(positions):
        raise InputError(f"{path} has tracks without a frame.")
    if np.isinf(positions).any() or (np.abs(np.nan_to_num(positions)) > MAX_VALUE).any():
        raise InputError(f"{path}: positions must be at most {MAX_VALUE:g} from 0, or nan where a track has none.")
    known: np.ndarray = ~np.isnan(positions).any(-1)
    return known


def _probabilities(path: Path, values: np.ndarray) -> np.ndarray:
    shares: np.ndarray = values.astype(np.float32)
    if np.isnan(shares).any() or (shares < 0).any() or (shares > 1).any():
        raise InputError(f"{path}: visibility must be true or false, or a probability from 0 to 1.")
    return shares
