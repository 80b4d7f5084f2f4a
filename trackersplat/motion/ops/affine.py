"""From dense tracks in every view to one 2D affine motion per Gaussian and view."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.errors import ShapeError
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.geometry.devices import has_triton, uploaded
from trackersplat.geometry.projection import centers, project
from trackersplat.geometry.quaternions import conjugate, rotate
from trackersplat.motion.ops.affine_fit import SHARED_CHANNELS, TARGET_CHANNELS, AffineFit
from trackersplat.motion.ops.results import AffineMotion
from trackersplat.motion.settings import MeasureSettings
from trackersplat.rendering.lift import lift
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.tracking.tracks import DenseTracks

_CPU_BYTES = 256 * 2**20  # memory of the features and sums of one lift; more views and targets than fit go into several
_GPU_BYTES = 2 * 2**30  # the same on a GPU, which small lifts leave idle


@dataclass(frozen=True, eq=False)
class Visibility:
    """How well V views see N Gaussians in the base frame."""

    weight: Tensor  # (V, N) blending weight, summed over opaque pixels
    behind: Tensor  # (V, N) scene units from the rendered depth back to the mean; nan without weight
    surface: Tensor  # (V, N, 3) scene units from the mean to the point of the surface in front of it; 0 without weight


@dataclass(frozen=True, eq=False)
class BaseViews:
    """What V views of one size see of N Gaussians in the base frame, whatever tracks say."""

    mean: Tensor  # (V, N, 2) float64 projected means in px
    depth: Tensor  # (V, N) float64 scene units
    deviation: Tensor  # (V, N) scene units, see `deviation_towards`
    front: Tensor  # (V, N) float64 scene units: depth of the side of a Gaussian that faces the camera
    features: Tensor  # (V, H, W, 3) see `surface_features`


def views_at_once(gaussians: Gaussians, cameras: Sequence[Camera], targets: int) -> Iterator[slice]:
    """Runs of cameras that ``measure_views`` can take together: of one size and near plane, and as many as fit into memory."""
    start = 0
    while start < len(cameras):
        first = cameras[start]
        most = max(1, _budget(gaussians) // (_bytes_per_channel(gaussians, first) * (SHARED_CHANNELS + TARGET_CHANNELS * targets)))
        stop = start + 1
        while stop < min(start + most, len(cameras)) and _kind(cameras[stop]) == _kind(first):
            stop += 1
        yield slice(start, stop)
        start = stop


def _kind(camera: Camera) -> tuple[int, int, float]:
    return camera.width, camera.height, camera.near


def _budget(gaussians: Gaussians) -> int:
    return _GPU_BYTES if gaussians.means.is_cuda else _CPU_BYTES


def _bytes_per_channel(gaussians: Gaussians, camera: Camera) -> int:
    return 4 * (camera.width * camera.height + len(gaussians))


@torch.no_grad()
def base_views(rasterizer: Rasterizer, gaussians: Gaussians, cameras: Sequence[Camera], settings: MeasureSettings) -> BaseViews:
    """For cameras of one size and near plane."""
    mean, depth = project(cameras, gaussians.means.double())
    deviation = deviation_towards(cameras, gaussians)
    front = depth - settings.surface_deviations * deviation
    rendering = rasterizer.render(gaussians, cameras, channels=front.float()[..., None], sh_degree=0)
    assert rendering.channels is not None  # the interface returns what was asked for
    depths = torch.stack((rendering.depth, rendering.channels[..., 0]), dim=-1)
    return BaseViews(mean, depth, deviation, front, surface_features(rendering.alpha, depths, settings.opaque_alpha))


def measure_views(
    rasterizer: Rasterizer,
    gaussians: Gaussians,
    cameras: Sequence[Camera],
    tracks: Sequence[DenseTracks],
    settings: MeasureSettings,
    base: BaseViews | None = None,
) -> tuple[AffineMotion, Visibility]:
    """The affine motions in V views of one size and near plane, and what those views see of the Gaussians.

    Footprints are shrunk to ``settings.core`` times their size first: tracks across the outline of an object belong to two
    motions, and most Gaussians near an outline are narrow enough to stay on their side of it. What then shows through the
    gaps is told by ``behind``, which is measured against the surface of the whole Gaussians. All targets share one lift,
    split where its features and sums would not fit into memory (256 MB on a CPU, 2 GB on a GPU). ``base`` is what `base_views` gives,
    if it is known already.

    Raises ShapeError if the tracks are not at the cameras' resolution, or the cameras do not fit each other.
    """
    for camera, track in zip(cameras, tracks, strict=True):
        if track.positions.shape[1:3] != (camera.height, camera.width):
            size = f"{track.positions.shape[2]}x{track.positions.shape[1]}"
            raise ShapeError(f"Tracks of camera {camera.name} are {size}, its image is {camera.width}x{camera.height}.")
    device = gaussians.device
    width, height = cameras[0].width, cameras[0].height
    with torch.no_grad():
        seen = base_views(rasterizer, gaussians, cameras, settings) if base is None else base
        cores = replace(gaussians.detach(), log_scales=gaussians.log_scales.detach() + math.log(settings.core))
        per_target = len(cameras) * _bytes_per_channel(gaussians, cameras[0]) * TARGET_CHANNELS
        step = max(1, _budget(gaussians) // per_target)
        parts = []
        sums = torch.zeros(0, device=device)
        hidden = uploaded([track.hidden_weight for track in tracks], device, torch.float32)[:, None, None, None]
        for first in range(0, len(tracks[0].targets), step):
            chosen = slice(first, first + step)
            visibility = torch.stack([track.visibility[chosen].to(device) for track in tracks])
            confidence = torch.stack([track.confidence[chosen].to(device) for track in tracks])
            certainty = (hidden + (1 - hidden) * visibility) * confidence
            positions = torch.stack([track.positions[chosen].to(device) for track in tracks])
            sums = lift(rasterizer, cores, cameras, _all_features(seen.features, positions, certainty))
            parts.append(solve_affine(sums, seen.mean, width, height))
        return _joined(parts), _visibility(sums, seen, gaussians.means, uploaded(centers(cameras), device, torch.float64), settings)


def _visibility(sums: Tensor, seen: BaseViews, means: Tensor, middles: Tensor, settings: MeasureSettings) -> Visibility:
    """``sums`` (V, N, 3 or more) lifted `surface_features`; ``middles`` (V, 3) float64 are the optical centres."""
    if has_triton(sums):
        from trackersplat.motion.ops import visibility_triton as fused

        return Visibility(*fused.find(sums, seen.depth, seen.deviation, seen.front, means, middles, settings.deepest_deviations))
    return visibility_elementwise(sums, seen, means, middles, settings)


def visibility_elementwise(sums: Tensor, seen: BaseViews, means: Tensor, middles: Tensor, settings: MeasureSettings) -> Visibility:
    weight, rendered = sums[..., 0], sums[..., 1:SHARED_CHANNELS].double() / sums[..., :1].double()
    # Where the depth of something further away leaks in, the Gaussian's own front is the surface.
    # Where something nearer does, it is not this Gaussian's surface either.
    depth, back = seen.depth, seen.depth - settings.deepest_deviations * seen.deviation
    share = torch.minimum(rendered[..., 1], seen.front).maximum(back) / depth
    ray = means.double() - middles[:, None]
    surface = torch.where(((share > 0) & (share < 1))[..., None], (share - 1)[..., None] * ray, 0.0)
    return Visibility(weight, (depth - rendered[..., 0]).float(), surface.float())


def _joined(parts: Sequence[AffineMotion]) -> AffineMotion:
    if len(parts) == 1:
        return parts[0]
    return AffineMotion(**{name: torch.cat([getattr(part, name) for part in parts], dim=1) for name in AffineMotion.__dataclass_fields__})


def deviation_towards(cameras: Sequence[Camera], gaussians: Gaussians) -> Tensor:
    """(V, N) scene units: standard deviation of each Gaussian along the ray from each camera's centre."""
    means = gaussians.means
    ray = torch.nn.functional.normalize(means - uploaded(centers(cameras), means.device, means.dtype)[:, None], dim=-1)
    local = rotate(torch.nn.functional.normalize(conjugate(gaussians.quats), dim=-1).expand(len(cameras), -1, -1), ray)
    return (local * gaussians.scales).norm(dim=-1)


