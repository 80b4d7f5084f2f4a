"""Small operations on images and on fields of displacements, as tensors on any device.

On the CPU, OpenCV and NumPy do some of them: they are many times faster than PyTorch there, and sampling is bit-identical to PyTorch's way
below, which CUDA tensors take.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

from trackersplat.geometry.projection import inside_image

_STEPS = 32  # per pixel: the size of OpenCV's table of bilinear weights (INTER_TAB_SIZE)
_FARTHEST = 2.0**24  # pixels: positions beyond are taken to be there, so that they fit into integers


def pixel_grid(height: int, width: int, device: torch.device) -> Tensor:
    """(H, W, 2) float32 array indices (x, y) of the pixels."""
    columns = torch.arange(width, dtype=torch.float32, device=device).expand(height, width)
    rows = torch.arange(height, dtype=torch.float32, device=device)[:, None].expand(height, width)
    return torch.stack((columns, rows), dim=-1)


def sample(values: Tensor, at: Tensor) -> Tensor:
    """Bilinear ``values`` (H, W) or (H, W, C), float32, at array indices ``at`` (h, w, 2), continued beyond the border.

    As `cv2.remap` does, positions are exact for one value per pixel, and rounded to 1/32 of a pixel for several. They must be finite.
    """
    if not values.is_cuda:
        source, places = (np.ascontiguousarray(tensor.numpy()) for tensor in (values, at))
        return torch.from_numpy(cv2.remap(source, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))
    return sample_elementwise(values, at)


def sample_elementwise(values: Tensor, at: Tensor) -> Tensor:
    """`sample` in plain PyTorch, with the arithmetic of OpenCV 5."""
    height, width = values.shape[:2]
    at = at.clamp(-_FARTHEST, _FARTHEST)
    if values.ndim == 3:
        at = (at * _STEPS).round() / _STEPS  # half to even
    low = at.floor()
    x, y = (at - low).unbind(-1)
    left, above = low.long().unbind(-1)
    flat = values.reshape(height * width, *values.shape[2:])

    def corner(down: int, right: int) -> Tensor:
        place = (above + down).clamp(0, height - 1) * width + (left + right).clamp(0, width - 1)
        return flat[place]

    if values.ndim == 2:
        top, bottom = (_between(corner(down, 0), corner(down, 1), x) for down in (0, 1))
        return _between(top, bottom, y)
    x, y = x[..., None], y[..., None]
    return corner(0, 0) * ((1 - y) * (1 - x)) + corner(0, 1) * ((1 - y) * x) + corner(1, 0) * (y * (1 - x)) + corner(1, 1) * (y * x)


def _between(start: Tensor, end: Tensor, share: Tensor) -> Tensor:
    """``start + share (end - start)`` in float32, rounded once after the difference, as a fused multiply-add does."""
    return (share.double() * (end - start).double() + start.double()).float()


def lengths(vectors: Tensor) -> Tensor:
    """(...) of ``vectors`` (..., 2)."""
    if not vectors.is_cuda:
        return torch.from_numpy(np.asarray(np.linalg.norm(vectors.numpy(), axis=-1)))
    return vectors.norm(dim=-1)


def round_trip_trust(there: Tensor, back: Tensor, grid: Tensor) -> Tensor:
    """(H, W) in [0, 1]: trust in the displacements ``there`` (H, W, 2), by where the way ``back`` from their ends leads.

    It is 1/2 where that is a pixel beside the start, and little where it is further, as at what the other image hides.
    """
    error = lengths(there + sample(back, grid + there))
    if not error.is_cuda:
        return torch.from_numpy(1.0 / (1.0 + error.numpy() ** 4))
    return 1.0 / (1.0 + error**4)


def close_gaps(mask: Tensor, radius: int) -> Tensor:
    """(H, W) bool: the ``mask`` (H, W) bool with gaps of up to twice ``radius`` pixels closed (a dilation, then an erosion by a square)."""
    size = 2 * radius + 1
    if not mask.is_cuda:
        closed = cv2.morphologyEx(mask.numpy().astype(np.uint8), cv2.MORPH_CLOSE, np.ones((size, size), np.uint8))
        return torch.from_numpy(closed > 0)
    return close_gaps_elementwise(mask, radius)


def close_gaps_elementwise(mask: Tensor, radius: int) -> Tensor:
    """`close_gaps` in plain PyTorch."""
    return closed_gaps(mask[None], radius)[0]


def closed_gaps(masks: Tensor, radius: int) -> Tensor:
    """`close_gaps` of each of the ``masks`` (B, H, W) bool, in plain PyTorch."""
    size = 2 * radius + 1

    def dilated(values: Tensor) -> Tensor:
        return torch.nn.functional.max_pool2d(values, size, stride=1, padding=radius)

    return -dilated(-dilated(masks[:, None].float()))[:, 0] > 0


def reached_pixels(positions: Tensor, chosen: Tensor) -> Tensor:
    """(H, W) bool: pixels that the ``positions`` (H, W, 2), centres at +0.5, of the ``chosen`` (H, W) bool fall into."""
    height, width = chosen.shape
    column, row = positions[chosen & inside_image(positions, width, height)].long().unbind(-1)
    reached = torch.zeros_like(chosen)
    reached[row, column] = True
    return reached
