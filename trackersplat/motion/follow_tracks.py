"""Follows sparse tracks from a base frame to a target frame: by the tracker where they are seen, by the Gaussians where they are not.

Visible or hidden: the tracker knows what the images show, but may go on with whatever passes in front of a point. The moved Gaussians know
where the point must be and how deep: it is covered where most of the rendered surface around its reprojection (bilinear weights of four
depth pixels) lies in front of it by more than a tolerance. So a visible track becomes hidden

- where the tracker says so, or
- where it is covered and the tracker, if it is certain, goes elsewhere than the reprojection: what covers a point moves against it, and
  a rendered depth that is off does not.

A hidden track becomes visible again where most of the surface is at the depth of the point and the tracker is certain of the pixel it
comes from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.errors import ShapeError
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.motion.carry import carry_points
from trackersplat.motion.followed_tracks import FollowedTracks, FollowSettings, is_among, round_positions, round_probabilities
from trackersplat.motion.mask_images import MaskImages, Masks
from trackersplat.motion.motion import Motion
from trackersplat.motion.rendered_depth import PointViews, corners_around
from trackersplat.motion.start_tracks import surface_of, with_new_tracks
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.tracking.tracks import DenseTracks, TrackEnd


def follow_tracks(
    start: FollowedTracks,
    gaussians: Gaussians,
    motion: Motion,
    moved: Gaussians,
    dense: Mapping[str, DenseTracks],
    target: int,
    cameras: Sequence[Camera],
    rasterizer: Rasterizer,
    settings: FollowSettings,
    masks: tuple[Masks, Masks] | None = None,
    *,
    earlier: FollowedTracks | None = None,
) -> FollowedTracks:
    """The state at frame ``target``, from that at the base frame of the ``dense`` tracks (by camera name).

    ``gaussians`` are those of the base frame and ``moved`` those of the target, by ``motion``. ``masks``: of the base and of the target.
    ``earlier``: the state at the target before this one, if that was followed from the same base: what ended there does not come back.

    Visible tracks move as the dense tracks at their sub-pixel position; their material points are refreshed from the rendered depth
    where the tracker is certain and the surface is where the point was expected. Hidden tracks keep the offset they had from the
    reprojection of their points when they were last seen. Positions of low confidence that contradict the reprojection are replaced by it
    once; a track ends as UNRELIABLE when its confidence was low at the base frame, too. New tracks start at the last of the dense tracks'
    targets, from which tracking goes on, where no track is seen any more.

    Raises ShapeError if the state, the cameras and the dense tracks do not fit each other; ValueError if ``target`` is not among the
    targets.
    """
    names = tuple(camera.name for camera in cameras)
    if start.cameras != names or any(name not in dense or dense[name].base != start.frame for name in names):
        raise ShapeError(f"Tracks of {start.cameras} at frame {start.frame} cannot be followed with dense tracks of {tuple(dense)}.")
    gaussians, moved = gaussians.detach(), moved.detach()
    live, hidden_so_far = _still_alive(start, earlier, target)
    tracked = _sample(live, dense, target)
    views = PointViews.of(cameras, live.camera)
    depth = surface_of(moved, cameras, rasterizer, settings)

    points = carry_points(live.points, gaussians, motion, settings.carry_points)
    reprojected, distance = views.project(points)  # nan behind the camera
    expected = live.positions + reprojected - views.project(live.points)[0]
    surface = depth.at(expected, live.camera, distance)

    was_hidden = live.hidden > 0
    seen = tracked.visibility >= settings.visible
    certain = seen & (tracked.confidence >= settings.reliable)
    # Without the offset: it would hide that a track goes on slowly with what covers it.
    elsewhere = _apart(tracked.positions, reprojected) > settings.occluder_px
    covered = (surface.nearer > 0.5) & (elsewhere | ~certain)
    visible = torch.where(was_hidden, certain & (surface.agreeing >= 0.5), seen & ~covered)
    by_tracker = visible & ~was_hidden
    contradicted = by_tracker & ~certain & (_apart(tracked.positions, expected) > settings.contradiction_px)
    by_tracker &= ~contradicted

    position = torch.where(by_tracker[:, None], tracked.positions, expected)
    known = position.isfinite().all(-1)
    position = round_positions(torch.where(known[:, None], position, live.positions))
    hidden = torch.where(visible, 0, hidden_so_far)
    ends = torch.zeros_like(live.ends)
    ends[hidden > settings.hidden_frames] = TrackEnd.OCCLUDED
    ends[contradicted & (live.confidence < settings.reliable)] = TrackEnd.UNRELIABLE
    if masks is not None:
        ends[by_tracker & _crossing(live, position, masks)] = TrackEnd.CROSSED_MASK
    ends[~known | ~views.inside(position)] = TrackEnd.LEFT_IMAGE

    found = depth.at(position, live.camera, distance)
    refreshed = visible & certain & found.is_whole & (ends == TrackEnd.ALIVE)
    points = torch.where(refreshed[:, None], views.back_project(position, found.depth), points)
    followed = replace(
        live,
        frame=target,
        positions=position,
        visibility=torch.where(visible, tracked.visibility, torch.where(was_hidden | seen, 0.0, tracked.visibility)),
        confidence=torch.where(visible, tracked.confidence, _carrier_confidence(live.carriers, motion)),
        ends=ends,
        hidden=hidden,
        points=points.float(),
    )
    if any(dense[name].targets[-1] != target for name in names):
        return followed
    return with_new_tracks(followed, moved, depth, cameras, settings, None if masks is None else masks[1])


def _still_alive(start: FollowedTracks, earlier: FollowedTracks | None, target: int) -> tuple[FollowedTracks, Tensor]:
    """The tracks that go on, at the base frame, and the frames (P,) each will have been hidden if it is hidden at the target."""
    live = start[start.alive]
    if earlier is None:
        return live, live.hidden + (target - start.frame)
    there = earlier[earlier.alive]
    mine = live[is_among(live.ids, there.ids)]
    return mine, there.hidden[torch.searchsorted(there.ids, mine.ids)] + (target - earlier.frame)


def _apart(first: Tensor, second: Tensor) -> Tensor:
    """(P,) distances in pixels; nan, larger than no threshold, where one of them is nowhere."""
    return (first - second).norm(dim=-1)


@dataclass(frozen=True, eq=False)
class TrackedPoints:
    """What the dense tracks say about P points at the target; nowhere (nan), neither seen nor trusted, where they have no position."""

    positions: Tensor  # (P, 2) float64
    visibility: Tensor  # (P,) float32, rounded
    confidence: Tensor  # (P,) float32, rounded


def _sample(live: FollowedTracks, dense: Mapping[str, DenseTracks], target: int) -> TrackedPoints:
    """At the tracks' positions, each in its camera."""
    positions = live.positions.double()
    of_cameras = [dense[name] for name in live.cameras]
    if positions.is_cuda and len({(each.positions.shape, each.positions.device) for each in of_cameras}) == 1:
        return points_at(positions, live.camera, *map(torch.stack, zip(*(_to(target, each) for each in of_cameras), strict=True)))
    moved = torch.full_like(positions, torch.nan)
    seen, trust = (torch.zeros_like(live.visibility) for _ in range(2))
    for index, name in enumerate(live.cameras):
        chosen = (live.camera == index).nonzero()[:, 0]
        found = sample_tracks(positions[chosen], dense[name], target)
        moved[chosen], seen[chosen], trust[chosen] = found.positions, found.visibility, found.confidence
    return TrackedPoints(moved, seen, trust)


