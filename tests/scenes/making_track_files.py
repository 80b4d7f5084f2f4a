"""Files as other programs write them, of the same three points; nothing about them is symmetric."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

FRAMES, TRACKS = 4, 3
# World to camera: a turn by 90 degrees about y (world x becomes depth), then a shift. A point at x = 5 is 7 deep.
POSE = np.array([[0.0, 0, -1, 0.5], [0, 1, 0, -0.25], [1, 0, 0, 2], [0, 0, 0, 1]])
K = np.array([[50.0, 0, 30], [0, 60, 20], [0, 0, 1]])
WORLD = np.stack([np.array([[5.0, 1, -2], [6, -1, 0.5], [4, 0.25, 3]]) + frame * np.array([0.25, -0.5, 0.125]) for frame in range(FRAMES)])
VISIBLE = np.array([[1, 1, 0], [1, 0, 1], [1, 1, 1], [0, 1, 1]], bool)
QUERY_FRAMES = np.array([0, 0, 1])
PIXELS = np.stack([np.array([[3.0, 7], [12, 5], [40, 30]]) + frame * np.array([1.0, -0.5]) for frame in range(FRAMES)])  # centres at +0.5
SIZE = (64, 48)


def local() -> np.ndarray:
    """(T, N, 3) in the frame of the camera."""
    moved: np.ndarray = WORLD @ POSE[:3, :3].T + POSE[:3, 3]
    return moved


def queries() -> np.ndarray:
    return np.concatenate((QUERY_FRAMES[:, None].astype(float), WORLD[QUERY_FRAMES, np.arange(TRACKS)]), axis=1)


def poses() -> np.ndarray:
    return np.broadcast_to(POSE, (FRAMES, 4, 4)).astype(np.float32)


def integer_centres() -> np.ndarray:
    """(T, 3, 3) intrinsics of programs that put the centre of the first pixel at 0."""
    matrices = np.broadcast_to(K, (FRAMES, 3, 3)).copy()
    matrices[:, :2, 2] -= 0.5
    return matrices


def arrays(form: str) -> dict[str, Any]:
    """The arrays of one file of that format."""
    width, height = SIZE
    video = np.zeros((FRAMES, height, width, 3), np.uint8)
    if form == "tapip3d":
        return {
            "coords": WORLD.astype(np.float32), "visibs": VISIBLE, "query_points": queries(), "extrinsics": poses(),
            "intrinsics": integer_centres(), "video": video,
        }  # fmt: skip
    if form == "spatracker2":
        return {
            "coords": WORLD.astype(np.float32), "visibs": VISIBLE[..., None], "extrinsics": poses(), "intrinsics": integer_centres(),
            "video": video.transpose(0, 3, 1, 2).astype(np.float32),
        }  # fmt: skip
    if form == "mvtracker":
        return {"traj_e": WORLD[None].astype(np.float32), "vis_e": VISIBLE[None], "query_points": queries()[None]}
    if form == "tapvid3d":
        seconds = np.concatenate((PIXELS[QUERY_FRAMES, np.arange(TRACKS)], QUERY_FRAMES[:, None]), axis=1)
        return {
            "tracks_XYZ": local().astype(np.float32), "visibility": VISIBLE, "queries_xyt": seconds,
            "fx_fy_cx_cy": np.array([50.0, 60, 30, 20]), "extrinsics_w2c": poses(),
        }  # fmt: skip
    if form == "tapvid":
        return {"points": (PIXELS / SIZE).transpose(1, 0, 2).astype(np.float32), "occluded": ~VISIBLE.T, "video": video}
    assert form == "cotracker"
    seconds = np.concatenate((QUERY_FRAMES[:, None], PIXELS[QUERY_FRAMES, np.arange(TRACKS)] - 0.5), axis=1)
    return {"pred_tracks": (PIXELS - 0.5)[None].astype(np.float32), "pred_visibility": VISIBLE[None], "queries": seconds[None]}


def write(path: Path, form: str, **changes: Any) -> Path:
    """An ``.npz`` of that format; a change of None leaves an array out."""
    changed = {**arrays(form), **changes}
    np.savez(path, **{name: value for name, value in changed.items() if value is not None})
    return path


def write_tensors(path: Path) -> Path:
    """The pair that CoTracker's predictors return, as ``torch.save`` keeps it."""
    made = arrays("cotracker")
    torch.save((torch.from_numpy(made["pred_tracks"]), torch.from_numpy(made["pred_visibility"])), path)
    return path
