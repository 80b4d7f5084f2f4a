"""Dense tracks from classical optical flow: needs no weights, no network and no GPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch

from trackersplat.errors import ShapeError
from trackersplat.tracking.registry import TRACKERS
from trackersplat.tracking.tracker import Clip, PointMotion
from trackersplat.tracking.trackers.dis.certainty import agreement, supported
from trackersplat.tracking.trackers.dis.matching import Image, Match, Search, dis_flow, match, more_certain, residual, with_certainty
from trackersplat.tracking.trackers.dis.settings import DISSettings
from trackersplat.tracking.tracks import Provenance
from trackersplat.tracking.warp import inside, pixel_grid, sample

_MINIMUM_SIDE = 16  # pixels; OpenCV's DIS matches 8-pixel patches


class DISTracker:
    """Dense Inverse Search flow (Kroeger et al. 2016), helped by an exhaustive search where it fails.

    Every target is reached in two ways, from the base directly and over the previous target, which keeps what turns or
    changes its light. The second is registered anew against the base, and also proposed to the direct match. Each pixel takes the
    way of the higher certainty. Targets are therefore best given in the order of time, without gaps.
    """

    facts = TRACKERS.facts("dis")

    def __init__(self, device: torch.device, settings: DISSettings) -> None:
        self.device = device
        self.settings = settings
        self.provenance = Provenance(self.facts.name, version=f"OpenCV {cv2.__version__}", licence=self.facts.licence)

    def track_dense(self, clip: Clip) -> PointMotion:
        """Positions (V, F, H, W, 2), one view after the other. Thread-safe.

        Raises ShapeError if the images are smaller than 16 pixels a side, or not on the CPU.
        """
        height, width = clip.images.shape[2:4]
        if min(height, width) < _MINIMUM_SIDE or clip.images.device.type != "cpu":
            size = f"{width}x{height} on {clip.images.device}"
            raise ShapeError(f"DIS tracking needs images of at least {_MINIMUM_SIDE} pixels a side on the CPU, got {size}.")
        views = [self._track(np.ascontiguousarray(view)) for view in clip.images.numpy()]
        grid = pixel_grid(height, width) + 0.5
        return PointMotion(
            positions=_stacked([[grid + match.flow for match in view] for view in views]),
            visibility=_stacked([[match.visibility for match in view] for view in views]),
            confidence=_stacked([[match.confidence for match in view] for view in views]),
        )

    def _track(self, images: np.ndarray) -> list[Match]:
        """The matches of the first of the images (1 + F, H, W, 3) with each of the others."""
        settings, reach = self.settings, self.settings.reach
        base = last = Image(images[0])
        tracks: list[Match] = []
        way: _Way | None = None
        back = np.zeros_like(base.grid)  # from the last target to the base
        for pixels in images[1:]:
            target = Image(pixels)
            if way is None:
                direct, reverse = match(base, target, Search(reach), settings.match)
                tracks.append(direct)
                way = _Way(direct, direct.visibility)
            else:
                step, step_back = match(last, target, Search(reach), settings.match)
                chained = _chained(way, step, base, target, settings)
                chained_back = step_back.flow + sample(back, base.grid + step_back.flow)
                direct, reverse = match(base, target, Search(reach, priors=[(chained.match.flow, chained_back)]), settings.match)
                tracks.append(_joined(direct, chained.match, settings))
                way = _more_certain(direct, chained)
            last, back = target, reverse.flow
        return tracks


class _Way(NamedTuple):
    """How the pixels of the base came to a target, to chain on."""

    match: Match  # with the base
    kept: np.ndarray  # (H, W) visibility along the way, without what the colours of this target alone say


def _chained(previous: _Way, step: Match, base: Image, target: Image, settings: DISSettings) -> _Way:
    """The way to the target, over the last one and the ``step`` from there.

    It keeps the lowest visibility of its steps. How far the colours are from the base lowers the visibility in this target alone:
    what turns or passes through a shadow differs in every frame, and would be lost if each of them counted.
    """
    before = previous.match
    at = base.grid + before.flow
    flow = _corrected(base, target, before.flow + sample(step.flow, at), settings)
    kept = np.minimum(previous.kept, sample(step.visibility, at)) * inside(base.grid + flow)
    visibility = kept / (1.0 + (residual(base, target, flow, settings.match.trust) / settings.drift_residual) ** 4)
    confidence = np.minimum(before.confidence, sample(step.confidence, at))
    return _Way(Match(flow, visibility.astype(np.float32), confidence.astype(np.float32)), kept.astype(np.float32))


def _more_certain(direct: Match, chained: _Way) -> _Way:
    """Per pixel the way of the higher certainty."""
    way = chained.match
    kept = np.where(direct.visibility * direct.confidence < way.visibility * way.confidence, chained.kept, direct.visibility)
    return _Way(more_certain(direct, way), kept)


def _corrected(a: Image, b: Image, forward: np.ndarray, settings: DISSettings) -> np.ndarray:
    """``forward`` registered anew, by less than a limit, where ``b``, warped by it, then differs no more from ``a``."""
    trust = settings.match.trust
    warped = cv2.remap(b.gray, a.grid + forward, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    change = dis_flow(a.gray, warped, settings.match.flow, None, settings.drift_scale)
    moved = change + sample(forward, a.grid + change)
    alike = residual(a, b, moved, trust) <= residual(a, b, forward, trust) + settings.drift_residual_slack
    better = (np.linalg.norm(change, axis=-1) < settings.drift_px) & alike
    return np.where(better[..., None], moved, forward)


def _joined(first: Match, second: Match, settings: DISSettings) -> Match:
    """The match of the higher certainty, raised where the other agrees, and lowered where it or the surroundings do not.

    Not for chaining on: what is unreliable in one frame would stay so.
    """
    chosen = more_certain(first, second)
    ours, theirs = first.visibility * first.confidence, second.visibility * second.confidence
    high, low = np.maximum(ours, theirs), np.minimum(ours, theirs)
    alike = agreement(first.flow, second.flow, settings.alike_px)
    both = 1.0 - (1.0 - high) * (1.0 - low * alike)
    disputed = high * (1.0 - settings.disputed * low / np.maximum(high, 1e-6))
    certainty = np.where(alike > 0.5, both, disputed) * (settings.contradicted + (1.0 - settings.contradicted) * alike)
    return with_certainty(chosen.flow, chosen.visibility, supported(chosen.flow, certainty.astype(np.float32), settings.match.support))


def _stacked(views: Sequence[Sequence[np.ndarray]]) -> torch.Tensor:
    """(V, F, ...) of the arrays of every view and target."""
    return torch.from_numpy(np.stack([array for view in views for array in view]).reshape(len(views), len(views[0]), *views[0][0].shape))
