"""Tracks that foreground masks contradict: a point of a person does not become one of the wall behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from trackersplat.errors import ShapeError
from trackersplat.geometry.projection import inside_image
from trackersplat.tracking.tracks import DenseTracks


def distrust_crossings(tracks: DenseTracks, base: Tensor | None, targets: Sequence[Tensor | None]) -> DenseTracks:
    """The tracks with confidence 0 where the base frame's mask at the pixel and the target's mask at its position differ.

    ``base`` (H, W) bool and one mask per target frame, on the device of the tracks; without a mask on either side nothing changes, nor
    does it for positions outside the image. Positions and visibility stay as they are.

    Raises ShapeError if the masks do not fit the tracks.
    """
    size = tracks.positions.shape[1:3]
    if len(targets) != len(tracks.targets) or any(mask is not None and mask.shape != size for mask in (base, *targets)):
        raise ShapeError(f"Tracks of shape {tuple(tracks.positions.shape)} need one mask of that size per frame, or None.")
    if base is None or all(mask is None for mask in targets):
        return tracks
    height, width = size
    given = [index for index, mask in enumerate(targets) if mask is not None]
    known = slice(None) if len(given) == len(targets) else given  # a GPU would wait for a list
    positions = tracks.positions[known]
    # The pixel a position falls into; a lost track may be anywhere or nowhere (nan).
    inside = inside_image(positions, width, height)
    column, row = torch.where(inside[..., None], positions, 0.0).long().unbind(-1)
    there = torch.stack([mask for mask in targets if mask is not None]).flatten(1)
    crosses = inside & (there.gather(1, (row * width + column).flatten(1)).view_as(inside) != base)
    confidence = tracks.confidence.clone()
    confidence[known] = torch.where(crosses, 0.0, confidence[known])
    return replace(tracks, confidence=confidence)
