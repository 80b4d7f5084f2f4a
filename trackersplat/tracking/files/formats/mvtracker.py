"""Files of MVTracker (ethz-vlg/mvtracker), all in the world.

- results, as its model returns them: ``traj_e`` (1, T, N, 3), ``vis_e`` (1, T, N) or ``vis_e_as_prob``, and ``query_points`` (1, N, 4);
- evaluations, as its evaluator saves them: ``pred_trajectories_3d``, ``pred_visibilities_any_view``, ``query_points_3d``, and the truth
  as ``gt_trajectories_3d``, ``gt_visibilities_any_view``, ``gt_visibilities_per_view`` (1, V, T, N); lengths are multiplied by
  ``track_upscaling_factor``;
- annotations of Panoptic Studio: ``trajectories``, ``per_view_visibilities`` (V, T, N), ``query_points_3d``.

Before the query, its model writes zeros: there a prediction has no position.
"""

from __future__ import annotations

import numpy as np

from trackersplat.errors import InputError
from trackersplat.tracking.files.npz import NpzFile
from trackersplat.tracking.files.track_file import TrackFile, check_query, check_tracks, check_visible, space_tracks, without_batch


def read(file: NpzFile, *, truth: bool, size: tuple[int, int] | None) -> TrackFile:
    """Raises InputError if the arrays contradict each other, or the truth is wanted of a file without one."""
    path, predicted, per_view = file.path, not truth, ""
    if "traj_e" in file:
        if truth:
            raise InputError(f"{path} holds results of MVTracker, which are no truth: give a file with annotations.")
        positions, visible = "traj_e", "vis_e_as_prob" if "vis_e_as_prob" in file else "vis_e"
        query = next((name for name in ("query_points_3d", "query_points") if name in file), "")
    elif "trajectories" in file:
        positions, visible, query, per_view, predicted = "trajectories", "", "query_points_3d", "per_view_visibilities", False
    elif truth:
        positions, visible, query, per_view = (
            "gt_trajectories_3d",
            "gt_visibilities_any_view",
            "query_points_3d",
            "gt_visibilities_per_view",
        )
    else:
        positions, visible, query = "pred_trajectories_3d", "pred_visibilities_any_view", "query_points_3d"
    points = check_tracks(path, positions, without_batch(path, file.read(positions), 3, positions), 3).astype(np.float64)
    shape = points.shape[:2]
    views = None
    if per_view and per_view in file:
        views = without_batch(path, file.read(per_view), 3, per_view)
        if views.shape[1:] != shape or views.dtype.kind not in "bfui" or not len(views):
            raise InputError(f"{path}: expected {per_view} of shape (views, {shape[0]}, {shape[1]}), got {views.shape}.")
        views = (views > 0).astype(np.float32)
    if visible:
        seen = check_visible(path, visible, without_batch(path, file.read(visible), 2, visible), shape)
    elif views is not None:
        seen = views.max(axis=0)
    else:
        raise InputError(f"{path} does not tell where its points are visible.")
    scale = _scale(file)
    start = None
    if query in file:
        start = check_query(path, without_batch(path, file.read(query), 2, query), shape, 4)
        start = start * (1.0, scale, scale, scale)
        if predicted:
            points[np.arange(shape[0])[:, None] < np.rint(start[:, 0])] = np.nan
    names = tuple(f"view {index}" for index in range(0 if views is None else len(views)))
    tracks = space_tracks(path, "mvtracker", points * scale, seen, start, cameras=names, view_visibility=views)
    remarks = () if start is not None else (f"{path.name} has no queries: each track begins where it is first visible.",)
    return TrackFile(path, "mvtracker", tracks, remarks=remarks)


def _scale(file: NpzFile) -> float:
    if "track_upscaling_factor" not in file:
        return 1.0
    value = file.read("track_upscaling_factor")
    if value.size != 1 or value.dtype.kind not in "fiu" or not 0 < float(value.reshape(-1)[0]) < 1e6:
        raise InputError(f"{file.path}: track_upscaling_factor must be one positive number.")
    return float(value.reshape(-1)[0])
