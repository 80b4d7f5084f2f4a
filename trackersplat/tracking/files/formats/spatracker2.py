"""Results of SpatialTrackerV2 (henry123-boy/SpaTrackerV2).

``coords`` (T, N, 3) world; ``visibs`` (T, N) or (T, N, 1); ``extrinsics`` (T, 4, 4), in its files world to camera (its functions take and
return camera to world); ``intrinsics`` (T, 3, 3) with pixel centres at integers; ``video`` (T, 3, H, W). It keeps no queries.
"""

from __future__ import annotations

from trackersplat.tracking.files.formats.tapip3d import read_named
from trackersplat.tracking.files.npz import NpzFile
from trackersplat.tracking.files.track_file import TrackFile


def read(file: NpzFile, *, truth: bool, size: tuple[int, int] | None) -> TrackFile:
    """Raises InputError if the arrays contradict each other."""
    return read_named(file, "spatracker2", size, None)
