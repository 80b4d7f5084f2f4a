"""Exhaustive matching of small images: finds any translation within a radius, however small the thing that moves."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import adaptive_max_pool2d, avg_pool2d, interpolate, pad

from trackersplat.geometry.devices import has_triton
from trackersplat.tracking.trackers.dis.settings import SearchSettings
from trackersplat.tracking.trackers.dis_gpu.images import gray, slopes

REACH = 3  # pixels around the matched one: 2 misses flat areas, 4 swallows thin things
_OUTSIDE = 1e4  # beyond every difference of two pixels


def displacements(source: Tensor, target: Tensor, wanted: Tensor, reach: float, settings: SearchSettings) -> Tensor:
    """(B, 2, H, W): of every pixel of ``source`` (B, 3, H, W) in ``target`` (uint8), within ``reach``, a share of the longest side.

    Only pixels ``wanted`` (B, H, W) are searched for certain; where none is near, the displacement may be zero.
    Images are reduced first. There, the cost of a whole-pixel displacement is the difference of colours and gradients, both cut
    off, over a 7x7 window; the winner takes all. Time grows with the fourth power of the reduced size.
    """
    height, width = source.shape[2:]
    factor = max(2.0, max(height, width) / settings.side_px)
    size = max(8, round(height / factor)), max(8, round(width / factor))
    a, b = (features(interpolate(images.float(), size, mode="area")) for images in (source, target))
    radius = max(1, round(max(size) * reach))
    if has_triton(a):
        from trackersplat.tracking.trackers.dis_gpu import exhaustive_triton as fused

        needed = adaptive_max_pool2d(wanted[:, None].float(), size)[:, 0] > 0
        found = fused.search(a, b, needed, radius, settings, reach=REACH)
    else:
        found = search(a, b, radius, settings)
    scale = found.new_tensor((width / size[1], height / size[0]))[:, None, None]
    return interpolate(found, (height, width), mode="nearest") * scale


def features(images: Tensor) -> Tensor:
    """(B, 5, H, W) float32, whole numbers: the colours and a quarter of the horizontal and vertical slopes (Sobel) of brightness."""
    x, y = slopes(gray(images))
    smooth_x, smooth_y = _smoothed(x, 1), _smoothed(y, 2)
    return torch.cat((images, 0.25 * smooth_x[:, None], 0.25 * smooth_y[:, None]), dim=1).round()


def search(a: Tensor, b: Tensor, radius: int, settings: SearchSettings) -> Tensor:
    """The best displacements (B, 2, h, w) of ``a`` in ``b``, both what `features` returned; the first in the order of rows if alike."""
    height, width = a.shape[2:]
    size = 2 * REACH + 1
    outside = settings.colour_limit + settings.gradient_limit
    padded = pad(b, (radius,) * 4, value=_OUTSIDE)
    lowest = torch.full_like(a[:, 0], torch.inf)
    best = torch.zeros_like(a[:, 0])
    across = 2 * radius + 1
    for number in range(across * across):
        row, column = divmod(number, across)
        difference = (padded[:, :, row : row + height, column : column + width] - a).abs()
        cost = difference[:, :3].sum(1).clamp_max(settings.colour_limit) + difference[:, 3:].sum(1).clamp_max(settings.gradient_limit)
        window = avg_pool2d(pad(cost, (REACH,) * 4, value=outside), size, stride=1, divisor_override=1)
        window = window + settings.step_penalty * (abs(row - radius) + abs(column - radius))
        better = window < lowest
        lowest, best = torch.where(better, window, lowest), torch.where(better, float(number), best)
    return torch.stack((best % across - radius, torch.div(best, across, rounding_mode="floor") - radius), dim=1)


def _smoothed(values: Tensor, axis: int) -> Tensor:
    """Weights 1, 2, 1 along an axis of (B, H, W); continued beyond the border."""
    size = values.shape[axis]
    padded = pad(values[:, None], (0, 0, 1, 1) if axis == 1 else (1, 1, 0, 0), mode="replicate")[:, 0]
    return padded.narrow(axis, 0, size) + 2.0 * values + padded.narrow(axis, 2, size)
