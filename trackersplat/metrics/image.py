"""PSNR and SSIM of images with values in [0, 1]: how they are computed.

PSNR: -10 log10 of the mean squared error over all channels of the pixels at once. SSIM (Wang et al. 2004) in the form that the 3DGS
papers report: Gaussian window of 11 pixels with sigma 1.5, zeros beyond the border, per channel, mean over pixels and channels. Over a
mask, the mean is taken over its pixels alone; the windows of SSIM still reach outside it.

NumPy and OpenCV compute them on the CPU, torch on CUDA: on the CPU torch takes fifteen times as long for SSIM.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from trackersplat.errors import ShapeError
from trackersplat.geometry.devices import has_triton
from trackersplat.metrics.metric import ImageBatch, full_precision, region_means

# The definition of SSIM, not settings: with other values it is another metric.
WINDOW = 11  # pixels, width of the Gaussian window
SIGMA = 1.5  # pixels, its standard deviation
C1 = 0.01**2  # the constants of Wang et al. 2004 for a data range of 1
C2 = 0.03**2

Image = Tensor | np.ndarray


def constant_psnr(reference: np.ndarray) -> float:
    """PSNR in dB of the best picture of one colour against ``reference`` (H, W, 3) uint8: its mean; infinity where it has one colour."""
    deviations: np.ndarray = cv2.meanStdDev(reference)[1]
    variance = float(np.square(deviations).mean()) / 255**2
    return -10 * math.log10(variance) if variance > 0 else math.inf


def psnr(image: Image, reference: Image, mask: np.ndarray | None = None) -> float:
    """Peak signal-to-noise ratio in dB of ``image`` against ``reference``, over all channels of all pixels or those of ``mask``.

    Both of one shape, uint8 or floating; floating values are clamped to [0, 1] first. Equal images give infinity, a mask
    (bool, of the pixels' shape) without pixels nan. Raises ShapeError if the shapes differ.
    """
    a, b = _pair(image, reference)
    if mask is not None:
        a, b = _masked(a, mask), _masked(b, mask)
        if not a.size:
            return math.nan
    difference = a - b
    error = float(np.square(difference, out=difference).mean(dtype=np.float64))
    return math.inf if error == 0 else -10.0 * math.log10(error)


def ssim(image: Image, reference: Image, mask: np.ndarray | None = None) -> float:
    """Mean structural similarity in [-1, 1]; with a ``mask`` (H, W) bool over its pixels only (nan if it has none).

    Both (H, W, C), uint8 or floating; floating values are clamped to [0, 1] first. Raises ShapeError if the shapes differ.
    """
    a, b = _pair(image, reference)
    if a.ndim != 3:
        raise ShapeError(f"ssim compares single (H, W, C) images, got shape {a.shape}.")
    similarity = _similarity(a, b)
    if mask is not None:
        similarity = _masked(similarity, mask)
        if not similarity.size:
            return math.nan
    return float(similarity.mean(dtype=np.float64))


def psnr_metric(batch: ImageBatch) -> Tensor:
    """See `metrics.metric.Metric`; inf where the images are equal."""
    return -10 * torch.log10(region_means((batch.images - batch.references).square_(), batch))


def ssim_metric(batch: ImageBatch) -> Tensor:
    """See `metrics.metric.Metric`."""
    if batch.images.is_cpu:
        pairs = zip(batch.images.numpy(), batch.references.numpy(), strict=True)
        similarity = torch.stack([torch.from_numpy(_similarity(a, b)) for a, b in pairs])
    elif has_triton(batch.images):
        from trackersplat.metrics import ssim_triton

        similarity = ssim_triton.similarity(
            batch.images.contiguous(), batch.references.contiguous(), window=WINDOW, sigma=SIGMA, c1=C1, c2=C2
        )
    else:
        with full_precision(batch.images.device):
            similarity = ssim_map(batch.images.permute(0, 3, 1, 2), batch.references.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    return region_means(similarity, batch)


def ssim_map(a: Tensor, b: Tensor) -> Tensor:
    """Structural similarity of two (..., H, W) float tensors at every pixel; differentiable, for the GPU."""
    h, w = a.shape[-2:]
    taps = torch.arange(WINDOW, dtype=a.dtype, device=a.device) - WINDOW // 2
    kernel = torch.softmax(-0.5 * (taps / SIGMA) ** 2, dim=0)
    planes = torch.stack((a, b, a * a, b * b, a * b))
    flat = planes.reshape(-1, 1, h, w)
    flat = F.conv2d(flat, kernel.view(1, 1, 1, -1), padding=(0, WINDOW // 2))
    flat = F.conv2d(flat, kernel.view(1, 1, -1, 1), padding=(WINDOW // 2, 0))
    mean_a, mean_b, aa, bb, ab = flat.reshape(planes.shape)
    mutual, squares = mean_a * mean_b, mean_a * mean_a + mean_b * mean_b
    covariance, variances = ab - mutual, aa + bb - squares
    return (2 * mutual + C1) * (2 * covariance + C2) / ((squares + C1) * (variances + C2))


def blur(image: np.ndarray) -> np.ndarray:
    """(H, W, C) float32 filtered by the window of SSIM, with zeros beyond the border."""
    blurred = cv2.GaussianBlur(image, (WINDOW, WINDOW), SIGMA, borderType=cv2.BORDER_CONSTANT)
    return blurred.reshape(image.shape)  # OpenCV drops a channel axis of length 1


def _similarity(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """`ssim_map` of two (H, W, C) images on the CPU."""
    mean_a, mean_b, aa, bb, ab = blur(a), blur(b), blur(a * a), blur(b * b), blur(a * b)
    mutual, squares = mean_a * mean_b, mean_a * mean_a + mean_b * mean_b
    covariance, variances = ab - mutual, aa + bb - squares
    similarity: np.ndarray = (2 * mutual + C1) * (2 * covariance + C2) / ((squares + C1) * (variances + C2))
    return similarity


def _pair(image: Image, reference: Image) -> tuple[np.ndarray, np.ndarray]:
    a, b = _unit(image), _unit(reference)
    if a.shape != b.shape:
        raise ShapeError(f"The images to compare have shapes {a.shape} and {b.shape}; they must be equal.")
    return a, b


def _masked(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    if mask.dtype != np.bool_ or mask.shape != values.shape[: mask.ndim] or mask.ndim < 2:
        raise ShapeError(f"A mask must be bool of the image's (height, width), got {mask.dtype} {mask.shape} for {values.shape}.")
    return values[mask]


def _unit(image: Image) -> np.ndarray:
    """float32 in [0, 1] on the CPU."""
    array = image.detach().cpu().numpy() if isinstance(image, Tensor) else image
    if array.dtype == np.uint8:
        return array.astype(np.float32) / np.float32(255)
    return np.clip(array, 0, 1).astype(np.float32, copy=False)
