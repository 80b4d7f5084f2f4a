"""Dense matching of two images: classical optical flow where it holds, and an exhaustive search where it does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import cv2
import numpy as np

from trackersplat.tracking.trackers.dis import patches
from trackersplat.tracking.trackers.dis.certainty import supported
from trackersplat.tracking.trackers.dis.exhaustive import displacements
from trackersplat.tracking.trackers.dis.settings import FlowSettings, MatchSettings, SearchSettings, TrustSettings
from trackersplat.tracking.warp import inside, pixel_grid, round_trip


class Match(NamedTuple):
    """Displacements of all pixels of one image into another."""

    flow: np.ndarray  # (H, W, 2) float32 pixels
    visibility: np.ndarray  # (H, W) float32 in [0, 1]
    confidence: np.ndarray  # (H, W) float32 in [0, 1]


@dataclass(frozen=True, eq=False)
class Image:
    """An image and what is made of it on demand."""

    rgb: np.ndarray  # (H, W, 3) uint8, contiguous

    @cached_property
    def gray(self) -> np.ndarray:
        return cv2.cvtColor(self.rgb, cv2.COLOR_RGB2GRAY)

    @cached_property
    def planes(self) -> np.ndarray:
        return patches.planes(self.rgb)

    @cached_property
    def half(self) -> Image:
        height, width = self.gray.shape
        return Image(cv2.resize(self.rgb, ((width + 1) // 2, (height + 1) // 2), interpolation=cv2.INTER_AREA))

    @cached_property
    def grid(self) -> np.ndarray:
        """(H, W, 2) float32 array indices (x, y) of the pixels."""
        return pixel_grid(*self.gray.shape)


@dataclass(frozen=True, eq=False)
class Search:
    """What is tried beyond plain flow, and where."""

    reach: float  # of the exhaustive search, as a share of the longest side
    masks: tuple[np.ndarray, np.ndarray] | None = None  # (H, W) bool, pixels of the one and of the other image; None: all
    priors: Sequence[tuple[np.ndarray, np.ndarray]] = ()  # pairs of displacement fields there and back that may be right


def match(a: Image, b: Image, search: Search, settings: MatchSettings) -> tuple[Match, Match]:
    """The displacements from ``a`` to ``b`` and from ``b`` to ``a``, each checked by the other."""
    forward, backward = _flows(a, b, search, settings)
    return assess(a, b, forward, backward, settings), assess(b, a, backward, forward, settings)


def assess(a: Image, b: Image, forward: np.ndarray, backward: np.ndarray, settings: MatchSettings) -> Match:
    """``forward`` with the visibility and confidence that a flow back and the colours of both images give it."""
    trust = settings.trust
    error = round_trip(a.grid, forward, backward)
    tolerance = trust.tolerance_px + trust.tolerance_motion * np.linalg.norm(forward, axis=-1)
    visibility = inside(a.grid + forward) / (1.0 + (error / tolerance) ** 4)
    visibility /= 1.0 + (residual(a, b, forward, trust) / trust.tolerance_residual) ** 4
    confidence = 1.0 / (1.0 + np.square(error / trust.confident_px))
    certainty = supported(forward, (visibility * confidence).astype(np.float32), settings.support)
    return with_certainty(forward, visibility, certainty)


def with_certainty(flow: np.ndarray, visibility: np.ndarray, certainty: np.ndarray) -> Match:
    """A match whose visibility times confidence is ``certainty``, as far as the visibility allows."""
    confidence = np.minimum(certainty / np.maximum(visibility, 1e-6), 1.0)
    return Match(flow, visibility.astype(np.float32), confidence.astype(np.float32))


def more_certain(first: Match, second: Match) -> Match:
    """Per pixel the match of the higher certainty."""
    better = second.visibility * second.confidence > first.visibility * first.confidence
    return Match(
        np.where(better[..., None], second.flow, first.flow),
        np.where(better, second.visibility, first.visibility),
        np.where(better, second.confidence, first.confidence),
    )


def flow(a: Image, b: Image, settings: FlowSettings, initial: np.ndarray | None = None, coarsest: int | None = None) -> np.ndarray:
    """(H, W, 2) Dense Inverse Search flow (Kroeger et al. 2016), OpenCV's medium preset changed by the ``settings``."""
    return dis_flow(a.gray, b.gray, settings, initial, coarsest)


def dis_flow(
    source: np.ndarray, target: np.ndarray, settings: FlowSettings, initial: np.ndarray | None, coarsest: int | None
) -> np.ndarray:
    """`flow` of two (H, W) uint8 images."""
    # A new object each time: OpenCV's keeps an initial flow for later calls, and is not thread-safe.
    matcher = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    matcher.setFinestScale(settings.finest_scale)
    matcher.setPatchStride(settings.patch_stride)
    matcher.setGradientDescentIterations(settings.iterations)
    if coarsest is not None:
        matcher.setCoarsestScale(coarsest)
    return matcher.calc(source, target, None if initial is None else initial.copy())


