"""The material point of every track, tracked by every other view on its own.

Where a track begins, its point is lifted to the rendered surface and projected into all cameras that show that surface. In each of them it
is then tracked from frame to frame, like a track of its own. What these echoes agree on, by robust triangulation, is where the point is
if the track is right; it owes nothing to how the Gaussians move. An echo that gets lost starts anew where the others see it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.diagnosis.fields import sample_tracks
from trackersplat.diagnosis.moment import Points
from trackersplat.diagnosis.settings import ViewSettings
from trackersplat.geometry.projection import inside_image, project
from trackersplat.motion.ops.triangulate import Observations, triangulate
from trackersplat.motion.rendered_depth import DepthImages, PointViews
from trackersplat.tracking.tracks import DenseTracks


@dataclass(frozen=True, eq=False)
class Echoes:
    """P points in C cameras; nan where a camera does not follow a point."""

    pixels: Tensor  # (C, P, 2) float64 px
    world: Tensor  # (P, 3) float64: the point that the views agreed on last; nan before it begins

    @staticmethod
    def none(cameras: int, points: int) -> Echoes:
        return Echoes(torch.full((cameras, points, 2), torch.nan).double(), torch.full((points, 3), torch.nan).double())


def follow_echoes(echoes: Echoes, dense: Mapping[int, DenseTracks], settings: ViewSettings) -> Echoes:
    """In the next frame: as the dense tracks of each camera go, where they are certain."""
    pixels = torch.full_like(echoes.pixels, torch.nan)
    for camera, tracks in dense.items():
        alive = echoes.pixels[camera, :, 0].isfinite().nonzero()[:, 0]
        moved, certain = sample_tracks(tracks, echoes.pixels[camera, alive])
        pixels[camera, alive] = torch.where((certain >= settings.reliable)[:, None], moved, torch.nan)
    return Echoes(pixels, echoes.world)


def begin_echoes(echoes: Echoes, begins: Tensor, points: Tensor) -> Echoes:
    """With the points (P, 3) of tracks that begin (P,) bool; nan where they are not known."""
    pixels = echoes.pixels.clone()
    pixels[:, begins] = torch.nan
    return Echoes(pixels, torch.where(begins[:, None], points, echoes.world))


def agree(
    echoes: Echoes,
    own: Tensor,  # (P, 2) float64 px: what the tracks measure in their own cameras; nan where they measure nothing
    camera: Tensor,  # (P,) int64
    material: Tensor,  # (P, 3) float64: where the Gaussians carry the points
    cameras: Sequence[Camera],
    depth: DepthImages,
    settings: ViewSettings,
) -> tuple[Echoes, Points]:
    """Where the views see the points now, and the echoes that go on."""
    count = len(camera)
    row = torch.arange(count)
    sizes = torch.tensor([max(view.width, view.height) for view in cameras], dtype=torch.float64)
    pixels = echoes.pixels.clone()
    pixels[camera, row] = torch.nan  # an own camera is no other one
    pixels[_covered(material, cameras, depth)] = torch.nan
    start = torch.where(echoes.world.isfinite(), echoes.world, material)
    known = start.isfinite().all(-1)
    start = torch.where(known[:, None], start, 0.0)
    others = _solve(pixels, start, known, cameras, sizes, settings)
    there = others.agreed & known
    world = torch.where(there[:, None], others.world, torch.nan)

    # Echoes begin, or begin anew, where the point is shown.
    guess = torch.where(there[:, None], world, torch.where((~pixels.isfinite().any(-1).any(0))[:, None], material, torch.nan))
    pixels = torch.where(pixels.isfinite(), pixels, _seen(guess, cameras, depth))
    pixels[camera, row] = torch.nan

    views = PointViews.of(cameras, camera)
    without = views.project(world.nan_to_num(0.0))[0]
    every = pixels.clone()
    every[camera, row] = own
    all_views = _solve(every, start, known, cameras, sizes, settings)
    agreed = torch.where((all_views.agreed & known)[:, None], all_views.world, torch.nan)
    reprojected = views.project(agreed.nan_to_num(0.0))[0]
    points = Points(
        world=agreed.numpy(),
        reprojected=torch.where(agreed.isfinite().all(-1)[:, None], reprojected, torch.nan).numpy(),
        without=torch.where(there[:, None], without, torch.nan).numpy(),
        views=torch.where(known, others.views, torch.nan).numpy(),
        parallax=_parallax(every, agreed, cameras).numpy(),
    )
    return Echoes(pixels, torch.where(there[:, None], world, echoes.world)), points


@dataclass(frozen=True, eq=False)
class _Solved:
    world: Tensor  # (P, 3)
    views: Tensor  # (P,) float64, that agree
    agreed: Tensor  # (P,) bool: enough of them


def _solve(pixels: Tensor, start: Tensor, known: Tensor, cameras: Sequence[Camera], sizes: Tensor, settings: ViewSettings) -> _Solved:
    """Robust triangulation of the observations (C, P, 2), from the points ``start`` (P, 3)."""
    valid = pixels.isfinite().all(-1) & known
    noise = (settings.noise * sizes).square()[:, None].expand(valid.shape)
    from_start = project(cameras, start)[0]
    observations = Observations(
        displacements=torch.where(valid[..., None], pixels - from_start, 0.0), variances=torch.where(valid, noise, torch.inf)
    )
    found = triangulate(cameras, start, observations, settings.triangulate)
    # A lone ray fixes no depth, and along it the solution is anywhere.
    enough = (found.views >= settings.least_views) & (2 * found.views > found.seen)
    return _Solved(start + found.translation, found.views.double(), enough)


def _seen(points: Tensor, cameras: Sequence[Camera], depth: DepthImages) -> Tensor:
    """(C, P, 2) px of points (P, 3) in the cameras that show the surface they are on; nan elsewhere."""
    pixels, distance, here = _projected(points, cameras)
    index = torch.arange(len(cameras))[:, None].expand(distance.shape).reshape(-1)
    surface = depth.at(pixels.reshape(-1, 2), index, distance.reshape(-1))
    shown = (surface.agreeing > 0.99).reshape(distance.shape) & here
    return torch.where(shown[..., None], pixels, torch.nan)


def _covered(points: Tensor, cameras: Sequence[Camera], depth: DepthImages) -> Tensor:
    """(C, P) bool: something is rendered in front of the points (P, 3)."""
    pixels, distance, here = _projected(points, cameras)
    index = torch.arange(len(cameras))[:, None].expand(distance.shape).reshape(-1)
    surface = depth.at(pixels.reshape(-1, 2), index, distance.reshape(-1))
    return (surface.nearer > 0.5).reshape(distance.shape) & here


def _projected(points: Tensor, cameras: Sequence[Camera]) -> tuple[Tensor, Tensor, Tensor]:
    """Pixels (C, P, 2), nan where not inside; depths (C, P), 1 there; and which are inside (C, P)."""
    known = points.isfinite().all(-1)
    pixels, distance = project(cameras, torch.where(known[:, None], points, 0.0))
    near = torch.tensor([camera.near for camera in cameras], dtype=torch.float64)[:, None]
    inside = torch.stack([inside_image(part, view.width, view.height) for part, view in zip(pixels, cameras, strict=True)])
    here = inside & (distance > near) & known
    return torch.where(here[..., None], pixels, torch.nan), torch.where(here, distance, 1.0), here


def _parallax(pixels: Tensor, points: Tensor, cameras: Sequence[Camera]) -> Tensor:
    """(P,) degrees: twice the largest angle between a ray and the mean of the rays of the views that follow the point.

    For two views it is the angle between their rays; for more it is at least that of the widest pair.
    """
    valid = pixels.isfinite().all(-1) & points.isfinite().all(-1)
    centres = torch.from_numpy(np.stack([camera.center for camera in cameras]))
    rays = torch.nn.functional.normalize(points.nan_to_num(0.0) - centres[:, None], dim=-1) * valid[..., None]
    mean = torch.nn.functional.normalize(rays.sum(0), dim=-1)
    cosine = torch.where(valid, (rays * mean).sum(-1), 1.0).amin(0).clamp(-1, 1)
    return torch.where(valid.sum(0) >= 2, 2 * torch.rad2deg(torch.acos(cosine)), torch.nan)
