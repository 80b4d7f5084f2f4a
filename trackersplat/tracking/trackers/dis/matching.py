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

_SEARCHED_SIDE = 160  # pixels, longest side of the images that are searched exhaustively, at the least half of the full size
SEARCH_REACH = 1 / 6  # of their longest side
_SPREAD_SIDE = 400  # pixels, longest side at which displacements are spread; larger images take theirs from half their size
_SUSPECT_PX = 1.0  # forward-backward error
_SUSPECT_RESIDUAL = 35.0  # see ``residual``
_SUSPECT_SHARE = 0.002  # of the pixels; fewer are not worth a search
_SUSPECT_MARGIN = 3  # pixels around suspect ones that are matched anew
_SEARCH_PENALTY, _ZERO_PENALTY = 2.0, -3.0  # in units of the patch cost: prefer the flow to the search, and no motion to both
_GAIN = 0.5  # patch cost that a neighbour's displacement must gain
_RESIDUAL_LIMIT = 150.0
_TOLERANCE_PX, _TOLERANCE_MOTION = 1.0, 0.03  # forward-backward error at which visibility halves: at rest, and per pixel of motion
_TOLERANCE_RESIDUAL = 80.0
_TRUST_PX = 1.0  # forward-backward error at which the confidence has halved


class Tracks(NamedTuple):
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
    def searched(self) -> np.ndarray:
        height, width = self.gray.shape
        factor = max(2.0, max(height, width) / _SEARCHED_SIDE)
        return cv2.resize(self.rgb, (max(8, round(width / factor)), max(8, round(height / factor))), interpolation=cv2.INTER_AREA)

    @cached_property
    def grid(self) -> np.ndarray:
        """(H, W, 2) float32 array indices (x, y) of the pixels."""
        height, width = self.gray.shape
        return np.stack(np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)), axis=-1)


def match(
    a: Image,
    b: Image,
    priors: Sequence[tuple[np.ndarray, np.ndarray]] = (),
    wanted: tuple[np.ndarray, np.ndarray] | None = None,
    reach: float = SEARCH_REACH,
) -> tuple[Tracks, Tracks]:
    """The tracks from ``a`` to ``b`` and from ``b`` to ``a``, each checked by the other.

    ``priors``: pairs of displacement fields a -> b and b -> a that may be right. ``wanted``: (H, W) bool, pixels of ``a`` and of ``b``
    for which more than the flow shall be tried; all if absent. ``reach``: how far the search goes, of the longest side.
    """
    forward, backward = _flows(a, b, priors, wanted, reach)
    return assess(a, b, forward, backward), assess(b, a, backward, forward)


def assess(a: Image, b: Image, forward: np.ndarray, backward: np.ndarray) -> Tracks:
    """``forward`` with the visibility and confidence that a flow back and the look of both images give it."""
    error = round_trip(a, forward, backward)
    tolerance = _TOLERANCE_PX + _TOLERANCE_MOTION * np.linalg.norm(forward, axis=-1)
    visibility = inside(a.grid + forward) / (1.0 + (error / tolerance) ** 4)
    visibility /= 1.0 + (residual(a, b, forward) / _TOLERANCE_RESIDUAL) ** 4
    confidence = 1.0 / (1.0 + np.square(error / _TRUST_PX))
    return certified(forward, visibility, supported(forward, (visibility * confidence).astype(np.float32)))


def certified(flow: np.ndarray, visibility: np.ndarray, certainty: np.ndarray) -> Tracks:
    """Tracks whose visibility times confidence is ``certainty``, as far as the visibility allows."""
    confidence = np.minimum(certainty / np.maximum(visibility, 1e-6), 1.0)
    return Tracks(flow, visibility.astype(np.float32), confidence.astype(np.float32))


def surer(first: Tracks, second: Tracks) -> Tracks:
    """Per pixel the tracks of the higher certainty."""
    better = second.visibility * second.confidence > first.visibility * first.confidence
    return Tracks(
        np.where(better[..., None], second.flow, first.flow),
        np.where(better, second.visibility, first.visibility),
        np.where(better, second.confidence, first.confidence),
    )


def flow(a: Image, b: Image, initial: np.ndarray | None = None, coarsest: int | None = None) -> np.ndarray:
    """Dense Inverse Search flow (Kroeger et al. 2016), OpenCV's medium preset down to full resolution."""
    return _flow(a.gray, b.gray, initial, coarsest)


