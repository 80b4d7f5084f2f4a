"""Dense tracks from classical optical flow: needs no weights, no network and no GPU."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trackersplat.errors import ShapeError
from trackersplat.tracking.registry import tracker_info
from trackersplat.tracking.trackers.dis.certainty import agreement, supported
from trackersplat.tracking.trackers.dis.matching import Image, Tracks, certified, corrected, inside, match, residual, sample, surer
from trackersplat.tracking.tracks import DenseTracks

_DRIFT_GATE_PX = 0.7  # a direct re-match may correct the chained flow by this much; further off it has found something else
_DRIFT_RESIDUAL = 80.0  # difference from the base image at which a chained track has lost half its visibility
_ALIKE_PX = 1.5  # difference at which two tracks of a pixel contradict each other more than they agree
_ALONE = 0.6  # certainty left to a track that another contradicts
_MINIMUM_SIDE = 16  # pixels; DIS matches 8-pixel patches


class DISTracker:
    """Dense Inverse Search flow (Kroeger et al. 2016), helped by an exhaustive search where it fails.

    Every target is reached in two ways, from the base directly and over the previous target, which keeps what turns or
    changes its light. The second is registered anew against the base, and also proposed to the direct match. Each pixel takes the
    way that is surer of it. Targets are therefore best given in the order of time, without gaps.
    """

    info = tracker_info("dis")

    def track(self, images: Sequence[np.ndarray], frames: Sequence[int]) -> DenseTracks:
        """``images``: (H, W, 3) uint8 RGB of one size >= 16 px, the base first; ``frames``: their indices. Thread-safe.

        Raises ShapeError if there are no targets, or images and frames do not fit each other.
        """
        if len(images) < 2 or len(images) != len(frames):
            raise ShapeError(
                f"Tracking needs a base image, at least one target and one frame index each, got {len(images)} and {len(frames)}."
            )
        for image in images:
            if image.dtype != np.uint8 or image.shape != images[0].shape or image.ndim != 3 or image.shape[2] != 3:
                raise ShapeError(f"Images to track must be uint8 (H, W, 3) of one size, got {image.dtype} {image.shape}.")
        height, width = images[0].shape[:2]
        if min(height, width) < _MINIMUM_SIDE:
            raise ShapeError(f"DIS tracking needs images of at least {_MINIMUM_SIDE} pixels a side, got {width}x{height}.")

        base = last = Image(np.ascontiguousarray(images[0]))
        tracks: list[Tracks] = []
        back = np.zeros((height, width, 2), np.float32)  # from the last target to the base
        for pixels in images[1:]:
            target = Image(np.ascontiguousarray(pixels))
            if not tracks:
                carried, reverse = match(base, target)
                tracks.append(carried)
            else:
                step, step_back = match(last, target)
                chained = _chained(carried, step, base, target)
                chained_back = step_back.flow + sample(back, base.grid + step_back.flow)
                direct, reverse = match(base, target, [(chained.flow, chained_back)])
                tracks.append(_judged(direct, chained))
                carried = surer(direct, chained)
            last, back = target, reverse.flow

        return DenseTracks(
            base=frames[0],
            targets=tuple(frames[1:]),
            positions=np.stack([base.grid + 0.5 + track.flow for track in tracks]),
            visibility=np.stack([track.visibility for track in tracks]),
            confidence=np.stack([track.confidence for track in tracks]),
            tracker=self.info,
        )


def _chained(previous: Tracks, step: Tracks, base: Image, target: Image) -> Tracks:
    """The tracks from the base to the target, over those to the last target and the ``step`` from there."""
    at = base.grid + previous.flow
    flow = corrected(base, target, previous.flow + sample(step.flow, at), _DRIFT_GATE_PX)
    visibility = np.minimum(previous.visibility, sample(step.visibility, at)) * inside(base.grid + flow)
    visibility /= 1.0 + (residual(base, target, flow) / _DRIFT_RESIDUAL) ** 4
    confidence = np.minimum(previous.confidence, sample(step.confidence, at))
    return Tracks(flow, visibility.astype(np.float32), confidence.astype(np.float32))


def _judged(first: Tracks, second: Tracks) -> Tracks:
    """The surer tracks, with a certainty that rises where the others agree, and falls where they or the surroundings do not.

    Not for carrying on: what is doubted for the length of one frame would stay so.
    """
    chosen = surer(first, second)
    ours, theirs = first.visibility * first.confidence, second.visibility * second.confidence
    high, low = np.maximum(ours, theirs), np.minimum(ours, theirs)
    alike = agreement(first.flow, second.flow, _ALIKE_PX)
    both = 1.0 - (1.0 - high) * (1.0 - low * alike)
    disputed = high * (1.0 - 0.5 * low / np.maximum(high, 1e-6))
    certainty = np.where(alike > 0.5, both, disputed) * (_ALONE + (1.0 - _ALONE) * alike)
    return certified(chosen.flow, chosen.visibility, supported(chosen.flow, certainty.astype(np.float32)))
