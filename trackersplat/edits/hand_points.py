"""From points put by hand in images to points in space."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.edits.edit import HandPoint
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.motion.corrections import PointCorrection
from trackersplat.motion.followed_tracks import FollowedTracks, FollowSettings
from trackersplat.motion.start_tracks import carriers_of

_RIDGE = 1e-6  # of the trace of the normal equations, towards the point carried there: keeps rays that are nearly parallel regular


def corrected_points(
    hand: Sequence[HandPoint],
    tracks: FollowedTracks,
    carried: Tensor,  # (P, 3) float64: where the uncorrected motion takes the points of the tracks
    gaussians: Gaussians,
    cameras: Sequence[Camera],
    settings: FollowSettings,
) -> tuple[PointCorrection, ...]:
    """What points put by hand in a target frame say about the points of the tracks; ``tracks`` and ``gaussians`` are of the base frame.

    A point put in one camera moves along that camera's ray to the depth (along the optical axis) at which the uncorrected motion has it.
    One that is put in several is where the rays meet, in the least-squares sense of pixels. In one camera, the last place counts.
    ``cameras`` are all of the capture. Points of tracks that are not there any more, or that would be behind a camera, are left out.

    The carriers are those of the track where it began and those that carry the point in the base frame.
    """
    by_name = {camera.name: camera for camera in cameras}
    by_track: dict[int, dict[str, HandPoint]] = {}
    for point in hand:
        if point.camera in by_name:
            by_track.setdefault(point.track, {})[point.camera] = point
    alive = tracks.ids[tracks.alive].tolist()
    rows = {track: row for row, track in enumerate(tracks.ids.tolist()) if track in by_track}
    found = []
    for track in sorted(set(by_track) & set(alive)):
        row, places = rows[track], list(by_track[track].values())
        after = _meeting([(by_name[place.camera], place) for place in places], carried[row].double().cpu().numpy())
        if after is None:
            continue
        before = tracks.points[row].double()
        nearest = carriers_of(before[None], gaussians, settings)[0]
        carriers = torch.cat((tracks.carriers[row].to(nearest), nearest)).long().unique()
        found.append(
            PointCorrection(
                track=track,
                before=before,
                after=torch.from_numpy(after).to(before),
                carriers=carriers[carriers >= 0],
                deviation_px=max(place.deviation for place in places),
            )
        )
    return tuple(found)


def _meeting(places: Sequence[tuple[Camera, HandPoint]], near: np.ndarray) -> np.ndarray | None:
    """(3,) float64; ``near`` is where the point is without hands. None if it is behind one of the cameras."""
    depths = [float((camera.rotation @ near + camera.translation)[2]) for camera, _ in places]
    if any(depth <= camera.near for depth, (camera, _) in zip(depths, places, strict=True)):
        return None
    if len(places) == 1:
        ((camera, place),) = places
        return camera.center + depths[0] * _ray(camera, place)
    normal, right = np.zeros((3, 3)), np.zeros(3)
    for depth, (camera, place) in zip(depths, places, strict=True):
        direction = _ray(camera, place)
        direction /= np.linalg.norm(direction)
        across = (np.eye(3) - np.outer(direction, direction)) * (0.5 * (camera.fx + camera.fy) / depth) ** 2  # in pixels
        normal += across
        right += across @ camera.center
    ridge = _RIDGE * np.trace(normal)
    point: np.ndarray = np.linalg.solve(normal + ridge * np.eye(3), right + ridge * near)
    return None if any((camera.rotation @ point + camera.translation)[2] <= camera.near for camera, _ in places) else point


def _ray(camera: Camera, place: HandPoint) -> np.ndarray:
    """(3,) from the centre of the camera to its pixel at depth 1."""
    x, y = place.pixel
    ray: np.ndarray = camera.rotation.T @ np.array(((x - camera.cx) / camera.fx, (y - camera.cy) / camera.fy, 1.0))
    return ray
