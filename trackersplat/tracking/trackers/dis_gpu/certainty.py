"""Visibility and certainty of displacements: from the way back, the colours, the displacements around, other tracks of the pixel."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

from trackersplat.geometry.devices import has_triton
from trackersplat.tracking.trackers.dis.settings import SupportSettings, TrustSettings
from trackersplat.tracking.trackers.dis_gpu.images import Images, pixel_grid, sample
from trackersplat.tracking.trackers.dis_gpu.settings import MatchSettings

CERTAIN = 0.01  # below this a pixel's surroundings are not asked


class Match(NamedTuple):
    """Displacements of all pixels of B images into others."""

    flow: Tensor  # (B, 2, H, W) pixels
    visibility: Tensor  # (B, H, W) in [0, 1]
    confidence: Tensor  # (B, H, W) in [0, 1]

    @property
    def certainty(self) -> Tensor:
        return self.visibility * self.confidence


def assess(source: Images, target: Images, forward: Tensor, backward: Tensor, settings: MatchSettings) -> Match:
    """``forward`` (B, 2, H, W) with the visibility and confidence that the flow back and the colours of both images give it."""
    trust = settings.trust
    error = round_trip(forward, backward)
    tolerance = trust.tolerance_px + trust.tolerance_motion * forward.square().sum(1).sqrt()
    visibility = inside(forward) / (1.0 + (error / tolerance) ** 4)
    visibility = visibility / (1.0 + (residual(source, target, forward, trust) / trust.tolerance_residual) ** 4)
    confidence = 1.0 / (1.0 + (error / trust.confident_px) ** 2)
    return with_certainty(forward, visibility, supported(forward, visibility * confidence, settings.support))


def with_certainty(flow: Tensor, visibility: Tensor, certainty: Tensor) -> Match:
    """A match whose visibility times confidence is ``certainty``, as far as the visibility allows."""
    return Match(flow, visibility, (certainty / visibility.clamp_min(1e-6)).clamp_max(1.0))


def more_certain(first: Match, second: Match) -> Match:
    """Per pixel the match of the higher certainty."""
    better = second.certainty > first.certainty
    return Match(
        torch.where(better[:, None], second.flow, first.flow),
        torch.where(better, second.visibility, first.visibility),
        torch.where(better, second.confidence, first.confidence),
    )


def agreement(first: Tensor, second: Tensor, tolerance: float) -> Tensor:
    """(B, H, W) in [0, 1]: 1 where two displacement fields agree, 1/2 where they differ by ``tolerance`` pixels."""
    return 1.0 / (1.0 + ((first - second).square().sum(1) / tolerance**2) ** 2)


def residual(source: Images, target: Images, forward: Tensor, settings: TrustSettings) -> Tensor:
    """(B, H, W): difference of the colours of a pixel and of where it goes, summed over channels, averaged over a window."""
    difference = _differences(source.rgb, target.rgb, forward, settings.residual_limit)[:, None]
    margin = settings.residual_window_px // 2
    return avg_pool2d(pad(difference, (margin,) * 4, mode="reflect"), settings.residual_window_px, stride=1)[:, 0]


def _differences(source: Tensor, target: Tensor, forward: Tensor, limit: float) -> Tensor:
    """(B, H, W): difference of the colours (B, 3, H, W) of a pixel and of where it goes, summed over channels, cut off."""
    if has_triton(forward):
        from trackersplat.tracking.trackers.dis_gpu import certainty_triton as fused

        return fused.differences(source.contiguous(), target.contiguous(), forward.contiguous(), limit)
    return _differences_elementwise(source, target, forward, limit)


def _differences_elementwise(source: Tensor, target: Tensor, forward: Tensor, limit: float) -> Tensor:
    height, width = source.shape[2:]
    at = pixel_grid(height, width, forward.device) + forward
    return (sample(target.float(), at) - source).abs().sum(1).clamp_max(limit)


def round_trip(forward: Tensor, backward: Tensor) -> Tensor:
    """(B, H, W) px: how far from its start a pixel ends that goes forward and back."""
    if has_triton(forward):
        from trackersplat.tracking.trackers.dis_gpu import certainty_triton as fused

        return fused.round_trip(forward.contiguous(), backward.contiguous())
    return _round_trip_elementwise(forward, backward)


def _round_trip_elementwise(forward: Tensor, backward: Tensor) -> Tensor:
    height, width = forward.shape[2:]
    grid = pixel_grid(height, width, forward.device)
    return (forward + sample(backward, grid + forward)).square().sum(1).sqrt()


def inside(forward: Tensor) -> Tensor:
    """(B, H, W) float32, 1 where displacements lead into the image, else 0."""
    height, width = forward.shape[2:]
    x, y = (pixel_grid(height, width, forward.device) + forward).unbind(1)
    return ((x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)).float()


def supported(flow: Tensor, certainty: Tensor, settings: SupportSettings) -> Tensor:
    """(B, H, W) in [0, 1]: ``certainty``, lowered where few certain pixels around move alike.

    Wrong matches are alone more often than right ones, even those that pass every check of their own.
    """
    squared = (certainty * _agreeing_surroundings(flow, certainty, settings)).square()
    half = settings.half_share**2
    return (1.0 + half) * squared / (squared + half)


def _agreeing_surroundings(flow: Tensor, certainty: Tensor, settings: SupportSettings) -> Tensor:
    """(B, H, W) in [0, 1]: the certain share of the pixels around that move alike; 0 where the pixel itself is not certain."""
    if has_triton(flow):
        from trackersplat.tracking.trackers.dis_gpu import certainty_triton as fused

        return fused.agreeing_surroundings(flow.contiguous(), certainty.contiguous(), settings, CERTAIN)
    return _agreeing_elementwise(flow, certainty, settings)


def _agreeing_elementwise(flow: Tensor, certainty: Tensor, settings: SupportSettings) -> Tensor:
    height, width = certainty.shape[1:]
    reach = settings.reach_px
    flows, certainties = pad(flow, (reach,) * 4), pad(certainty, (reach,) * 4)
    there = pad(torch.ones_like(certainty[:1]), (reach,) * 4)
    total, count = torch.zeros_like(certainty), torch.zeros_like(certainty[:1])
    for dy in range(-reach, reach + 1, settings.step_px):
        for dx in range(-reach, reach + 1, settings.step_px):
            if dx == 0 and dy == 0:
                continue
            place = (..., slice(reach + dy, reach + dy + height), slice(reach + dx, reach + dx + width))
            near = settings.alike_px**2 + settings.alike_slope**2 * (dx * dx + dy * dy)
            total += certainties[place] * near / (near + (flows[place] - flow).square().sum(1))
            count += there[place]
    return torch.where(certainty < CERTAIN, 0.0, total / count)
