"""Values of tensors of whole images between the centres of their pixels, and tracks of points that are not pixel centres."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from trackersplat.errors import ShapeError
from trackersplat.geometry.projection import inside_image
from trackersplat.tracking.tracks import DenseTracks


@dataclass(frozen=True, eq=False)
class SampledTracks:
    """Where P points of the base frame of one view are in F target frames."""

    positions: Tensor  # (F, P, 2) float32 px, centres at +0.5; nan where a point has no position
    visibility: Tensor  # (F, P) float32 in [0, 1]
    confidence: Tensor  # (F, P) float32 in [0, 1]; 0 where a point has no position


def sample_tracks(tracks: DenseTracks, at: Tensor) -> SampledTracks:
    """The tracks of the points ``at`` (P, 2) px in the base frame, on the device of the tracks.

    Displacement, visibility and confidence are bilinear between the centres of the four pixels around, and continued up to the border of
    the image. A point outside of it, or beside a pixel without a position, has no position; outside, its visibility is 0.

    Raises ShapeError if ``at`` is not (P, 2) floating point.
    """
    if at.ndim != 2 or at.shape[1] != 2 or not at.is_floating_point():
        raise ShapeError(f"Points to sample tracks at must be (P, 2) floating point, got {at.dtype} {tuple(at.shape)}.")
    height, width = tracks.positions.shape[1:3]
    inside = inside_image(at, width, height)
    index = torch.where(inside[:, None], at, 0.5) - 0.5
    x, y = (index[:, axis].clamp(0, size - 1) for axis, size in ((0, width), (1, height)))
    left, top = x.floor(), y.floor()
    positions = visibility = confidence = torch.zeros((), dtype=torch.float32, device=at.device)
    for row, wy in ((top, 1 - (y - top)), (top + 1, y - top)):
        for column, wx in ((left, 1 - (x - left)), (left + 1, x - left)):
            weight = (wx * wy).float()
            i, j = row.long().clamp(max=height - 1), column.long().clamp(max=width - 1)
            moved = tracks.positions[:, i, j] - torch.stack((j, i), dim=-1) - 0.5
            positions = positions + torch.where(weight[:, None] > 0, weight[:, None] * moved, 0.0)  # no position times nothing is nothing
            visibility = visibility + weight * tracks.visibility[:, i, j]
            confidence = confidence + weight * tracks.confidence[:, i, j]
    positions = torch.where(inside[:, None], positions + at.float(), torch.nan)
    known = torch.isfinite(positions).all(-1)
    return SampledTracks(
        positions=positions,
        visibility=torch.where(inside, visibility.clamp(0, 1), 0.0),
        confidence=torch.where(known, confidence.clamp(0, 1), 0.0),
    )