def surface_features(alpha: Tensor, depth: Tensor, opaque_alpha: float) -> Tensor:
    """(..., 1 + D): pixel is opaque, and the expected depths there. ``depth`` (..., D) are blending-weighted sums, ``alpha`` (...)."""
    opaque = (alpha > opaque_alpha).to(alpha.dtype)[..., None]
    return torch.cat((opaque, opaque * depth / alpha.clamp_min(opaque_alpha)[..., None]), dim=-1)


def _all_features(shared: Tensor, positions: Tensor, certainty: Tensor) -> Tensor:
    """(V, H, W, 3 + 13 F): the shared ones and the moments."""
    if not has_triton(shared):
        return torch.cat((shared, moment_features(positions, certainty)), dim=-1)
    from trackersplat.motion.ops import moments_triton as moments

    views, height, width, count = shared.shape
    features = shared.new_empty(views, height, width, count + TARGET_CHANNELS * positions.shape[1])
    moments.write(features, shared, positions, certainty, scale=_half_size(width, height), channels=TARGET_CHANNELS)
    return features


def moment_features(positions: Tensor, certainty: Tensor) -> Tensor:
    """Pixel features whose blending-weighted sums are the moments of an affine fit.

    ``positions`` (V, F, H, W, 2) px, ``certainty`` (V, F, H, W) in [0, 1] -> (V, H, W, 13 F), per target, g being the certainty,
    (x, y) the pixel from the image centre in half image sizes and (u, v) its displacement in pixels:
    g, gx, gy, gxx, gxy, gyy, gu, gux, guy, gv, gvx, gvy, g(uu + vv). Displacements and centred coordinates keep the sums
    exact enough in float32.
    """
    height, width = positions.shape[2:4]
    scale = _half_size(width, height)
    columns = torch.arange(width, device=positions.device, dtype=positions.dtype) + 0.5
    rows = torch.arange(height, device=positions.device, dtype=positions.dtype) + 0.5
    u = positions[..., 0] - columns
    v = positions[..., 1] - rows[:, None]
    # A displacement that is not a number must not poison its neighbours through a weight of zero.
    certainty = torch.where(torch.isfinite(u + v), certainty, 0.0)
    u, v = u.nan_to_num(0.0, 0.0, 0.0), v.nan_to_num(0.0, 0.0, 0.0)
    x = ((columns - 0.5 * width) / scale).expand(height, width)
    y = ((rows - 0.5 * height) / scale)[:, None].expand(height, width)
    one = torch.ones_like(x)
    basis = torch.stack((one, x, y, x * x, x * y, y * y), dim=-1)  # (H, W, 6)
    moved = torch.stack((u, u * x, u * y, v, v * x, v * y, u * u + v * v), dim=-1)  # (V, F, H, W, 7)
    features = torch.cat((certainty[..., None] * basis, certainty[..., None] * moved), dim=-1)
    return features.permute(0, 2, 3, 1, 4).flatten(3)


