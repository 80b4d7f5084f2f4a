"""Variational refinement of displacements: robust constancy of brightness and gradient, robust smoothness (Brox et al. 2004).

The data terms are normalised by the gradient (Zimmer et al. 2011, section 3.1). The images are warped once, the robust penalties are
linearised several times, and each linear system gets a few sweeps of successive over-relaxation, in the order of a chessboard.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from trackersplat.geometry.devices import has_triton
from trackersplat.tracking.trackers.dis_gpu.images import pixel_grid, sample, slopes
from trackersplat.tracking.trackers.dis_gpu.settings import VariationalSettings


class Derivatives(NamedTuple):
    """Of the warped image and the source, each (B, H, W): in space their mean, in time their difference."""

    x: Tensor
    y: Tensor
    t: Tensor
    xx: Tensor
    xy: Tensor
    yy: Tensor
    xt: Tensor
    yt: Tensor


def refine(source: Tensor, target: Tensor, flow: Tensor, settings: VariationalSettings) -> Tensor:
    """``flow`` (B, 2, H, W) from ``source`` (B, H, W) to ``target``, refined by a fraction of a pixel."""
    if settings.linearisations == 0 or settings.sweeps == 0:
        return flow
    if has_triton(source):
        from trackersplat.tracking.trackers.dis_gpu import variational_triton as fused

        return fused.refine(source.contiguous(), target.contiguous(), flow.contiguous(), settings)
    return _refine(source, target, flow, settings)


def _refine(source: Tensor, target: Tensor, flow: Tensor, settings: VariationalSettings) -> Tensor:
    height, width = source.shape[1:]
    grid = pixel_grid(height, width, source.device)
    warped = sample(target[:, None], grid + flow)[:, 0]
    d = derivatives(source, warped)
    even = (grid.sum(0) % 2 == 0)[None, None]
    change = torch.zeros_like(flow)
    for _ in range(settings.linearisations):
        system = _linearised(d, change, settings)
        weights = _smoothness(flow + change, settings)
        for _ in range(settings.sweeps):
            for colour in (even, ~even):
                change = torch.where(colour, _relaxed(system, weights, flow, change, settings.relaxation), change)
    return flow + change


def derivatives(source: Tensor, warped: Tensor) -> Derivatives:
    mean, difference = 0.5 * (source + warped), warped - source
    x, y = (0.5 * slope for slope in slopes(mean))
    xx, xy = (0.5 * slope for slope in slopes(x))
    yy = 0.5 * slopes(y)[1]
    xt, yt = (0.5 * slope for slope in slopes(difference))
    return Derivatives(x, y, difference, xx, xy, yy, xt, yt)


def _linearised(d: Derivatives, change: Tensor, settings: VariationalSettings) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The data terms' symmetric matrix (uu, uv, vv) and right-hand side (u, v), each (B, H, W)."""
    u, v = change.unbind(1)
    flat, kink = settings.normaliser**2, settings.penalty**2
    norm = 1.0 / (d.x * d.x + d.y * d.y + flat)
    error = d.t + d.x * u + d.y * v
    weight = settings.brightness * norm / (error * error * norm + kink).sqrt()
    norm_x, norm_y = 1.0 / (d.xx * d.xx + d.xy * d.xy + flat), 1.0 / (d.xy * d.xy + d.yy * d.yy + flat)
    error_x, error_y = d.xt + d.xx * u + d.xy * v, d.yt + d.xy * u + d.yy * v
    gradient = settings.gradient / (error_x * error_x * norm_x + error_y * error_y * norm_y + kink).sqrt()
    weight_x, weight_y = gradient * norm_x, gradient * norm_y
    uu = weight * d.x * d.x + weight_x * d.xx * d.xx + weight_y * d.xy * d.xy
    uv = weight * d.x * d.y + weight_x * d.xx * d.xy + weight_y * d.xy * d.yy
    vv = weight * d.y * d.y + weight_x * d.xy * d.xy + weight_y * d.yy * d.yy
    bu = -(weight * d.x * d.t + weight_x * d.xx * d.xt + weight_y * d.xy * d.yt)
    bv = -(weight * d.y * d.t + weight_x * d.xy * d.xt + weight_y * d.yy * d.yt)
    return uu, uv, vv, bu, bv


def _smoothness(flow: Tensor, settings: VariationalSettings) -> Tensor:
    """(B, H, W): weight of the differences between a pixel and its right and lower neighbours."""
    right, down = pad(flow, (0, 1, 0, 0), mode="replicate").diff(dim=3), pad(flow, (0, 0, 0, 1), mode="replicate").diff(dim=2)
    squares = (right * right + down * down).sum(1)
    return settings.smoothness / (squares + settings.penalty**2).sqrt()


def _relaxed(system: tuple[Tensor, ...], weights: Tensor, flow: Tensor, change: Tensor, relaxation: float) -> Tensor:
    uu, uv, vv, bu, bv = system
    # Weights of the links to the right, down, left and up; links across the border have none.
    right, down = weights.clone(), weights.clone()
    right[:, :, -1] = 0.0
    down[:, -1] = 0.0
    left, up = pad(right, (1, 0))[:, :, :-1], pad(down, (0, 0, 1, 0))[:, :-1]
    around = pad(flow + change, (1, 1, 1, 1), mode="replicate")
    pull = (
        right[:, None] * around[:, :, 1:-1, 2:]
        + left[:, None] * around[:, :, 1:-1, :-2]
        + down[:, None] * around[:, :, 2:, 1:-1]
        + up[:, None] * around[:, :, :-2, 1:-1]
    )
    total = right + left + down + up
    pull = pull - total[:, None] * flow
    # Gauss-Seidel within the pixel: u first, then v with the new u.
    u, v = change.unbind(1)
    u = u + relaxation * ((bu + pull[:, 0] - uv * v) / (uu + total) - u)
    v = v + relaxation * ((bv + pull[:, 1] - uv * u) / (vv + total) - v)
    return torch.stack((u, v), dim=1)
