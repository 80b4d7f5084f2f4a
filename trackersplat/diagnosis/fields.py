"""Values of images at points between pixels."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
import torch
from torch import Tensor

from trackersplat.diagnosis.settings import PatchSettings
from trackersplat.motion.rendered_depth import corners_around
from trackersplat.tracking.tracks import DenseTracks

_ROWS_AT_ONCE = 16_384  # OpenCV's limit of the size of an image is twice that


def sample_tracks(dense: DenseTracks, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Where positions (P, 2) go to the only target, (P, 2) float64, and visibility times confidence there (P,).

    nan and 0 for positions that are not finite, and where the dense tracks have none.
    """
    somewhere = pixels.isfinite().all(-1)
    height, width = dense.positions.shape[1:3]
    around = corners_around(torch.where(somewhere[:, None], pixels.double(), 0.5), width, height)
    corners = dense.positions[0, around.rows, around.columns].double()  # (P, 4, 2)
    shift = corners - torch.stack((around.columns + 0.5, around.rows + 0.5), dim=-1)
    weights = around.weights * shift.isfinite().all(-1) * somewhere[:, None]
    weights = weights / weights.sum(-1, keepdim=True)  # nan if there is none
    moved = pixels.double() + (weights[..., None] * shift.nan_to_num(0.0)).sum(1)
    certain = (dense.visibility * dense.confidence)[0, around.rows, around.columns].double()
    return moved, (weights * certain).sum(1).nan_to_num(0.0)


def sample_image(image: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """(..., K) or (...) float32 values of ``image`` (H, W[, K]) at ``pixels`` (..., 2), bilinear; nan outside."""
    height, width = image.shape[:2]
    places = pixels.reshape(-1, 2)
    inside = np.isfinite(places).all(1) & (places >= 0).all(1) & (places <= (width, height)).all(1)
    flat = np.where(inside[:, None], places, 0.5).astype(np.float32) - np.float32(0.5)
    source = np.ascontiguousarray(image, np.float32)
    parts = [
        cv2.remap(source, part[:, :1], part[:, 1:], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE).reshape(len(part), -1)
        for part in (flat[first : first + _ROWS_AT_ONCE] for first in range(0, len(flat), _ROWS_AT_ONCE))
    ]
    shape = (*pixels.shape[:-1], *image.shape[2:])
    values = np.concatenate(parts) if parts else np.zeros((0, 1), np.float32)
    return np.where(inside[:, None], values, np.float32(np.nan)).reshape(shape)


def grey(image: np.ndarray) -> np.ndarray:
    """(H, W) float32 in 0..255 of an (H, W, 3) uint8 RGB image."""
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)


def patches(images: Mapping[int, np.ndarray], camera: np.ndarray, pixels: np.ndarray, settings: PatchSettings) -> np.ndarray:
    """(P, n, n) float32 grey levels around ``pixels`` (P, 2), nan outside the image; ``images``: camera -> (H, W) float32."""
    count = settings.samples
    result = np.full((len(pixels), count, count), np.nan, np.float32)
    reach = np.linspace(-0.5, 0.5, count)
    for index, image in images.items():
        chosen = np.flatnonzero(camera == index)
        side = settings.side * max(image.shape) * (count - 1) / count
        offsets = np.stack(np.meshgrid(reach * side, reach * side), axis=-1)
        result[chosen] = sample_image(image, pixels[chosen, None, None] + offsets)
    return result


def correlation(first: np.ndarray, second: np.ndarray, noise: float) -> np.ndarray:
    """(P,) in [-1, 1]: normalised cross-correlation of patches (P, n, n); 1 between two without contrast, nan where a pixel is missing.

    ``noise``: standard deviation that both are taken to have in common, so that noise on a plain surface counts as equal.
    """
    a, b = (patch.reshape(len(patch), -1).astype(np.float64) for patch in (first, second))
    a, b = a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True)
    floor = noise * noise
    both: np.ndarray = ((a * b).mean(1) + floor) / np.sqrt(((a * a).mean(1) + floor) * ((b * b).mean(1) + floor))
    return both.clip(-1.0, 1.0)


def contrast(patch: np.ndarray) -> np.ndarray:
    """(P,) grey levels: RMS change along the direction of least change, over the patch (the square root of the smaller eigenvalue of
    its structure tensor, times the number of samples along a side)."""
    y, x = np.gradient(patch.astype(np.float64), axis=(1, 2))
    xx, yy, xy = ((u * v).mean((1, 2)) for u, v in ((x, x), (y, y), (x, y)))
    least = (xx + yy) / 2 - np.sqrt(((xx - yy) / 2) ** 2 + xy**2)
    result: np.ndarray = np.sqrt(np.maximum(least, 0.0)) * patch.shape[1]
    return result
