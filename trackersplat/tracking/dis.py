"""Dense tracks from classical optical flow: needs no weights, no network and no GPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from trackersplat.errors import ShapeError
from trackersplat.tracking.registry import tracker_info
from trackersplat.tracking.tracker import DenseTracks

_BASE_TOLERANCE_PX = 0.5  # forward-backward error at which a point that does not move counts as half visible
_MOTION_TOLERANCE = 0.05  # growth of that tolerance per pixel of motion
_DRIFT_GATE_PX = 0.7  # a direct re-match may correct the chained flow by this much; further off it has found something else
_TRUST_PX = 0.5  # forward-backward error at which the confidence has halved
_MINIMUM_SIDE = 16  # pixels; DIS matches 8-pixel patches


class _Candidate(NamedTuple):
    flow: np.ndarray  # (H, W, 2) float32, displacement of the base frame's pixels
    visibility: np.ndarray  # (H, W) float32
    confidence: np.ndarray  # (H, W) float32


class DISTracker:
    """Dense Inverse Search flow (Kroeger et al. 2016), OpenCV's medium preset down to full resolution.

    The first target is matched directly, with a forward-backward check. Every later target is reached from the previous
    one, which keeps small fast objects; a direct match started from there removes the drift where it agrees to a fraction
    of a pixel; points lost on the way are taken up again where the plain direct match passes its own check. Targets are
    therefore best given in the order of time, without gaps.
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

        gray = [cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY) for image in images]
        grid = _grid(height, width)
        tracks: list[_Candidate] = []
        for index in range(1, len(gray)):
            direct = _match(gray[0], gray[index], grid)
            if not tracks:
                tracks.append(direct)
                continue
            tracks.append(_continue(tracks[-1], direct, gray[0], gray[index - 1], gray[index], grid))

        return DenseTracks(
            base=frames[0],
            targets=tuple(frames[1:]),
            positions=np.stack([grid + 0.5 + track.flow for track in tracks]),
            visibility=np.stack([track.visibility for track in tracks]),
            confidence=np.stack([track.confidence for track in tracks]),
            tracker=self.info,
        )


def _continue(
    previous: _Candidate, direct: _Candidate, base: np.ndarray, last: np.ndarray, target: np.ndarray, grid: np.ndarray
) -> _Candidate:
    """The tracks of the target behind ``last``, from those of ``last`` and the direct match base -> target."""
    step = _match(last, target, grid)
    at = grid + previous.flow
    predicted = previous.flow + _sample(step.flow, at)
    refined = _flow(base, target, predicted)
    correction = np.linalg.norm(refined - predicted, axis=-1)
    flow = np.where((correction < _DRIFT_GATE_PX)[..., None], refined, predicted)
    # Seen in the target only if seen on the way; the direct match below takes up what reappears.
    visibility = np.minimum(previous.visibility, _sample(step.visibility, at)) * _inside(grid + flow)
    confidence = np.minimum(previous.confidence, _sample(step.confidence, at))
    agreement = 1.0 / (1.0 + (np.minimum(correction, _DRIFT_GATE_PX) / _DRIFT_GATE_PX) ** 2)
    lost = (visibility < 0.5) & (direct.visibility > visibility)
    return _Candidate(
        np.where(lost[..., None], direct.flow, flow),
        np.where(lost, direct.visibility, visibility).astype(np.float32),
        np.where(lost, direct.confidence, confidence * agreement).astype(np.float32),
    )


def _match(source: np.ndarray, target: np.ndarray, grid: np.ndarray) -> _Candidate:
    """Direct flow with its forward-backward visibility and confidence."""
    forward = _flow(source, target)
    backward = _flow(target, source)
    at = grid + forward
    back = _sample(backward, at)
    error_sq = np.square(forward + back).sum(-1)
    motion_sq = np.square(forward).sum(-1)
    tolerance = _BASE_TOLERANCE_PX + _MOTION_TOLERANCE * np.sqrt(motion_sq)
    visibility = _inside(at) / (1.0 + np.square(error_sq / np.square(tolerance)))
    confidence = 1.0 / (1.0 + error_sq / _TRUST_PX**2)
    return _Candidate(forward, visibility.astype(np.float32), confidence.astype(np.float32))


def _flow(source: np.ndarray, target: np.ndarray, initial: np.ndarray | None = None) -> np.ndarray:
    # A new object each time: OpenCV's keeps an initial flow for later calls, and is not thread-safe.
    matcher = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    matcher.setFinestScale(0)  # the preset stops at half resolution, which doubles the error on small movers
    matcher.setPatchStride(4)  # and fewer patches with fewer iterations cost nothing measurable, but a third of the time
    matcher.setGradientDescentIterations(16)
    return matcher.calc(source, target, None if initial is None else initial.copy())


def _grid(height: int, width: int) -> np.ndarray:
    """(H, W, 2) float32 array indices (x, y) of the pixels."""
    return np.stack(np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)), axis=-1)


def _sample(values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Bilinear values at array indices ``at``, continued beyond the border."""
    return cv2.remap(values, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _inside(at: np.ndarray) -> np.ndarray:
    height, width = at.shape[:2]
    return ((at[..., 0] >= -0.5) & (at[..., 0] <= width - 0.5) & (at[..., 1] >= -0.5) & (at[..., 1] <= height - 0.5)).astype(np.float32)
