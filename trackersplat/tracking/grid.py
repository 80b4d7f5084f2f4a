"""Dense tracks from a grid of queries, for trackers that follow chosen points only."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from trackersplat.errors import ShapeError
from trackersplat.tracking.settings import GridSettings
from trackersplat.tracking.tracker import PointMotion


def query_grid(width: int, height: int, settings: GridSettings, device: torch.device) -> Tensor:
    """(R, C, 2) float32 px: evenly spaced points from the centre of the first pixel to that of the last one."""
    columns, rows = (
        torch.linspace(0.5, size - 0.5, 1 + math.ceil((size - 1) / settings.step_px), device=device) for size in (width, height)
    )
    return torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1)


def interpolate_grid(motion: PointMotion, grid: Tensor, width: int, height: int) -> PointMotion:
    """The motion (1, F, R * C, ...) of the points of a `query_grid`, rows first, at every pixel: (1, F, H, W, ...).

    Displacement, visibility and confidence are bilinear between the points. Where one of the four around a pixel has no position, the
    pixel has none either, and confidence 0.

    Raises ShapeError if the motion is not that of the grid.
    """
    rows, columns = grid.shape[:2]
    if motion.positions.shape[0] != 1 or tuple(motion.positions.shape[2:]) != (rows * columns, 2):
        shape = tuple(motion.positions.shape)
        raise ShapeError(f"The motion of a grid of {rows * columns} queries must be (1, F, {rows * columns}, 2), got {shape}.")
    shift = motion.positions[0].unflatten(1, (rows, columns)) - grid  # (F, R, C, 2)
    others = (values[0].unflatten(1, (rows, columns))[..., None] for values in (motion.visibility, motion.confidence))
    coarse = torch.cat((shift, *others), dim=-1).permute(0, 3, 1, 2)
    fine = interpolate(coarse, (height, width), mode="bilinear", align_corners=True)
    pixels = query_grid(width, height, GridSettings(step_px=1), grid.device)
    positions = fine[:, :2].permute(0, 2, 3, 1) + pixels
    known = torch.isfinite(positions).all(-1)
    return PointMotion(
        positions=positions[None],
        visibility=fine[None, :, 2].clamp(0, 1),
        confidence=torch.where(known, fine[:, 3].clamp(0, 1), 0.0)[None],
    )