def residual(a: Image, b: Image, forward: np.ndarray, settings: TrustSettings) -> np.ndarray:
    """(H, W): difference of the colours of a pixel and of where it goes, summed over channels, averaged over a window."""
    warped = cv2.remap(b.rgb, a.grid + forward, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    difference = cv2.transform(cv2.absdiff(a.rgb, warped).astype(np.float32), np.ones((1, 3), np.float32))
    return cv2.blur(np.minimum(difference, settings.residual_limit), (settings.residual_window_px,) * 2)


def _flows(a: Image, b: Image, search: Search, settings: MatchSettings) -> tuple[np.ndarray, np.ndarray]:
    choice, views = settings.choice, ((a, b), (b, a))
    direct = [flow(source, target, settings.flow) for source, target in views]
    unreliable = [
        (round_trip(source.grid, there, back) > choice.error_px) | (residual(source, target, there, settings.trust) > choice.residual)
        for (source, target), there, back in zip(views, direct, direct[::-1], strict=True)
    ]
    if search.masks is not None:
        unreliable = [mask & asked for mask, asked in zip(unreliable, search.masks, strict=True)]
    if max(mask.mean() for mask in unreliable) < choice.share:
        return direct[0], direct[1]

    large = max(a.gray.shape) > choice.spread_side_px
    if large:
        proposals = _halved(a, b, search, settings)
    else:
        proposals = _searched(a, b, unreliable[0] | unreliable[1], search.reach, settings.search, choice.margin_px)
    around = np.ones((2 * choice.margin_px + 1,) * 2, np.uint8)
    result = []
    for index, (source, target) in enumerate(views):
        mask = cv2.dilate(unreliable[index].astype(np.uint8), around) > 0
        candidates = [direct[index], np.zeros_like(direct[index]), proposals[index], *(prior[index] for prior in search.priors)]
        penalties = np.array([0.0, choice.zero_penalty, choice.search_penalty] + [0.0] * len(search.priors))
        if large:
            candidates.append(flow(source, target, settings.flow, proposals[index], choice.seeded_scale))
            penalties = np.append(penalties, 0.0)
        chosen, cost = patches.choose(source.planes, target.planes, np.stack(candidates), penalties, mask, settings.patches)
        patches.spread(source.planes, target.planes, chosen, cost, mask, choice.gain, settings.patches)
        # Large images have the seeded flow instead, at a fraction of the time.
        result.append(chosen if large else _smooth(source, target, chosen, mask, settings))
    return result[0], result[1]


def _searched(a: Image, b: Image, wanted: np.ndarray, reach: float, settings: SearchSettings, margin_px: int) -> list[np.ndarray]:
    """What the exhaustive search finds in the rectangle around the ``wanted`` pixels (H, W); no motion outside."""
    height, width = a.gray.shape
    reduced = [_reduced(image.rgb, settings.side_px) for image in (a, b)]
    small_height, small_width = reduced[0].shape[:2]
    radius = max(1, round(max(small_width, small_height) * reach))
    factor = np.array([width / small_width, height / small_height], np.float32)
    box: list[slice] = []
    for axis, limit in ((1, small_height), (0, small_width)):
        hits = np.flatnonzero(wanted.any(axis)) / factor[1 - len(box)]
        box.append(slice(max(0, int(hits[0]) - margin_px), min(limit, int(hits[-1]) + 1 + margin_px)))
    rectangle = (box[0], box[1])
    result = []
    first, second = (np.ascontiguousarray(image[rectangle]) for image in reduced)
    for found in displacements(first, second, radius, settings):
        field = np.zeros((small_height, small_width, 2), np.float32)
        field[rectangle] = found
        result.append(cv2.resize(field, (width, height), interpolation=cv2.INTER_NEAREST) * factor)
    return result


def _reduced(rgb: np.ndarray, side: int) -> np.ndarray:
    """The image at half its size or less, its longest side ``side`` pixels at the most, its shortest 8 at the least."""
    height, width = rgb.shape[:2]
    factor = max(2.0, max(height, width) / side)
    return cv2.resize(rgb, (max(8, round(width / factor)), max(8, round(height / factor))), interpolation=cv2.INTER_AREA)


def _halved(a: Image, b: Image, search: Search, settings: MatchSettings) -> list[np.ndarray]:
    """What matching images of half the size finds."""
    height, width = a.gray.shape
    small_height, small_width = a.half.gray.shape
    factor = np.array([width / small_width, height / small_height], np.float32)

    def smaller(field: np.ndarray) -> np.ndarray:
        return cv2.resize(field, (small_width, small_height), interpolation=cv2.INTER_NEAREST) / factor

    masks = search.masks
    if masks is not None:  # every second pixel, as the halves keep no more
        masks = masks[0][::2, ::2], masks[1][::2, ::2]
    halves = Search(search.reach, masks, [(smaller(there), smaller(back)) for there, back in search.priors])
    found = _flows(a.half, b.half, halves, settings)
    return [cv2.resize(field, (width, height), interpolation=cv2.INTER_NEAREST) * factor for field in found]


def _smooth(source: Image, target: Image, rough: np.ndarray, mask: np.ndarray, settings: MatchSettings) -> np.ndarray:
    """``rough``, known to half a pixel, with a variational refinement where that fits as well."""
    choice = settings.choice
    refined = cv2.VariationalRefinement.create().calc(source.gray, target.gray, rough.copy())
    candidates, penalties = np.stack([rough, refined]), np.array([0.0, choice.refined_penalty])
    chosen, _ = patches.choose(source.planes, target.planes, candidates, penalties, mask, settings.patches)
    near = np.linalg.norm(refined - rough, axis=-1) < choice.refined_px
    return np.where((mask & near)[..., None], chosen, rough)
