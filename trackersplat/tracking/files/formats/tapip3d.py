"""Results of TAPIP3D (zbw001/TAPIP3D, ``inference.py``).

``coords`` (T, N, 3) world; ``visibs`` (T, N); ``query_points`` (N, 4) t, x, y, z; ``extrinsics`` (T, 4, 4) world to camera;
``intrinsics`` (T, 3, 3) with pixel centres at integers; ``video`` (T, H, W, 3) or (T, 3, H, W).
"""

from __future__ import annotations

from trackersplat.tracking.files.npz import NpzFile
from trackersplat.tracking.files.track_file import (
    FileCamera,
    TrackFile,
    check_tracks,
    check_visible,
    intrinsics,
    poses,
    space_tracks,
    without_batch,
)

CENTRE = 0.5  # px: what is added to pixels whose centres are at integers


def read(file: NpzFile, *, truth: bool, size: tuple[int, int] | None) -> TrackFile:
    """Raises InputError if the arrays contradict each other."""
    return read_named(file, "tapip3d", size, "query_points" if "query_points" in file else "query_point")


def read_named(file: NpzFile, form: str, size: tuple[int, int] | None, query_name: str | None) -> TrackFile:
    """Without the name of an array of queries, a track begins where it is first visible."""
    path = file.path
    positions = check_tracks(path, "coords", file.read("coords"), 3)
    visible = check_visible(path, "visibs", file.read("visibs"), positions.shape[:2])
    query = None if query_name is None else without_batch(path, file.read(query_name), 2, query_name)
    camera = None
    if "extrinsics" in file and "intrinsics" in file:
        matrices = intrinsics(path, file.read("intrinsics"), len(positions), CENTRE)
        camera = FileCamera(matrices, poses(path, file.read("extrinsics"), len(positions)))
    video = file.facts.get("video")
    if video is not None and len(video.shape) == 4 and 3 in video.shape[1::2]:
        height, width = video.shape[1:3] if video.shape[3] == 3 else video.shape[2:4]
        size = (width, height)
    remarks = () if query is not None else (f"{path.name} has no queries: each track begins where it is first visible.",)
    return TrackFile(path, form, space_tracks(path, form, positions, visible, query), camera=camera, size=size, remarks=remarks)
