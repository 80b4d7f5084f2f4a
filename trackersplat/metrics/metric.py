"""What a metric gets and gives. A new one is a module with such a function and a line in `metrics.registry`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class ImageBatch:
    """Images of one size with their references, all on one device."""

    images: Tensor  # (C, H, W, 3) float32 in [0, 1]
    references: Tensor  # (C, H, W, 3) float32 in [0, 1]
    regions: tuple[Tensor | None, ...]  # R times (C, H, W) bool, or None for all pixels
    weights: Path  # folder with the weights of networks


class Metric(Protocol):
    """Values of every region of every image, (R, C) float64; nan where a region has no pixels."""

    def __call__(self, batch: ImageBatch) -> Tensor: ...


def region_means(values: Tensor, batch: ImageBatch) -> Tensor:
    """(R, C) float64: means of per-pixel values (C, H, W) or (C, H, W, K) over each region; nan where it has no pixels."""
    if not values.is_cpu:
        return torch.stack([_means_on_device(values, region) for region in batch.regions])
    means = torch.full((len(batch.regions), len(values)), torch.nan, dtype=torch.float64, device=values.device)
    for row, region in enumerate(batch.regions):
        for column, pixels in enumerate(values):
            chosen = pixels if region is None else pixels[region[column]]
            if chosen.numel() == 0:
                continue
            # NumPy takes a fifth of torch's time for this mean on the CPU
            means[row, column] = float(np.mean(chosen.numpy(), dtype=np.float64))
    return means


def _means_on_device(values: Tensor, region: Tensor | None) -> Tensor:
    """(C,) float64, without a host that waits for how many pixels there are."""
    if region is None:
        return values.flatten(1).mean(dim=1, dtype=torch.float64)
    values = values if values.ndim == 3 else values.mean(dim=3, dtype=torch.float64)
    inside = region.flatten(1)
    return torch.where(inside, values.flatten(1).double(), 0.0).sum(dim=1) / inside.sum(dim=1)  # 0 / 0 is nan


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Convolutions with all bits of float32: on CUDA, cuDNN drops 13 of them by default (TF32)."""
    if device.type != "cuda":
        yield
        return
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield
