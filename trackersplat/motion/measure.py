"""What the views say about the Gaussians, before anything is solved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.errors import ShapeError
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.geometry.devices import has_triton, uploaded
from trackersplat.geometry.projection import centers, inside_image, project
from trackersplat.motion.ops.affine import BaseViews, Visibility, base_views, measure_views, views_at_once
from trackersplat.motion.ops.results import AffineMotion
from trackersplat.motion.settings import MeasureSettings
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.tracking.tracks import DenseTracks


@dataclass(frozen=True, eq=False)
class Measurements:
    """What V views say about N Gaussians for F targets."""

    displacement: Tensor  # (V, F, N, 2) px, of the projected means
    variance: Tensor  # (V, F, N) px^2 per axis; inf where a view's observation is not valid
    rough: Tensor  # (V, F, N) px^2, the part of it that the tracks' disagreement within the footprint makes; the rest is their noise
    moved: Tensor  # (V, F, N) px, of the mean or of the footprint's rim
    shown: Tensor  # (V, N) bool: seen in the base frame, whether or not its tracks reach the target
    surface: Tensor  # (V, N, 3) scene units from the mean to the point of the surface that hides it or is its own
    inverse_view_weight: Tensor  # (V, N) from 1 on: factor on the variance of moving Gaussians, see `inverse_view_weights`
    corrected: Tensor | None = None  # (F, N) bool: known from outside the tracks (corrections.py); None: nothing is

    def targets(self, chosen: slice) -> Measurements:
        """The measurements for these targets."""
        parts = {name: getattr(self, name)[:, chosen] for name in ("displacement", "variance", "rough", "moved")}
        return replace(self, corrected=None if self.corrected is None else self.corrected[chosen], **parts)


def _check(cameras: Sequence[Camera], tracks: Sequence[DenseTracks]) -> None:
    """Raises ShapeError unless there is one track per camera, and all are of one base and the same targets."""
    if not tracks or len(tracks) != len(cameras):
        raise ShapeError(f"Motion needs tracks of every camera, got {len(tracks)} for {len(cameras)} cameras.")
    if any((t.base, t.targets) != (tracks[0].base, tracks[0].targets) for t in tracks):
        raise ShapeError("Tracks of all cameras must have the same base and target frames.")


class SeenBase:
    """What cameras see of the Gaussians of a base frame, found once for all measurements from it and kept as long as this is.

    Memory: 12 bytes per view and pixel, 36 per view and Gaussian.
    """

    def __init__(self, rasterizer: Rasterizer, gaussians: Gaussians, cameras: Sequence[Camera], settings: MeasureSettings) -> None:
        self._found: dict[tuple[int, int], BaseViews] = {}
        self._find = partial(base_views, rasterizer, gaussians)
        self._cameras, self._settings = cameras, settings

    def of(self, views: slice) -> BaseViews:
        """Of these cameras."""
        key = (views.start, views.stop)
        if key not in self._found:
            self._found[key] = self._find(self._cameras[views], self._settings)
        return self._found[key]


def measure(
    rasterizer: Rasterizer,
    gaussians: Gaussians,
    cameras: Sequence[Camera],
    tracks: Sequence[DenseTracks],
    settings: MeasureSettings,
    base: SeenBase | None = None,
) -> Measurements:
    """What the tracks of every camera, all of one base, say about the Gaussians, for every target.

    Memory: 21 bytes per view, target and Gaussian. ``base`` is of the same Gaussians, cameras and settings.

    Raises ShapeError if there is not one track per camera, or they differ in base, targets or the size of their camera.
    """
    _check(cameras, tracks)
    parts: list[dict[str, Tensor]] = []
    for views in views_at_once(gaussians, cameras, len(tracks[0].targets)):
        affine, seen = measure_views(
            rasterizer, gaussians, cameras[views], tracks[views], settings, None if base is None else base.of(views)
        )
        parts.append(_assessed(affine, seen, gaussians, cameras[views], settings))
    joined = parts[0] if len(parts) == 1 else {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    weights = inverse_view_weights(joined.pop("area"), settings.view_weight_power, settings.least_view_share)
    return Measurements(inverse_view_weight=weights, **joined)


def _assessed(
    affine: AffineMotion, seen: Visibility, gaussians: Gaussians, cameras: Sequence[Camera], settings: MeasureSettings
) -> dict[str, Tensor]:
    """The fields of the measurements of these views by name, and the ``area`` (V, N) of the Gaussians that each sees, scene units^2."""
    if has_triton(affine.weight):
        from trackersplat.motion import measure_triton as fused

        rows = [(*camera.center, 0.5 * (camera.fx + camera.fy)) for camera in cameras]
        there = uploaded(rows, affine.weight.device, torch.float32)
        means, log_scales = gaussians.means.detach(), gaussians.log_scales.detach()
        return fused.assess(affine, seen.weight, seen.behind, seen.surface, means, log_scales, there, settings)
    return assessed_elementwise(affine, seen, gaussians, cameras, settings)


def assessed_elementwise(
    affine: AffineMotion, seen: Visibility, gaussians: Gaussians, cameras: Sequence[Camera], settings: MeasureSettings
) -> dict[str, Tensor]:
    variance = _variance(affine, seen, gaussians, cameras, settings)
    return {
        "displacement": affine.displacement,
        "variance": variance.total,
        "rough": variance.rough,
        "moved": affine.displacement.norm(dim=-1).maximum(affine.reach),
        "shown": variance.shown,
        "surface": torch.where(variance.shown[..., None], seen.surface, 0.0),
        "area": seen.weight * _pixel_area(gaussians, cameras),
    }


def inverse_view_weights(area: Tensor, power: float, least_share: float) -> Tensor:
    """(V, N) from 1 on: views are weighted by the visible ``area`` (V, N) of a moving Gaussian; the variance grows by the inverse weight.

    The weight is a power of the area (squared scene units) over that in the view that sees most of it, at least ``least_share``. At a
    grazing angle little is seen, because the rest is turned away or behind what is nearer, and the rays through the mean meet the
    surface far from it, where it moves differently if it turns. That error is larger than noise, hence the ``power``. Static Gaussians
    are seen to be static at any angle, so this does not apply to them.
    """
    if has_triton(area):
        from trackersplat.motion import measure_triton as fused

        return fused.inverse_view_weights(area, power, least_share)
    return inverse_view_weights_elementwise(area, power, least_share)


def inverse_view_weights_elementwise(area: Tensor, power: float, least_share: float) -> Tensor:
    share = area / area.amax(0).clamp_min(1e-30)
    return share.clamp_min(least_share) ** -power


def _pixel_area(gaussians: Gaussians, cameras: Sequence[Camera]) -> Tensor:
    """(V, N) squared scene units that a pixel of each camera spans across the ray to each mean."""
    means = gaussians.means.detach()
    distance = (means - uploaded(centers(cameras), means.device, means.dtype)[:, None]).norm(dim=-1)
    focal = uploaded([0.5 * (camera.fx + camera.fy) for camera in cameras], means.device, means.dtype)
    return (distance / focal[:, None]).square()


class _Variance(NamedTuple):
    total: Tensor  # (V, F, N) px^2 per axis of the displacement of the mean; inf where it is not valid
    rough: Tensor  # (V, F, N) px^2: the part that is not the tracks' noise; 0 where it is not valid
    shown: Tensor  # (V, N) bool: the view sees the Gaussian in the base frame


def _variance(
    affine: AffineMotion, seen: Visibility, gaussians: Gaussians, cameras: Sequence[Camera], settings: MeasureSettings
) -> _Variance:
    means = gaussians.means
    depth = (means - uploaded(centers(cameras), means.device, means.dtype)[:, None]).norm(dim=-1)
    tolerance = settings.surface_tolerance * depth + gaussians.scales.amax(-1)
    hidden = (seen.behind.nan_to_num(torch.inf) / tolerance).clamp(0.0, 1e3)
    gain = (1.0 + affine.leverage) * (1.0 + hidden**4)[:, None]
    # Little weight means few pixels, and share those that are certain: both thin out what there is to average.
    gain = gain * (1.0 + settings.minimum_weight / affine.weight.clamp_min(1e-9)) / affine.share.clamp_min(1e-6)
    rough = affine.spread.square() * gain
    shown = (seen.weight >= settings.minimum_weight) & (hidden < 1.0)
    valid = (affine.weight >= settings.minimum_weight) & (affine.share >= settings.minimum_share) & (hidden < 1.0)[:, None]
    variance = settings.track_noise_px**2 * gain + rough
    valid &= torch.isfinite(variance)  # tracks may be off by more than can be squared
    return _Variance(total=torch.where(valid, variance, torch.inf), rough=torch.where(valid, rough, 0.0), shown=shown)


def pixel_size(means: Tensor, cameras: Sequence[Camera]) -> Tensor:
    """(N,) scene units that one pixel spans at each mean, in the camera that resolves it best of those whose image it falls into.

    Where cameras stand around their scene, each is next to much that it does not see. A mean outside all images is measured by all.
    """
    at, depth = project(cameras, means)
    rows = [(0.5 * (camera.fx + camera.fy), camera.near, camera.width, camera.height) for camera in cameras]
    focal, near, *size = uploaded(rows, means.device, means.dtype).T[..., None]
    spanned = torch.where(depth > 0, depth / focal, torch.inf)
    inside = inside_image(at, *size) & (depth >= near)
    best = torch.where(inside, spanned, torch.inf).amin(0)
    return torch.where(best.isfinite(), best, spanned.amin(0))
