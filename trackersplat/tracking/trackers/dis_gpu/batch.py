"""How displacements go out, and how many views go together."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from trackersplat.tracking.trackers.dis_gpu.images import pixel_grid

_BYTES_PER_PIXEL = 260  # of working memory for one view (bound, measured at 1352x1014)
MEMORY = 2 << 30  # bytes of working memory: views go together as far as it reaches (bound)
_SHARE = 16  # of the memory of a GPU, one part may be used where that is more: fewer parts, fewer and larger launches (bound)


def parts(views: int, height: int, width: int, device: torch.device) -> Iterator[slice]:
    """The views in as many parts of nearly one size as the working memory makes necessary; single ones at the most."""
    most = max(1, working_memory(device) // (_BYTES_PER_PIXEL * height * width))
    size = math.ceil(views / math.ceil(views / most))
    return (slice(first, first + size) for first in range(0, views, size))


def working_memory(device: torch.device) -> int:
    """Bytes that the matching of one part of the views may use."""
    return max(MEMORY, torch.cuda.get_device_properties(device).total_memory // _SHARE if device.type == "cuda" else 0)


def positions(flow: Tensor) -> Tensor:
    """(B, H, W, 2) px, centres at +0.5, of displacements (B, 2, H, W)."""
    height, width = flow.shape[2:]
    return (pixel_grid(height, width, flow.device) + 0.5 + flow).permute(0, 2, 3, 1)