def solve_affine(sums: Tensor, mean: Tensor, width: int, height: int) -> AffineMotion:
    """Weighted least squares per Gaussian and target from lifted ``surface_features`` and ``moment_features``.

    ``sums`` (V, N, 3 + 13 F); ``mean`` (V, N, 2) projected means in px. Gaussians without weight get zeros. The pixel covariance
    is widened by the rounding error of the sums, which shrinks the linear part of footprints too small to tell.
    """
    scale = _half_size(width, height)
    rounding = 4.0 * torch.finfo(sums.dtype).eps * scale**2
    fit = AffineFit(width=width, height=height, scale=scale, rounding=rounding)
    if has_triton(sums):
        from trackersplat.motion.ops import affine_triton as fused

        return fused.solve(sums, mean, fit)
    return _affine(sums, mean, fit)


def _affine(sums: Tensor, mean: Tensor, fit: AffineFit) -> AffineMotion:
    scale, tiny = fit.scale, fit.tiny
    everything = sums[:, None, :, 0].double()
    moments = sums[..., SHARED_CHANNELS:].double().unflatten(-1, (-1, TARGET_CHANNELS)).transpose(1, 2)  # (V, F, N, 13)
    mean = mean[:, None]
    weight = moments[..., 0]
    moments = moments / weight.clamp_min(tiny)[..., None]
    centre = moments[..., 1:3]
    second = moments[..., [3, 4, 4, 5]].unflatten(-1, (2, 2)) - centre[..., :, None] * centre[..., None, :]
    covariance = second * scale**2 + fit.rounding * torch.eye(2, dtype=torch.float64, device=sums.device)
    shift = moments[..., [6, 9]]  # mean displacement of the footprint
    cross = (moments[..., [7, 8, 10, 11]].unflatten(-1, (2, 2)) - shift[..., :, None] * centre[..., None, :]) * scale
    inverse = _inverse_2x2(covariance, tiny)
    slope = cross @ inverse  # linear - 1
    offset = mean - (centre * scale + mean.new_tensor((0.5 * fit.width, 0.5 * fit.height)))
    displacement = shift + (slope @ offset[..., None])[..., 0]
    total = moments[..., 12] - shift.square().sum(-1)
    explained = (slope * cross).sum((-2, -1))
    leverage = (offset[..., None, :] @ inverse @ offset[..., None])[..., 0, 0]  # squared distance to the footprint in deviations
    present = weight > fit.least_weight
    spread = (total - explained).clamp_min(0.0).sqrt()
    reach = (slope @ covariance * slope).sum((-2, -1)).clamp_min(0.0).sqrt()

    def keep(values: Tensor) -> Tensor:
        mask = present.reshape(*present.shape, *(1,) * (values.ndim - present.ndim))
        return torch.where(mask, values, 0.0).float()

    identity = torch.eye(2, dtype=torch.float64, device=sums.device)
    return AffineMotion(
        displacement=keep(displacement),
        linear=torch.where(present[..., None, None], slope + identity, identity).float(),
        weight=keep(weight),
        share=keep((weight / everything.clamp_min(tiny)).clamp(0.0, 1.0)),
        spread=keep(spread),
        leverage=keep(leverage),
        reach=keep(reach),
    )


def _half_size(width: int, height: int) -> float:
    return 0.5 * max(width, height)


def _inverse_2x2(matrix: Tensor, tiny: float) -> Tensor:
    a, b, c, d = matrix[..., 0, 0], matrix[..., 0, 1], matrix[..., 1, 0], matrix[..., 1, 1]
    determinant = (a * d - b * c).clamp_min(tiny)
    return torch.stack((torch.stack((d, -b), -1), torch.stack((-c, a), -1)), -2) / determinant[..., None, None]
