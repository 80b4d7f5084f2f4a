"""The foreground masks of several cameras at chosen points of their images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trackersplat.geometry.devices import uploaded
from trackersplat.motion.rendered_depth import corners_around

Masks = Mapping[str, np.ndarray | Tensor | None]  # camera name -> (H, W) bool foreground mask of one frame


@dataclass(frozen=True, eq=False)
class MaskImages:
    """The masks of C cameras, one after the other, so that points of all of them are looked up at once."""

    values: Tensor  # (K,) bool, all pixels of all masks
    begins: Tensor  # (C,) int64, where the mask of each camera begins
    sizes: Tensor  # (C, 2) int64 width and height
    exist: Tensor  # (C,) bool; of a camera without a mask a few pixels of nothing are held

    @staticmethod
    def of(masks: Masks, names: Sequence[str], device: torch.device) -> MaskImages:
        """``names``: of the cameras, in their order."""
        nothing = torch.zeros(2, 2, dtype=torch.bool, device=device)
        found = [masks.get(name) for name in names]
        images = [nothing if mask is None else torch.as_tensor(mask, device=device) for mask in found]
        counts = np.array([image.numel() for image in images])
        numbers = (counts.cumsum() - counts, [image.shape[1] for image in images], [image.shape[0] for image in images])
        begins, width, height = uploaded(numbers, device, torch.int64)
        exist = uploaded([mask is not None for mask in found], device, torch.bool)
        return MaskImages(torch.cat([image.flatten() for image in images]), begins, torch.stack((width, height), dim=-1), exist)

    def shares(self, pixels: Tensor, camera: Tensor) -> Tensor:
        """(P,) float32: of the four pixels around positions (P, 2) the share in the foreground; 0.5 where there is no mask."""
        around = corners_around(pixels, *self.sizes[camera].unbind(-1))
        return torch.where(self.exist[camera], self._at(camera, around.rows, around.columns).float().mean(-1), 0.5)

    def at_borders(self, pixels: Tensor, camera: Tensor) -> Tensor:
        """(P,) bool: whether the 3 x 3 pixels around a pixel do not all say the same."""
        reach = torch.arange(-1, 2, device=pixels.device)
        columns, rows = (
            (value.long()[:, None] + reach).clamp_min(0).minimum(size[:, None] - 1)
            for value, size in zip(pixels.unbind(-1), self.sizes[camera].unbind(-1), strict=True)
        )
        around = self._at(camera, rows.repeat_interleave(3, 1), columns.repeat(1, 3))
        return around.any(1) & ~around.all(1)

    def _at(self, camera: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        return self.values[self.begins[camera][:, None] + rows * self.sizes[camera, :1] + columns]
