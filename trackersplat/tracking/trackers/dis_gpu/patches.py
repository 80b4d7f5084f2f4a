"""Comparing small patches of two images, and spreading the good displacements.

The spreading is that of PatchMatch (Barnes et al. 2009), without its random search, for all pixels at once. A patch of 7x7 pixels is
asked at every second of them, as on a chessboard. Their weights fall with the difference in colour from its centre, so that a patch at
the border of a moving object does not compare what lies behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from trackersplat.geometry.devices import has_triton
from trackersplat.tracking.trackers.dis.settings import PatchSettings
from trackersplat.tracking.trackers.dis_gpu.images import CHANNELS

REACH = 3  # pixels on each side of a patch's centre; odd sides, so that every second pixel makes a chessboard
SAME = 0.25  # pixels: displacements as near as this are the same, as far as patches tell
_PART = 1 << 16  # pixels that are compared at once, to bound memory
_NEIGHBOURS = ((0, -1), (-1, 0), (0, 1), (1, 0))  # y and x
_STEPS = ((1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0))


@dataclass(frozen=True, eq=False)
class Chosen:
    """Displacements of all pixels, and what they cost where they were chosen."""

    flow: Tensor  # (B, 2, H, W)
    cost: Tensor  # (B, H, W), 0 elsewhere


def pixels_of(mask: Tensor) -> Tensor:
    """(P,) int64 flat indices of the pixels of a mask. A GPU waits for it."""
    return mask.flatten().nonzero()[:, 0]


def choose(
    source: Tensor,
    target: Tensor,
    candidates: Tensor,
    penalties: tuple[float, ...],
    mask: Tensor,
    settings: PatchSettings,
    listed: Tensor | None = None,
) -> Chosen:
    """Per pixel of the mask the candidate of the lowest patch cost plus penalty, the first if alike; elsewhere the first candidate.

    ``source`` and ``target``: `Images.packed`; ``candidates`` (B, K, 2, H, W) displacements; ``mask`` (B, H, W) bool; ``listed`` what
    `pixels_of` says of it, where that is known.
    """
    if has_triton(candidates):
        from trackersplat.tracking.trackers.dis_gpu import patches_triton as fused

        listed = pixels_of(mask) if listed is None else listed
        return Chosen(*fused.choose(source, target, candidates.contiguous(), penalties, listed, settings, reach=REACH))
    return _choose(source, target, candidates, penalties, mask, settings)


def _choose(
    source: Tensor, target: Tensor, candidates: Tensor, penalties: tuple[float, ...], mask: Tensor, settings: PatchSettings
) -> Chosen:
    flow, cost = candidates[:, 0].clone(), torch.zeros_like(candidates[:, 0, 0])
    for part in _parts(mask):
        patch = _Patch(source, target, part, settings)
        b, y, x = part
        lowest, best = torch.full((len(b),), torch.inf, device=b.device), candidates[b, 0, :, y, x]
        for index, penalty in enumerate(penalties):
            value = candidates[b, index, :, y, x]
            total = patch.cost(value) + penalty
            better = total < lowest
            lowest, best = torch.where(better, total, lowest), torch.where(better[:, None], value, best)
        flow[b, :, y, x], cost[b, y, x] = best, lowest
    return Chosen(flow, cost)


def spread(
    source: Tensor,
    target: Tensor,
    start: Chosen,
    mask: Tensor,
    jumps: Sequence[int],
    gain: float,
    settings: PatchSettings,
    listed: Tensor | None = None,
) -> Chosen:
    """``start`` improved in the mask (with what is ``listed`` as in `choose`).

    Round by round each pixel tries the displacements of the four neighbours that are as far as ``jumps`` says, then steps of one pixel,
    in the second half of the rounds of half a pixel; it changes only for a cost lower by ``gain``.
    """
    if has_triton(start.flow):
        from trackersplat.tracking.trackers.dis_gpu import patches_triton as fused

        flow, cost, listed = start.flow.contiguous(), start.cost, pixels_of(mask) if listed is None else listed
        for index, jump in enumerate(jumps):
            flow, cost = fused.spread_round(
                source, target, flow, cost, listed, settings,
                jump=jump, step=step(index, len(jumps)), gain=gain, same=SAME, reach=REACH,
            )  # fmt: skip
        return Chosen(flow, cost)
    return _spread(source, target, start, mask, jumps, gain, settings)


def _spread(
    source: Tensor, target: Tensor, start: Chosen, mask: Tensor, jumps: Sequence[int], gain: float, settings: PatchSettings
) -> Chosen:
    height, width = mask.shape[1:]
    flow, cost = start.flow, start.cost
    patches = [_Patch(source, target, part, settings) for part in _parts(mask)]
    for index, jump in enumerate(jumps):
        size = step(index, len(jumps))
        before, flow, cost = flow, flow.clone(), cost.clone()
        for patch in patches:
            b, y, x = patch.at
            best, lowest = before[b, :, y, x], cost[b, y, x]
            own = best
            for dy, dx in _NEIGHBOURS:
                row, column = y + dy * jump, x + dx * jump
                inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
                value = before[b, :, row.clamp(0, height - 1), column.clamp(0, width - 1)]
                other = inside & ((value - own).abs().sum(1) >= SAME)
                best, lowest = patch.better(value, best, lowest, gain, other)
            own = best
            for way in _STEPS:
                best, lowest = patch.better(own + size * own.new_tensor(way), best, lowest, gain)
            flow[b, :, y, x], cost[b, y, x] = best, lowest
    return Chosen(flow, cost)


def step(index: int, rounds: int) -> float:
    """Pixels of the steps in a round."""
    return 1.0 if 2 * index < rounds else 0.5


def _parts(mask: Tensor) -> list[tuple[Tensor, Tensor, Tensor]]:
    b, y, x = mask.nonzero(as_tuple=True)
    return list(zip(b.split(_PART), y.split(_PART), x.split(_PART), strict=True)) if len(b) else []


class _Patch:
    """The patches around N pixels (b, y, x) of the source, and their bilateral weights, of sum one."""

    def __init__(self, source: Tensor, target: Tensor, at: tuple[Tensor, Tensor, Tensor], settings: PatchSettings) -> None:
        self.at, self.target, self.settings = at, target, settings
        height, width = source.shape[1:3]
        b, y, x = at
        side = 2 * REACH + 1
        every = torch.arange(0, side * side, 2, device=b.device)  # as the fields of one colour of a chessboard
        self.rows, self.columns = every // side - REACH, every % side - REACH
        rows, columns = y[:, None] + self.rows, x[:, None] + self.columns
        inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        self.values = source[b[:, None], rows.clamp(0, height - 1), columns.clamp(0, width - 1), :CHANNELS].float()  # (N, 25, 5)
        middle = len(self.rows) // 2
        difference = (self.values[..., :3] - self.values[:, middle : middle + 1, :3]).abs().sum(-1) / settings.colours
        weights = inside / (1.0 + difference * difference)
        self.weights = weights / weights.sum(1, keepdim=True)

    def cost(self, displacement: Tensor) -> Tensor:
        """(N,): weighted difference from the patches at ``displacement`` (N, 2), bilinear; a constant where their centres are outside."""
        settings, (height, width) = self.settings, self.target.shape[1:3]
        b, y, x = self.at
        whole = displacement.floor()
        across, down = (displacement - whole)[:, None, None].unbind(-1)  # (N, 1, 1) each
        left, top = (torch.stack((x, y), dim=1) + whole.long()).unbind(1)
        inside = (left >= 0) & (left < width) & (top >= 0) & (top < height)

        def corner(below: int, right: int) -> Tensor:
            rows = (top[:, None] + self.rows + below).clamp(0, height - 1)
            columns = (left[:, None] + self.columns + right).clamp(0, width - 1)
            return self.target[b[:, None], rows, columns, :CHANNELS].float()

        upper = corner(0, 0) + across * (corner(0, 1) - corner(0, 0))
        lower = corner(1, 0) + across * (corner(1, 1) - corner(1, 0))
        difference = (self.values - (upper + down * (lower - upper))).abs()
        colour = difference[..., :3].sum(-1).clamp_max(settings.colour_limit)
        gradient = difference[..., 3:].sum(-1).clamp_max(settings.gradient_limit)
        return torch.where(inside, (self.weights * (colour + gradient)).sum(1), settings.outside_cost)

    def better(self, value: Tensor, best: Tensor, lowest: Tensor, gain: float, asked: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The displacements ``value`` where they cost less than ``lowest`` by the gain, else ``best``; and their costs."""
        cost = self.cost(value)
        taken = cost < lowest - gain
        if asked is not None:
            taken = taken & asked
        return torch.where(taken[:, None], value, best), torch.where(taken, cost, lowest)
