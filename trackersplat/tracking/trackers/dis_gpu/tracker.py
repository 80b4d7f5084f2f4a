"""Dense tracks of all views at once from classical optical flow, on a GPU: needs no weights and no network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from trackersplat.errors import ShapeError
from trackersplat.tracking.registry import TRACKERS
from trackersplat.tracking.tracker import Clip, PointMotion
from trackersplat.tracking.trackers.dis_gpu.batch import parts, positions
from trackersplat.tracking.trackers.dis_gpu.certainty import Match, agreement, inside, more_certain, residual, supported, with_certainty
from trackersplat.tracking.trackers.dis_gpu.images import Images, doubled, images_of, pixel_grid, sample
from trackersplat.tracking.trackers.dis_gpu.matching import Search, is_large, level_flow, match
from trackersplat.tracking.trackers.dis_gpu.settings import TrackSettings
from trackersplat.tracking.tracks import Provenance

_MINIMUM_SIDE = 16  # pixels: two patches


class BatchedDISTracker:
    """The method of the tracker "dis" for a batch of views.

    Every target is reached in two ways, from the base directly and over the previous target, which keeps what turns or
    changes its light. The second is registered anew against the base, and also proposed to the direct match. Each pixel takes the
    way of the higher certainty. Targets are therefore best given in the order of time, without gaps.
    """

    facts = TRACKERS.facts("dis-gpu")

    def __init__(self, device: torch.device, settings: TrackSettings) -> None:
        self.device = device
        self.settings = settings
        self.provenance = Provenance(self.facts.name, licence=self.facts.licence)

    @torch.no_grad()
    def track_dense(self, clip: Clip) -> PointMotion:
        """Positions (V, F, H, W, 2). Raises ShapeError if the images are smaller than 16 pixels a side, or on another type of device."""
        views, frames, height, width = clip.images.shape[:4]
        if min(height, width) < _MINIMUM_SIDE or clip.images.device.type != self.device.type:
            size = f"{width}x{height} on {clip.images.device}"
            raise ShapeError(f"Tracking needs images of at least {_MINIMUM_SIDE} pixels a side on {self.device}, got {size}.")
        places = torch.empty(views, frames - 1, height, width, 2, device=clip.images.device)
        visibility, confidence = torch.empty(2, views, frames - 1, height, width, device=clip.images.device)
        for part in parts(views, height, width, clip.images.device):
            for index, found in enumerate(self._track(clip.images[part])):
                places[part, index] = positions(found.flow)
                visibility[part, index] = found.visibility
                confidence[part, index] = found.confidence
        return PointMotion(positions=places, visibility=visibility, confidence=confidence)

    def _track(self, images: Tensor) -> Iterator[Match]:
        """The matches of the first frame of the images (V, 1 + F, H, W, 3) with each of the others."""
        settings, reach = self.settings, self.settings.reach
        base = last = images_of(images[:, 0])
        way: _Way | None = None
        back: Tensor | None = None
        for index in range(1, images.shape[1]):
            target = images_of(images[:, index])
            if way is None or back is None:
                direct, back = match(base, target, Search(reach), settings.match)
                way = _Way(direct, direct.visibility)
                yield direct
            else:
                step, step_back = _step(last, target, settings)
                chained = _chained(way, step, base, target, settings)
                chained_back = step_back + sample(back, pixel_grid(*base.size, back.device) + step_back)
                direct, back = match(base, target, Search(reach, priors=[(chained.match.flow, chained_back)]), settings.match)
                way = _more_certain(direct, chained)
                yield _joined(direct, chained.match, settings)
            last = target


class _Way(NamedTuple):
    """How the pixels of the base came to a target, to chain on."""

    match: Match  # with the base
    kept: Tensor  # (B, H, W) visibility along the way, without what the colours of this target alone say


def _step(last: Images, target: Images, settings: TrackSettings) -> tuple[Match, Tensor]:
    """The match of two frames of which the first is not the base, and the way back. That of large images is of half their size: it is
    registered anew afterwards."""
    if not is_large(last.size, settings.match):
        return match(last, target, Search(settings.reach), settings.match)
    found, back = match(last.half, target.half, Search(settings.reach), settings.match)
    trust = doubled(torch.stack((found.visibility, found.confidence), dim=1), last.size)
    return Match(doubled(found.flow, last.size, 2.0), trust[:, 0], trust[:, 1]), doubled(back, last.size, 2.0)


def _chained(previous: _Way, step: Match, base: Images, target: Images, settings: TrackSettings) -> _Way:
    """The way to the target, over the last one and the ``step`` from there.

    It keeps the lowest visibility of its steps. How far the colours are from the base lowers the visibility in this target alone:
    what turns or passes through a shadow differs in every frame, and would be lost if each of them counted.
    """
    before = previous.match
    at = pixel_grid(*base.size, before.flow.device) + before.flow
    flow = _corrected(base, target, before.flow + sample(step.flow, at), settings)
    others = sample(torch.stack((step.visibility, step.confidence), dim=1), at)
    kept = torch.minimum(previous.kept, others[:, 0]) * inside(flow)
    visibility = kept / (1.0 + (residual(base, target, flow, settings.match.trust) / settings.drift_residual) ** 4)
    return _Way(Match(flow, visibility, torch.minimum(before.confidence, others[:, 1])), kept)


def _more_certain(direct: Match, chained: _Way) -> _Way:
    """Per pixel the way of the higher certainty."""
    kept = torch.where(direct.certainty < chained.match.certainty, chained.kept, direct.visibility)
    return _Way(more_certain(direct, chained.match), kept)


def _corrected(base: Images, target: Images, forward: Tensor, settings: TrackSettings) -> Tensor:
    """``forward`` registered anew, by less than a limit, where the target, warped by it, then differs no more from the base."""
    trust = settings.match.trust
    grid = pixel_grid(*base.size, forward.device)
    warped = sample(target.gray[:, None], grid + forward, cubic=True)[:, 0]
    change = level_flow(base.gray, warped, torch.zeros_like(forward), settings.match)
    moved = change + sample(forward, grid + change)
    alike = residual(base, target, moved, trust) <= residual(base, target, forward, trust) + settings.drift_residual_slack
    better = (change.square().sum(1) < settings.drift_px**2) & alike
    return torch.where(better[:, None], moved, forward)


def _joined(first: Match, second: Match, settings: TrackSettings) -> Match:
    """The match of the higher certainty, raised where the other agrees, and lowered where it or the surroundings do not.

    Not for chaining on: what is unreliable in one frame would stay so.
    """
    chosen = more_certain(first, second)
    ours, theirs = first.certainty, second.certainty
    high, low = torch.maximum(ours, theirs), torch.minimum(ours, theirs)
    alike = agreement(first.flow, second.flow, settings.alike_px)
    both = 1.0 - (1.0 - high) * (1.0 - low * alike)
    disputed = high * (1.0 - settings.disputed * low / high.clamp_min(1e-6))
    certainty = torch.where(alike > 0.5, both, disputed) * (settings.contradicted + (1.0 - settings.contradicted) * alike)
    return with_certainty(chosen.flow, chosen.visibility, supported(chosen.flow, certainty, settings.match.support))