def sample_tracks(positions: Tensor, dense: DenseTracks, target: int) -> TrackedPoints:
    """At finite positions (P, 2) of one camera: bilinear, over the pixels whose tracks have a finite position.

    Raises ValueError if ``target`` is not among the targets.
    """
    camera = torch.zeros(len(positions), dtype=torch.int64, device=dense.positions.device)
    return points_at(positions.double(), camera, *(values[None] for values in _to(target, dense)))


def _to(target: int, dense: DenseTracks) -> tuple[Tensor, Tensor, Tensor]:
    """Positions, visibility and confidence of all pixels in that target."""
    index = dense.targets.index(target)
    return dense.positions[index], dense.visibility[index], dense.confidence[index]


def points_at(start: Tensor, camera: Tensor, positions: Tensor, visibility: Tensor, confidence: Tensor) -> TrackedPoints:
    """At points ``start`` (P, 2) float64 of the cameras of these indices (P,); of each camera (C, H, W, 2) and (C, H, W)."""
    height, width = positions.shape[1:3]
    around = corners_around(start.to(positions.device), width, height)
    pixels = (camera.to(positions.device)[:, None], around.rows, around.columns)
    moves = positions[pixels].double() - torch.stack((around.columns + 0.5, around.rows + 0.5), dim=-1)  # (P, 4, 2)
    weights = around.weights * moves.isfinite().all(-1)
    weights = weights / weights.sum(-1, keepdim=True)  # nan if there is none
    shift = (weights[..., None] * moves.nan_to_num(0.0, 0.0, 0.0)).sum(1).to(start)
    seen, trust = ((weights * values[pixels]).sum(1).to(start) for values in (visibility, confidence))
    return TrackedPoints(start + shift, round_probabilities(seen), round_probabilities(trust))


def _crossing(live: FollowedTracks, position: Tensor, masks: tuple[Masks, Masks]) -> Tensor:
    """(P,) bool: all four mask pixels around a track say one thing in the base frame and the other in the target."""
    camera = live.camera
    before, after = (
        MaskImages.of(of_frame, live.cameras, position.device).shares(pixels, camera)
        for of_frame, pixels in zip(masks, (live.positions, position), strict=True)
    )
    return (before - after).abs() == 1


def _carrier_confidence(carriers: Tensor, motion: Motion) -> Tensor:
    """(P,) float32, rounded: mean confidence of the motion of the carriers that are left; 0 without any."""
    left = carriers >= 0
    values = torch.where(left, motion.confidence[carriers.clamp_min(0).long()], 0.0)
    return round_probabilities(values.sum(-1) / left.sum(-1).clamp_min(1))
