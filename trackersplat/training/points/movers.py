"""Masks of what moves, from the clip alone: what differs from the median of its frames, cut out along the edges of the picture."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from trackersplat.training.points.settings import MoverSettings


def spread_frames(count: int, frame: int, most: int) -> list[int]:
    """Up to ``most`` frames of a clip of ``count``, evenly spread, without ``frame`` itself."""
    return [int(f) for f in np.unique(np.linspace(0, count - 1, most).round()) if f != frame]


def mover_mask(image: np.ndarray, clip: Sequence[np.ndarray], settings: MoverSettings) -> np.ndarray:
    """(H, W) bool: what moves, in ``image`` (H, W, 3) uint8; ``clip`` are pictures of the same camera at other times.

    Only where the clip ever changes can there be a mover. There, what differs from the median or from most of the clip is the first guess
    of it, and GrabCut (Rother et al. 2004) finds the edges: the colours outside are the background's, those of the guess the mover's.
    """
    changed = settings.changed
    current = image.astype(np.float32)
    stack = np.stack([*clip, image]).astype(np.float32)
    median = np.median(stack, axis=0)
    region = _region((np.abs(stack - median).max(axis=-1) > changed).any(axis=0), settings)
    differs = np.abs(current - median).max(axis=-1) > changed
    differs |= (np.abs(stack - current).max(axis=-1) > changed).mean(axis=0) > settings.mostly
    labels = np.full(region.shape, cv2.GC_BGD, dtype=np.uint8)
    labels[region] = np.where(differs[region], cv2.GC_PR_FGD, cv2.GC_PR_BGD)
    if not (region & differs).any() or region.all():
        return np.zeros(region.shape, dtype=bool)
    cv2.setRNGSeed(settings.seed)
    work = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(np.ascontiguousarray(image[..., ::-1]), labels, None, *work, settings.rounds, cv2.GC_INIT_WITH_MASK)
    cut = ((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)).astype(np.uint8)
    cut = cv2.morphologyEx(cut, cv2.MORPH_OPEN, np.ones((3, 3), dtype=np.uint8))
    return cv2.dilate(cut, np.ones((3, 3), dtype=np.uint8)) > 0  # a hull is carved by what is missing


def _region(changed: np.ndarray, settings: MoverSettings) -> np.ndarray:
    """(H, W) bool: the large regions of change, closed and widened."""
    width = changed.shape[1]
    gap, reach = 2 * (width // settings.joined // 2) + 1, 2 * (width // settings.widened // 2) + 1
    region = cv2.morphologyEx(changed.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), dtype=np.uint8))
    region = cv2.morphologyEx(region, cv2.MORPH_CLOSE, np.ones((gap, gap), dtype=np.uint8))
    region = cv2.dilate(region, np.ones((reach, reach), dtype=np.uint8))
    count, label, stats, _ = cv2.connectedComponentsWithStats(region)
    if count < 2:
        return np.zeros(changed.shape, dtype=bool)
    area = stats[:, cv2.CC_STAT_AREA].astype(np.float64)
    area[0] = 0  # what is no region
    return np.isin(label, np.flatnonzero(area >= settings.small * area.max()))
