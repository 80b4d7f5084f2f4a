"""Which cameras show best what a track does, and what lies beside it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.diagnosis.categories import TrackState
from viewer.views.table import TrackList

NEAR = 0.04  # distance to a track that a camera sees, over the depth, within which it is taken to see the point, too
BEST_ANGLE = 40.0  # degrees between two rays: more shows depth no better, and surfaces at a slant


def best_other(tracks: TrackList, cameras: Sequence[Camera], row: int, frame: int) -> int | None:
    """Index of the camera, other than the track's own, that shows its point best; None if there is no other camera."""
    found = others_by_worth(tracks, cameras, row, frame)
    return found[0] if found else None


def others_by_worth(tracks: TrackList, cameras: Sequence[Camera], row: int, frame: int) -> list[int]:
    """Indices of the other cameras, that which shows the point of a track best first: it sees it, from another side.

    Where the views do not agree on a point, the nearest camera is first.
    """
    own = tracks.diagnosis.cameras[int(tracks.diagnosis.camera[row])]
    others = [index for index, camera in enumerate(cameras) if camera.name != own]
    if not others:
        return []
    home = next((camera for camera in cameras if camera.name == own), cameras[others[0]])
    at = tracks.frame_row(frame)
    point = np.full(3, np.nan) if at is None else tracks.diagnosis.world[at, row].astype(np.float64)
    if not np.isfinite(point).all():
        return sorted(others, key=lambda index: float(np.linalg.norm(cameras[index].center - home.center)))
    return sorted(others, key=lambda index: -_worth(tracks, cameras[index], home, point, frame))


def _worth(tracks: TrackList, camera: Camera, home: Camera, point: np.ndarray, frame: int) -> float:
    pixels, depths = camera.project(point[None])
    (x, y), depth = pixels[0], float(depths[0])
    if depth <= 0 or not (0 <= x < camera.width and 0 <= y < camera.height):
        return -1.0
    rays = [(point - view.center) / max(float(np.linalg.norm(point - view.center)), 1e-12) for view in (camera, home)]
    angle = float(np.degrees(np.arccos(np.clip(rays[0] @ rays[1], -1.0, 1.0))))
    border = min(x, y, camera.width - x, camera.height - y) / max(camera.width, camera.height)
    seen = 1.0 if _sees(tracks, camera.name, point, depth, frame) else 0.2
    return seen * (0.3 + 0.7 * min(angle / BEST_ANGLE, 1.0)) * (0.5 + 0.5 * min(float(border) / 0.1, 1.0))


def _sees(tracks: TrackList, camera: str, point: np.ndarray, depth: float, frame: int) -> bool:
    """Whether a visible track of that camera is near the point."""
    diagnosis, at = tracks.diagnosis, tracks.frame_row(frame)
    if at is None or camera not in diagnosis.cameras:
        return False
    chosen = (diagnosis.camera == diagnosis.cameras.index(camera)) & (diagnosis.state[at] == TrackState.VISIBLE)
    with np.errstate(invalid="ignore"):
        distance = np.linalg.norm(diagnosis.world[at, chosen] - point, axis=1)
        return bool((distance <= NEAR * depth).any())


def neighbours(tracks: TrackList, rows: Sequence[int], frame: int, count: int) -> list[int]:
    """The given rows and, of each, the ``count`` tracks of its camera that are nearest to it in the image of this frame."""
    diagnosis, at = tracks.diagnosis, tracks.frame_row(frame)
    found = dict.fromkeys(rows)
    if at is None:
        return list(found)
    position = diagnosis.position[at]
    for row in rows:
        if not np.isfinite(position[row]).all():
            continue
        distance = np.linalg.norm(position - position[row], axis=1)
        distance[(diagnosis.camera != diagnosis.camera[row]) | ~np.isfinite(distance)] = np.inf
        nearest = np.argsort(distance, kind="stable")[: count + 1]
        found.update(dict.fromkeys(int(index) for index in nearest if np.isfinite(distance[index])))
    mains = list(rows)
    return [row for row in found if row not in mains] + mains