def corrected(a: Image, b: Image, forward: np.ndarray, limit: float) -> np.ndarray:
    """``forward`` registered anew, by less than ``limit`` pixels, where ``b``, warped by it, then looks no less like ``a``."""
    warped = cv2.remap(b.gray, a.grid + forward, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    change = _flow(a.gray, warped, None, 0)
    moved = change + sample(forward, a.grid + change)
    better = (np.linalg.norm(change, axis=-1) < limit) & (residual(a, b, moved) <= residual(a, b, forward) + 1.0)
    return np.where(better[..., None], moved, forward)


def residual(a: Image, b: Image, forward: np.ndarray) -> np.ndarray:
    """(H, W): difference of the colours of a pixel and of where it goes, summed over channels, averaged over 5x5 pixels."""
    warped = cv2.remap(b.rgb, a.grid + forward, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    difference = cv2.transform(cv2.absdiff(a.rgb, warped).astype(np.float32), np.ones((1, 3), np.float32))
    return cv2.blur(np.minimum(difference, _RESIDUAL_LIMIT), (5, 5))


def round_trip(a: Image, forward: np.ndarray, backward: np.ndarray) -> np.ndarray:
    """(H, W): how far from its start a pixel ends that goes forward and back."""
    return np.linalg.norm(forward + sample(backward, a.grid + forward), axis=-1)


def sample(values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Bilinear values at array indices ``at``, continued beyond the border."""
    return cv2.remap(values, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def inside(at: np.ndarray) -> np.ndarray:
    """(H, W) float32, 1 where array indices lie in the image, else 0."""
    height, width = at.shape[:2]
    return ((at[..., 0] >= -0.5) & (at[..., 0] <= width - 0.5) & (at[..., 1] >= -0.5) & (at[..., 1] <= height - 0.5)).astype(np.float32)


def _flow(source: np.ndarray, target: np.ndarray, initial: np.ndarray | None, coarsest: int | None) -> np.ndarray:
    # A new object each time: OpenCV's keeps an initial flow for later calls, and is not thread-safe.
    matcher = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    matcher.setFinestScale(0)  # the preset stops at half resolution, which doubles the error on small movers
    matcher.setPatchStride(4)  # and fewer patches with fewer iterations cost nothing measurable, but a third of the time
    matcher.setGradientDescentIterations(16)
    if coarsest is not None:
        matcher.setCoarsestScale(coarsest)
    return matcher.calc(source, target, None if initial is None else initial.copy())


def _flows(
    a: Image,
    b: Image,
    priors: Sequence[tuple[np.ndarray, np.ndarray]],
    wanted: tuple[np.ndarray, np.ndarray] | None,
    reach: float,
) -> tuple[np.ndarray, np.ndarray]:
    views = ((a, b), (b, a))
    direct = [flow(source, target) for source, target in views]
    suspect = [
        (round_trip(source, there, back) > _SUSPECT_PX) | (residual(source, target, there) > _SUSPECT_RESIDUAL)
        for (source, target), there, back in zip(views, direct, direct[::-1], strict=True)
    ]
    if wanted is not None:
        suspect = [mask & asked for mask, asked in zip(suspect, wanted, strict=True)]
    if max(mask.mean() for mask in suspect) < _SUSPECT_SHARE:
        return direct[0], direct[1]

    large = max(a.gray.shape) > _SPREAD_SIDE
    proposals = _halved(a, b, priors, wanted, reach) if large else _searched(a, b, suspect[0] | suspect[1], reach)
    around = np.ones((2 * _SUSPECT_MARGIN + 1,) * 2, np.uint8)
    result = []
    for index, (source, target) in enumerate(views):
        mask = cv2.dilate(suspect[index].astype(np.uint8), around) > 0
        candidates = [direct[index], np.zeros_like(direct[index]), proposals[index], *(prior[index] for prior in priors)]
        penalties = np.array([0.0, _ZERO_PENALTY, _SEARCH_PENALTY] + [0.0] * len(priors))
        if large:
            candidates.append(flow(source, target, proposals[index], 1))
            penalties = np.append(penalties, 0.0)
        chosen, cost = patches.choose(source.planes, target.planes, np.stack(candidates), penalties, mask)
        patches.spread(source.planes, target.planes, chosen, cost, mask, _GAIN)
        # Large images have the seeded flow instead, at a fraction of the time.
        result.append(chosen if large else _smooth(source, target, chosen, mask))
    return result[0], result[1]


def _searched(a: Image, b: Image, wanted: np.ndarray, reach: float) -> list[np.ndarray]:
    """What the exhaustive search finds in the rectangle around the ``wanted`` pixels (H, W); no motion outside."""
    height, width = a.gray.shape
    small_height, small_width = a.searched.shape[:2]
    radius = max(1, round(max(small_width, small_height) * reach))
    factor = np.array([width / small_width, height / small_height], np.float32)
    box: list[slice] = []
    for axis, limit in ((1, small_height), (0, small_width)):
        places = np.flatnonzero(wanted.any(axis)) / factor[1 - len(box)]
        box.append(slice(max(0, int(places[0]) - _SUSPECT_MARGIN), min(limit, int(places[-1]) + 1 + _SUSPECT_MARGIN)))
    rectangle = (box[0], box[1])
    result = []
    for found in displacements(np.ascontiguousarray(a.searched[rectangle]), np.ascontiguousarray(b.searched[rectangle]), radius):
        field = np.zeros((small_height, small_width, 2), np.float32)
        field[rectangle] = found
        result.append(cv2.resize(field, (width, height), interpolation=cv2.INTER_NEAREST) * factor)
    return result


def _halved(
    a: Image,
    b: Image,
    priors: Sequence[tuple[np.ndarray, np.ndarray]],
    wanted: tuple[np.ndarray, np.ndarray] | None,
    reach: float,
) -> list[np.ndarray]:
    """What matching images of half the size finds."""
    height, width = a.gray.shape
    small_height, small_width = a.half.gray.shape
    factor = np.array([width / small_width, height / small_height], np.float32)
    smaller = [
        tuple(cv2.resize(field, (small_width, small_height), interpolation=cv2.INTER_NEAREST) / factor for field in prior)
        for prior in priors
    ]
    if wanted is not None:  # every second pixel, as the halves keep no more
        wanted = wanted[0][::2, ::2], wanted[1][::2, ::2]
    found = _flows(a.half, b.half, smaller, wanted, reach)
    return [cv2.resize(field, (width, height), interpolation=cv2.INTER_NEAREST) * factor for field in found]


def _smooth(source: Image, target: Image, rough: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """``rough``, known to half a pixel, with a variational refinement where that fits as well."""
    refined = cv2.VariationalRefinement.create().calc(source.gray, target.gray, rough.copy())
    chosen, _ = patches.choose(source.planes, target.planes, np.stack([rough, refined]), np.array([0.0, -1.0]), mask)
    near = np.linalg.norm(refined - rough, axis=-1) < 1.0
    return np.where((mask & near)[..., None], chosen, rough)
