"""What the views say about the Gaussians, before anything is solved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.errors import ShapeError
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.geometry.projection import centers, inside_image, project
from trackersplat.motion.ops.affine import AffineMotion, Visibility, measure_views, views_at_once
from trackersplat.motion.settings import MotionSettings
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.tracking.tracks import DenseTracks

_LEAST_SHARE = 0.02  # of the best view's sight that any view is taken to have: its word counts next to nothing, but is a finite number


@dataclass(frozen=True)
class Evidence:
    """What V views say about N Gaussians for F targets."""

    displacement: Tensor  # (V, F, N, 2) px, of the projected means
    variance: Tensor  # (V, F, N) px^2 per axis; inf where a view has no say
    rough: Tensor  # (V, F, N) px^2, the part of it that the tracks' disagreement within the footprint makes; the rest is their noise
    moved: Tensor  # (V, F, N) px, of the mean or of the footprint's rim
    shown: Tensor  # (V, N) bool: seen in the base frame, whether or not its tracks reach the target
    surface: Tensor  # (V, N, 3) scene units from the mean to the point of the surface that hides it or is its own
    oblique: Tensor  # (V, N) from 1 on: by how much the variance is larger where things turn, see `obliqueness`

    def targets(self, chosen: slice) -> Evidence:
        displacement, variance, rough, moved = (values[:, chosen] for values in (self.displacement, self.variance, self.rough, self.moved))
        return Evidence(displacement, variance, rough, moved, self.shown, self.surface, self.oblique)


def _check(cameras: Sequence[Camera], tracks: Sequence[DenseTracks]) -> None:
    """Raises ShapeError unless there is one track per camera, and all are of one base and the same targets."""
    if not tracks or len(tracks) != len(cameras):
        raise ShapeError(f"Motion needs tracks of every camera, got {len(tracks)} for {len(cameras)} cameras.")
    if any((t.base, t.targets) != (tracks[0].base, tracks[0].targets) for t in tracks):
        raise ShapeError("Tracks of all cameras must have the same base and target frames.")


def gather(
    rasterizer: Rasterizer, gaussians: Gaussians, cameras: Sequence[Camera], tracks: Sequence[DenseTracks], settings: MotionSettings
) -> Evidence:
    """The evidence of one track per camera, all of one base, for every target. Memory: 21 bytes per view, target and Gaussian."""
    _check(cameras, tracks)
    parts = []
    for views in views_at_once(gaussians, cameras, len(tracks[0].targets)):
        affine, seen = measure_views(rasterizer, gaussians, cameras[views], tracks[views], settings.core)
        variance, rough, shown = _variance(affine, seen, gaussians, cameras[views], settings)
        moved = affine.displacement.norm(dim=-1).maximum(affine.reach)
        area = seen.weight * _pixel_area(gaussians, cameras[views])
        parts.append((affine.displacement, variance, rough, moved, shown, torch.where(shown[..., None], seen.surface, 0.0), area))
    displacement, variance, rough, moved, shown, surface, area = (torch.cat(values) for values in zip(*parts, strict=True))
    return Evidence(displacement, variance, rough, moved, shown, surface, obliqueness(area, settings.frontal))


def obliqueness(area: Tensor, power: float) -> Tensor:
    """(V, N) from 1 on: how much larger the variance of a view's word about a moving Gaussian is than if it saw it as well as the best one.

    ``area`` (V, N) is what each sees of it, in squared scene units. At a grazing angle little is seen, the rest being turned away or
    behind what is nearer, and the rays through the mean meet the surface far from it: what they show moves differently where things
    turn. That costs more than noise, hence the ``power``. Whether something stands still, all can tell.
    """
    share = area / area.amax(0).clamp_min(1e-30)
    return share.clamp_min(_LEAST_SHARE) ** -power


def _pixel_area(gaussians: Gaussians, cameras: Sequence[Camera]) -> Tensor:
    """(V, N) squared scene units that a pixel of each camera spans across the ray to each mean."""
    means = gaussians.means.detach()
    distance = (means - means.new_tensor(centers(cameras))[:, None]).norm(dim=-1)
    return (distance / means.new_tensor([0.5 * (camera.fx + camera.fy) for camera in cameras])[:, None]).square()


def _variance(
    affine: AffineMotion, seen: Visibility, gaussians: Gaussians, cameras: Sequence[Camera], settings: MotionSettings
) -> tuple[Tensor, Tensor, Tensor]:
    """(V, F, N) px^2 per axis of the displacement of the mean, inf where a view has no say; the part of it that is not the tracks'
    noise, 0 there; and (V, N) where it is seen at all."""
    depth = (gaussians.means - gaussians.means.new_tensor(centers(cameras))[:, None]).norm(dim=-1)
    tolerance = settings.surface_tolerance * depth + gaussians.scales.amax(-1)
    hidden = (seen.behind.nan_to_num(torch.inf) / tolerance).clamp(0.0, 1e3)
    gain = (1.0 + affine.leverage) * (1.0 + hidden**4)[:, None]
    # Little weight means few pixels, and share those that are certain: both thin out what there is to average.
    gain = gain * (1.0 + settings.minimum_weight / affine.weight.clamp_min(1e-9)) / affine.share.clamp_min(1e-6)
    rough = affine.spread.square() * gain
    shown = (seen.weight >= settings.minimum_weight) & (hidden < 1.0)
    say = (affine.weight >= settings.minimum_weight) & (affine.share >= settings.minimum_share) & (hidden < 1.0)[:, None]
    variance = settings.track_noise_px**2 * gain + rough
    say &= torch.isfinite(variance)  # tracks may be off by more than can be squared
    return torch.where(say, variance, torch.inf), torch.where(say, rough, 0.0), shown


def pixel_size(means: Tensor, cameras: Sequence[Camera]) -> Tensor:
    """(N,) scene units that one pixel spans at each mean, in the camera that resolves it best of those whose image it falls into.

    Where cameras stand around their scene, each is next to much that it does not see. A mean outside all images is measured by all.
    """
    at, depth = project(cameras, means)
    focal, near = (means.new_tensor(values)[:, None] for values in zip(*((0.5 * (c.fx + c.fy), c.near) for c in cameras), strict=True))
    size = means.new_tensor([(camera.width, camera.height) for camera in cameras]).T[..., None]
    spanned = torch.where(depth > 0, depth / focal, torch.inf)
    inside = inside_image(at, *size) & (depth >= near)
    best = torch.where(inside, spanned, torch.inf).amin(0)
    return torch.where(best.isfinite(), best, spanned.amin(0))
