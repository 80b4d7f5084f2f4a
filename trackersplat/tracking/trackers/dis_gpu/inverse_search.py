"""Displacements of patches by inverse search, and dense displacements from them (Kroeger et al. 2016, equations 2 to 4).

Patches of 8x8 pixels stand every 4 pixels, so that each pixel lies in four of them.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad, unfold

from trackersplat.geometry.devices import has_triton
from trackersplat.tracking.trackers.dis_gpu.images import sample, slopes
from trackersplat.tracking.trackers.dis_gpu.settings import FlowSettings

PATCH = 8
STRIDE = 4
FARTHEST = 8.0  # pixels: a search that ends further from its start has left what it was looking at
_FLAT = 1e-3  # added to the second moments of the gradients, so that flat patches stay where they are


def search(source: Tensor, target: Tensor, initial: Tensor, settings: FlowSettings) -> Tensor:
    """(B, 2, rows, columns): displacements of the patches of ``source`` (B, H, W) in ``target``, from ``initial`` (B, 2, H, W).

    A patch first takes over the displacement of a neighbour that fits better, then steps down the gradient of its squared difference,
    brightness being free by a constant; it keeps the best place on its way.
    """
    if has_triton(source):
        from trackersplat.tracking.trackers.dis_gpu import inverse_search_triton as fused

        source, target, flow = source.contiguous(), target.contiguous(), initial.contiguous()
        for index in range(settings.rounds):
            flow = fused.search_round(
                source, target, flow, settings.steps,
                patch=PATCH, stride=STRIDE, farthest=FARTHEST, flat=_FLAT, spacing=1 if index else STRIDE,
            )  # fmt: skip
        if settings.rounds:
            return flow
    flow = _at_patches(initial)
    for _ in range(settings.rounds):
        flow = _round(source, target, flow, settings.steps)
    return flow


def _at_patches(dense: Tensor) -> Tensor:
    """(B, C, rows, columns) of values of all pixels."""
    sizes = dense.shape[2:]
    rows, columns = (
        (STRIDE * torch.arange(count, device=dense.device)).clamp(max=size - 1)
        for count, size in zip(patch_grid(*sizes), sizes, strict=True)
    )
    return dense[:, :, rows[:, None], columns]


def patch_grid(height: int, width: int) -> tuple[int, int]:
    """Rows and columns of patches; the first patch begins `STRIDE` pixels outside the image."""
    return -(-height // STRIDE) + 1, -(-width // STRIDE) + 1


def densify(source: Tensor, target: Tensor, patches: Tensor) -> Tensor:
    """(B, 2, H, W): the mean of the displacements of the four patches around a pixel, weighted by how well they fit it."""
    if has_triton(source):
        from trackersplat.tracking.trackers.dis_gpu import inverse_search_triton as fused

        return fused.densify(source.contiguous(), target.contiguous(), patches.contiguous(), stride=STRIDE)
    return _densify(source, target, patches)


def _densify(source: Tensor, target: Tensor, patches: Tensor) -> Tensor:
    height, width = source.shape[1:]
    rows = torch.arange(height, device=source.device)[:, None]
    columns = torch.arange(width, device=source.device)
    grid = torch.stack((columns.expand(height, width), rows.expand(height, width))).float()
    total, weights = torch.zeros_like(source)[:, None], torch.zeros_like(source)[:, None]
    for down in (0, 1):
        for right in (0, 1):
            flow = patches[:, :, rows // STRIDE + down, columns // STRIDE + right]
            difference = sample(target[:, None], grid + flow) - source[:, None]
            weight = 1.0 / difference.abs().clamp_min(1.0)
            total = total + weight * flow
            weights = weights + weight
    return total / weights


def _round(source: Tensor, target: Tensor, flow: Tensor, steps: int) -> Tensor:
    height, width = source.shape[1:]
    rows, columns = patch_grid(height, width)
    device = source.device
    y0, x0 = (STRIDE * (torch.arange(count, device=device) - 1) for count in (rows, columns))
    offset = torch.arange(PATCH, device=device)
    y = (y0[:, None] + offset)[:, None, :, None]  # (rows, 1, 8, 1)
    x = (x0[:, None] + offset)[None, :, None, :]
    inside = ((y >= 0) & (y < height) & (x >= 0) & (x < width)).flatten(2).flatten(0, 1).float()  # (P, 64)
    count = inside.sum(-1)

    def cut(image: Tensor) -> Tensor:
        """(B, P, 64)."""
        margins = (STRIDE, STRIDE * (columns - 2) + PATCH - width, STRIDE, STRIDE * (rows - 2) + PATCH - height)
        return unfold(pad(image[:, None], margins), PATCH, stride=STRIDE).transpose(1, 2)

    def centred(values: Tensor) -> Tensor:
        values = values * inside
        return (values - values.sum(-1, keepdim=True) / count[:, None]) * inside

    template = cut(source)
    gx, gy = (centred(0.5 * cut(slope)) for slope in slopes(source))
    xx, xy, yy = (gx * gx).sum(-1) + _FLAT, (gx * gy).sum(-1), (gy * gy).sum(-1) + _FLAT
    determinant = xx * yy - xy * xy
    places = torch.stack((x.expand(rows, columns, PATCH, PATCH), y.expand(rows, columns, PATCH, PATCH))).reshape(1, 2, rows * columns, -1)

    def differences(displacement: Tensor) -> Tensor:
        """(B, P, 64) for (B, 2, P)."""
        return centred(sample(target[:, None], places + displacement[..., None])[:, 0] - template)

    best = flow.flatten(2)
    lowest = differences(best).square().sum(-1)
    around = pad(flow, (1, 1, 1, 1), mode="replicate")
    start = best
    for dy, dx in ((0, 1), (2, 1), (1, 0), (1, 2)):
        other = around[:, :, dy : dy + rows, dx : dx + columns].flatten(2)
        cost = differences(other).square().sum(-1)
        better = cost < lowest
        start, lowest = torch.where(better[:, None], other, start), torch.where(better, cost, lowest)
    best = current = start
    for _ in range(steps):
        error = differences(current)
        cost = error.square().sum(-1)
        near = (current - start).square().sum(1) <= FARTHEST**2
        better = (cost < lowest) & near
        best, lowest = torch.where(better[:, None], current, best), torch.where(better, cost, lowest)
        bx, by = (gx * error).sum(-1), (gy * error).sum(-1)
        step = torch.stack((yy * bx - xy * by, xx * by - xy * bx), dim=1) / determinant[:, None]
        current = current - step
    return best.unflatten(2, (rows, columns))
