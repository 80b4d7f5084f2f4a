"""TAP-Vid without pickles: the arrays of one video as ``.npz``.

``points`` (N, T, 2) x, y as shares of width and height; ``occluded`` (N, T); ``video`` (T, H, W, 3) uint8, of which the size is taken, or
``size`` (2,) width and height. The share 0 is the left border of the first pixel and 1 the right border of the last one, as in tapnet.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from trackersplat.errors import InputError, ShapeError
from trackersplat.tracking.files.formats.tapvid3d import save_arrays
from trackersplat.tracking.files.npz import NpzFile
from trackersplat.tracking.files.track_file import TrackFile, check_tracks, check_visible, image_tracks
from trackersplat.tracking.tracks import Tracks

_LARGEST_SIDE = 1 << 16  # px


def read(file: NpzFile, *, truth: bool, size: tuple[int, int] | None) -> TrackFile:
    """Raises InputError if the arrays contradict each other, or the size of the images is not told."""
    path = file.path
    points = check_tracks(path, "points", file.read("points"), 2)
    hidden = check_visible(path, "occluded", file.read("occluded"), points.shape[:2])
    width, height = _size(file) or size or (0, 0)
    if not (0 < width <= _LARGEST_SIDE and 0 < height <= _LARGEST_SIDE):
        raise InputError(f"{path} tells no size of its images: it needs a video (T, H, W, 3), or give --size WIDTHxHEIGHT.")
    positions = points.transpose(1, 0, 2) * np.array((width, height), np.float64)
    tracks = image_tracks(path, "tapvid", positions, 1.0 - hidden.T.astype(np.float32), size=(width, height))
    return TrackFile(path, "tapvid", tracks2d=tracks, size=(width, height))


def _size(file: NpzFile) -> tuple[int, int] | None:
    video = file.facts.get("video")
    if video is not None and len(video.shape) == 4 and video.shape[3] == 3:
        return video.shape[2], video.shape[1]
    if "size" not in file:
        return None
    size = file.read("size")
    if size.shape != (2,) or size.dtype.kind not in "iu":
        raise InputError(f"{file.path}: size must be width and height, got {size.dtype} {size.shape}.")
    return int(size[0]), int(size[1])


def write(path: Path, tracks: Tracks, size: tuple[int, int], images: Sequence[np.ndarray] | None = None, visible: float = 0.5) -> None:
    """Writes the tracks of one camera whose images have that ``size`` (width, height); a track without a position is hidden there.

    ``images`` (H, W, 3) uint8 RGB, one per frame. Raises ShapeError if their number differs; InputError if the file cannot be written.
    """
    if images is not None and len(images) != len(tracks.frames):
        raise ShapeError(f"There are {len(images)} images for {len(tracks.frames)} frames of tracks.")
    known = torch.isfinite(tracks.positions).all(-1)
    positions = torch.where(known[..., None], tracks.positions, 0.0).permute(1, 0, 2).cpu().numpy()
    arrays = {
        "points": (positions / np.array(size, np.float32)).astype(np.float32),
        "occluded": (~(known & (tracks.visibility >= visible))).T.cpu().numpy(),
    }
    arrays.update({"size": np.array(size, np.int64)} if images is None else {"video": np.stack(images)})
    save_arrays(path, arrays)
