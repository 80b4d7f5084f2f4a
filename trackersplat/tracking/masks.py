"""Tracks that foreground masks contradict: a point of a person does not become one of the wall behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from trackersplat.errors import ShapeError
from trackersplat.geometry.projection import inside_image
from trackersplat.tracking.tracks import DenseTracks, as_array


def distrust_crossings(tracks: DenseTracks, base: np.ndarray | None, targets: Sequence[np.ndarray | None]) -> DenseTracks:
    """The tracks with confidence 0 where the base frame's mask at the pixel and the target's mask at its position differ.

    ``base`` (H, W) bool and one mask per target frame; without a mask on either side nothing changes, nor does it for positions
    outside the image. Positions and visibility stay as they are.

    Raises ShapeError if the masks do not fit the tracks.
    """
    if len(targets) != len(tracks.targets) or any(m is not None and m.shape != tracks.positions.shape[1:3] for m in (base, *targets)):
        raise ShapeError(f"Tracks of shape {tuple(tracks.positions.shape)} need one mask of that size per frame, or None.")
    if base is None or all(mask is None for mask in targets):
        return tracks
    confidence = as_array(tracks.confidence).copy()
    height, width = base.shape
    for mask, positions, trust in zip(targets, as_array(tracks.positions), confidence, strict=True):
        if mask is None:
            continue
        # The pixel a position falls into; a lost track may be anywhere or nowhere (NaN).
        inside = inside_image(positions, width, height)
        column, row = np.where(inside[..., None], positions, 0).astype(np.intp).transpose(2, 0, 1)
        trust[inside & (mask[row, column] != base)] = 0.0
    return replace(tracks, confidence=confidence)
