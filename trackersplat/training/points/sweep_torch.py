"""The plane sweep of ``sweep`` in PyTorch, several views at a time: for GPUs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, grid_sample, pad

from trackersplat.training.memory import free_memory
from trackersplat.training.points.settings import SweepSettings
from trackersplat.training.points.sweep import DepthMap, View, homography, planes

_BEYOND = 5000  # cost of planes that a view does not have; four paths of it still fit into 16 bits
_AT_ONCE = 2 * 2**30  # bytes of the cost volumes and their sums that are held together, and no more than a quarter of what is free
_WARPED = 512 * 2**20  # bytes of the images that are warped together


@dataclass(frozen=True)
class Sweep:
    """One view to find the depths of."""

    reference: View
    others: Sequence[View]  # at least one
    near: float
    far: float


def depth_maps(sweeps: Sequence[Sweep], device: torch.device, settings: SweepSettings) -> Iterator[DepthMap]:
    """The depth map of every view in order, as ``sweep.sweep`` finds it but for rounding. All views have images of one size."""
    inverse = [planes(s.reference.camera, [v.camera for v in s.others], s.near, s.far, settings) for s in sweeps]
    height, width = sweeps[0].reference.gray.shape
    deepest = max(len(w) for w in inverse)
    free = free_memory(device)
    at_once = _AT_ONCE if free is None else min(_AT_ONCE, free // 4)
    together = max(1, at_once // (height * width * deepest * 8))
    for start in range(0, len(sweeps), together):
        chosen, depths = sweeps[start : start + together], inverse[start : start + together]
        cost = torch.full((len(chosen), height, width, max(len(w) for w in depths)), _BEYOND, dtype=torch.int16, device=device)
        for volume, one, w in zip(cost, chosen, depths, strict=True):
            volume[..., : len(w)] = _cost_volume(one, w, device, settings)
        gray = torch.stack([_tensor(one.reference.gray, device) for one in chosen])
        total = aggregate(cost, gray, settings.step_penalty, settings.jump_penalty, settings.edge)
        yield from (_depth_map(sums, costs, w) for sums, costs, w in zip(total, cost, depths, strict=True))


def _cost_volume(one: Sweep, inverse: np.ndarray, device: torch.device, settings: SweepSettings) -> Tensor:
    """(H, W, D) uint8."""
    gray = _tensor(one.reference.gray, device)
    height, width = gray.shape
    mean, square = _box(torch.stack((gray, gray * gray)), settings.window)
    patches = _Patches(gray, mean, (square - mean * mean).clamp_min(settings.flat**2))
    rows, columns = torch.meshgrid(*(torch.arange(n, device=device) + 0.5 for n in (height, width)), indexing="ij")
    cost = torch.empty(height, width, len(inverse), dtype=torch.uint8, device=device)
    step = max(1, _WARPED // (40 * height * width))
    for start in range(0, len(inverse), step):
        w = _tensor(inverse[start : start + step], device)[:, None, None]
        best = torch.ones(len(w), height, width, device=device)
        second = torch.ones_like(best)
        for other in one.others:
            a, b = homography(one.reference.camera, other.camera)
            x, y, z = (float(a[i, 0]) * columns + float(a[i, 1]) * rows + float(a[i, 2]) + w * float(b[i]) for i in range(3))
            ahead = z > 1e-6
            z = z.clamp_min(1e-6)
            mismatch = _mismatch(patches, _tensor(other.gray, device), x / z - 0.5, y / z - 0.5, ahead, settings)
            second = torch.minimum(second, torch.maximum(best, mismatch))
            best = torch.minimum(best, mismatch)
        cost[..., start : start + step] = ((best + second) * 127.5).to(torch.uint8).permute(1, 2, 0)
    return cost


@dataclass(frozen=True)
class _Patches:
    """The reference image and the statistics of the window around each pixel, all (H, W)."""

    gray: Tensor
    mean: Tensor
    variance: Tensor  # at least that of a flat patch


def _mismatch(patches: _Patches, other: Tensor, x: Tensor, y: Tensor, ahead: Tensor, settings: SweepSettings) -> Tensor:
    """(D, H, W) in [0, 1]: half of one minus the correlation of patches with those at the array indices (x, y) of the other image."""
    height, width = other.shape
    inside = ahead & (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    grid = torch.stack((2 * x / max(width - 1, 1) - 1, 2 * y / max(height - 1, 1) - 1), dim=-1)
    sampled = grid_sample(other.expand(len(x), 1, -1, -1), grid, align_corners=True)[:, 0]
    warped = torch.where(inside, sampled, 0.0)
    other_mean, other_square, product = _box(torch.stack((warped, warped * warped, warped * patches.gray)), settings.window)
    covariance = product - patches.mean * other_mean
    spread = patches.variance * (other_square - other_mean * other_mean).clamp_min(settings.flat**2)
    return torch.where(inside, (0.5 - 0.5 * covariance / spread.sqrt()).clamp(0.0, 1.0), 1.0)


def aggregate(cost: Tensor, image: Tensor, step_penalty: int, jump_penalty: int, edge: float) -> Tensor:
    """``semiglobal.aggregate`` of several views: ``cost`` (V, H, W, D) int16, ``image`` (V, H, W); sums (V, H, W, D) int16."""
    total = torch.zeros_like(cost)
    for along in (2, 1):
        for backwards in (False, True):
            penalties = (step_penalty, jump_penalty, edge)
            _add_path(cost.movedim(along, 0), image.movedim(along, 0), penalties, backwards, total.movedim(along, 0))
    return total


def _add_path(cost: Tensor, image: Tensor, penalties: tuple[int, int, float], backwards: bool, total: Tensor) -> None:
    """One direction, along the first axis: all lines advance together."""
    step, jump, halving = penalties
    order = range(len(cost) - 1, -1, -1) if backwards else range(len(cost))
    state = torch.zeros_like(cost[0])
    last = -1
    for place in order:
        if last < 0:
            state = cost[place].clone()
        else:
            edge = (image[place] - image[last]).abs()
            penalty = (jump / (1.0 + edge / halving)).to(torch.int16).clamp_min(step + 1)[..., None]
            lowest = state.amin(-1, keepdim=True)
            around = pad(state, (1, 1), value=_BEYOND)
            best = torch.minimum(torch.minimum(state, lowest + penalty), torch.minimum(around[..., :-2], around[..., 2:]) + step)
            state = cost[place] + best - lowest
        total[place] += state
        last = place


def _depth_map(total: Tensor, cost: Tensor, inverse: np.ndarray) -> DepthMap:
    count = len(inverse)
    index = torch.arange(count, device=total.device)
    best = (total[..., :count].int() * 512 + index).amin(-1, keepdim=True) % 512  # the first of equal ones
    left, middle, right = (total.gather(-1, (best + d).clamp(0, count - 1).long()).float() for d in (-1, 0, 1))
    curvature = left - 2 * middle + right
    inner = (best > 0) & (best < count - 1) & (curvature > 0)
    plane = best + torch.where(inner, 0.5 * (left - right) / curvature.clamp_min(1e-12), 0.0)
    mismatch = cost.gather(-1, best.long()).float() / 255
    depth = 1.0 / (inverse[0] + plane[..., 0].cpu().numpy() * (inverse[1] - inverse[0])).clip(0.5 * inverse[0])
    return DepthMap(depth.astype(np.float32), mismatch[..., 0].cpu().numpy())


def _box(values: Tensor, window: int) -> Tensor:
    """Means over windows; the border reflects."""
    half = window // 2
    flat = values.reshape(-1, 1, *values.shape[-2:])
    return avg_pool2d(pad(flat, (half, half, half, half), mode="reflect"), window, 1).reshape(values.shape)


def _tensor(values: np.ndarray, device: torch.device) -> Tensor:
    return torch.as_tensor(np.ascontiguousarray(values), dtype=torch.float32, device=device)
