"""Dense matching of pairs of images: Dense Inverse Search where it holds, and an exhaustive search where it does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from trackersplat.tracking.trackers.dis_gpu import exhaustive, inverse_search, patches, variational
from trackersplat.tracking.trackers.dis_gpu.certainty import Match, assess, residual, round_trip
from trackersplat.tracking.trackers.dis_gpu.images import Images, doubled, joined
from trackersplat.tracking.trackers.dis_gpu.settings import MatchSettings

Ways = tuple[Tensor, Tensor]  # of the first images and of the second


@dataclass(frozen=True, eq=False)
class Search:
    """What is tried beyond plain flow, and where."""

    reach: float  # of the exhaustive search, as a share of the longest side
    masks: Ways | None = None  # (B, H, W) bool each: pixels of the one and of the other image; None: all
    priors: Sequence[Ways] = ()  # displacements (B, 2, H, W) there and back that may be right

    def halved(self) -> Search:
        """For images of half the size; every second pixel is kept."""
        masks = None if self.masks is None else (self.masks[0][:, ::2, ::2], self.masks[1][:, ::2, ::2])
        return Search(self.reach, masks, [(_halved(there), _halved(back)) for there, back in self.priors])


@dataclass(frozen=True, eq=False)
class _Task:
    """Matching the images of one level with others, one batch with one batch."""

    source: Images
    target: Images
    mask: Tensor | None
    priors: Sequence[Tensor]
    reach: float

    def halved(self) -> _Task:
        """At half the size; every second pixel of what belongs to pixels is kept."""
        mask = None if self.mask is None else self.mask[:, ::2, ::2]
        return _Task(self.source.half, self.target.half, mask, [_halved(prior) for prior in self.priors], self.reach)


def _halved(flow: Tensor) -> Tensor:
    return 0.5 * flow[:, :, ::2, ::2]


def match(a: Images, b: Images, search: Search | None, settings: MatchSettings) -> tuple[Match, Tensor]:
    """The displacements from ``a`` to ``b``, checked by those from ``b`` to ``a`` (B, 2, H, W), which come second.

    Without a ``search``, it is plain flow. The ways back between large images are only as fine as half their size.
    """
    if not is_large(a.size, settings):
        forward, backward = _both_ways(a, b, search, settings, finest=True)
    else:
        forward, backward = _one_way(a, b, search, settings)
    return assess(a, b, forward, backward, settings), backward


def is_large(size: tuple[int, int], settings: MatchSettings) -> bool:
    """Whether images of this size are matched one way only, at their full size."""
    return max(size) > settings.choice.both_side_px


def level_flow(source: Tensor, target: Tensor, initial: Tensor, settings: MatchSettings) -> Tensor:
    """(B, 2, H, W) Dense Inverse Search at one size of the images, (B, H, W), from ``initial``."""
    found = inverse_search.search(source, target, initial, settings.flow)
    dense = inverse_search.densify(source, target, found)
    return variational.refine(source, target, dense, settings.variational)


def _one_way(a: Images, b: Images, search: Search | None, settings: MatchSettings) -> Ways:
    """Between large images: there in full size, back from half of it."""
    halved = None if search is None else search.halved()
    if is_large(a.half.size, settings):
        there, back = _one_way(a.half, b.half, halved, settings)
    else:
        there, back = _both_ways(a.half, b.half, halved, settings, finest=False)
    initial, back = doubled(there, a.size, 2.0), doubled(back, a.size, 2.0)
    flow = level_flow(a.gray, b.gray, initial, settings)
    if search is None or not search.reach:
        return flow, back
    mask = None if search.masks is None else search.masks[0]
    return _mended(_Task(a, b, mask, [prior[0] for prior in search.priors], search.reach), initial, flow, back, settings), back


def _both_ways(a: Images, b: Images, search: Search | None, settings: MatchSettings, *, finest: bool) -> Ways:
    """There and back in one batch."""
    task = _Task(joined(a, b), joined(b, a), None, (), 0.0)
    if search is not None:
        masks = None if search.masks is None else torch.cat(search.masks)
        task = replace(task, mask=masks, priors=[torch.cat(prior) for prior in search.priors], reach=search.reach)
    forward, backward = _flows(task, settings, finest=finest).chunk(2)
    return forward, backward


def _flows(task: _Task, settings: MatchSettings, *, finest: bool) -> Tensor:
    """From coarse to fine. At the first level small enough, what plain flow does not explain is searched for; every finer level starts
    from what was found, and mends anew what is unreliable there."""
    size = task.source.size
    if min(size) < 2 * settings.flow.coarsest_px:
        initial = torch.zeros(len(task.source.rgb), 2, *size, device=task.source.rgb.device)
    else:
        initial = doubled(_flows(task.halved(), settings, finest=False), size, 2.0)
    flow = level_flow(task.source.gray, task.target.gray, initial, settings)
    small = not finest and 2 * max(size) <= settings.choice.search_side_px  # the next level is searched
    if small or not task.reach:
        return flow
    return _mended(task, initial, flow, None, settings)


def _swapped(values: Tensor) -> Tensor:
    """The second half of the batch, then the first."""
    return torch.cat(values.chunk(2)[::-1])


def _mended(task: _Task, initial: Tensor, flow: Tensor, back: Tensor | None, settings: MatchSettings) -> Tensor:
    """``flow``, which began at ``initial``, with other displacements where it is unreliable and they fit better.

    Without a way ``back``, half the batch is that of the other half.
    """
    choice, source, target = settings.choice, task.source, task.target
    unreliable = round_trip(flow, _swapped(flow) if back is None else back) > choice.error_px
    unreliable |= residual(source, target, flow, settings.trust) > choice.residual
    if task.mask is not None:
        unreliable &= task.mask
    shares = unreliable.float().mean((1, 2))
    if back is None:
        shares = torch.maximum(shares, _swapped(shares))  # of a pair, there or back
    unreliable &= (shares >= choice.share)[:, None, None]
    size = 2 * choice.margin_px + 1
    mask = max_pool2d(unreliable[:, None].to(flow.dtype), size, stride=1, padding=choice.margin_px)[:, 0] > 0
    listed = patches.pixels_of(mask)
    if not len(listed):
        return flow
    searched = max(source.size) <= choice.search_side_px
    proposal = initial
    if searched:
        proposal = exhaustive.displacements(source.rgb, target.rgb, mask, task.reach, settings.search)
    candidates = torch.stack((flow, torch.zeros_like(flow), proposal, *task.priors), dim=1)
    penalties = (0.0, choice.zero_penalty, choice.search_penalty, *(0.0 for _ in task.priors))
    chosen = patches.choose(source.packed, target.packed, candidates, penalties, mask, settings.patches, listed)
    jumps = choice.jumps if searched else choice.finer_jumps
    chosen = patches.spread(source.packed, target.packed, chosen, mask, jumps, choice.gain, settings.patches, listed)
    if not searched:  # what was found there went through the refinement of this level
        return chosen.flow
    return _smooth(source, target, chosen.flow, mask, settings)


def _smooth(source: Images, target: Images, rough: Tensor, mask: Tensor, settings: MatchSettings) -> Tensor:
    """``rough``, known to half a pixel, with a variational refinement where that fits as well."""
    choice = settings.choice
    refined = variational.refine(source.gray, target.gray, rough, settings.variational)
    candidates, penalties = torch.stack((rough, refined), dim=1), (0.0, choice.refined_penalty)
    chosen = patches.choose(source.packed, target.packed, candidates, penalties, mask, settings.patches)
    near = (refined - rough).square().sum(1) < choice.refined_px**2
    return torch.where((mask & near)[:, None], chosen.flow, rough)
