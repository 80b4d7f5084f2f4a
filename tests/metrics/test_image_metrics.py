"""PSNR and SSIM against their definitions, written out directly."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from trackersplat.errors import ShapeError
from trackersplat.metrics.image import psnr, ssim


def _images(shape: tuple[int, ...] = (23, 17, 3)) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(3)
    a = random.random(shape).astype(np.float32)
    return a, np.clip(a + 0.2 * random.standard_normal(shape), 0, 1).astype(np.float32)


def _direct_ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Pixel by pixel in float64, with the two-dimensional window and zeros outside."""
    taps = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    window = np.outer(taps, taps) / taps.sum() ** 2
    h, w, channels = a.shape
    pa, pb = (np.pad(i.astype(np.float64), ((5, 5), (5, 5), (0, 0))) for i in (a, b))
    values = []
    for y in range(h):
        for x in range(w):
            for c in range(channels):
                p, q = pa[y : y + 11, x : x + 11, c], pb[y : y + 11, x : x + 11, c]
                mp, mq = (window * p).sum(), (window * q).sum()
                vp, vq, cov = (window * p * p).sum() - mp**2, (window * q * q).sum() - mq**2, (window * p * q).sum() - mp * mq
                values.append((2 * mp * mq + 1e-4) * (2 * cov + 9e-4) / ((mp**2 + mq**2 + 1e-4) * (vp + vq + 9e-4)))
    return float(np.mean(values))


def test_psnr_of_a_constant_difference_is_its_closed_form() -> None:
    reference = np.full((4, 5, 3), 0.5, dtype=np.float32)
    assert psnr(reference + np.float32(0.1), reference) == pytest.approx(20.0, abs=1e-4)


def test_psnr_of_equal_images_is_infinite() -> None:
    a, _ = _images()
    assert psnr(a, a) == math.inf


def test_psnr_counts_8_bit_images_in_units_of_255() -> None:
    a, b = np.zeros((2, 2, 3), dtype=np.uint8), np.full((2, 2, 3), 51, dtype=np.uint8)
    assert psnr(a, b) == pytest.approx(-20 * math.log10(0.2), abs=1e-4)


def test_psnr_clamps_values_outside_the_range() -> None:
    reference = torch.ones((3, 3, 3))
    assert psnr(torch.full((3, 3, 3), 1.7), reference) == math.inf


def test_ssim_equals_the_direct_computation() -> None:
    a, b = _images()
    assert ssim(a, b) == pytest.approx(_direct_ssim(a, b), abs=2e-6)
    assert ssim(a[:, :, :1], b[:, :, :1]) == pytest.approx(_direct_ssim(a[:, :, :1], b[:, :, :1]), abs=2e-6)


def test_ssim_of_equal_images_is_one() -> None:
    a, _ = _images()
    assert ssim(torch.from_numpy(a), a) == pytest.approx(1.0, abs=1e-6)


def test_different_shapes_are_refused() -> None:
    a, _ = _images()
    with pytest.raises(ShapeError):
        psnr(a, a[:-1])
    with pytest.raises(ShapeError):
        ssim(a[None], a[None])


def test_a_mask_limits_both_metrics_to_its_pixels() -> None:
    a, b = _images()
    mask = np.random.default_rng(1).random(a.shape[:2]) < 0.3
    error = np.mean((a[mask].astype(np.float64) - b[mask]) ** 2)
    assert psnr(a, b, mask) == pytest.approx(-10 * math.log10(error), abs=1e-4)
    everywhere = np.ones(a.shape[:2], bool)
    assert psnr(a, b, everywhere) == pytest.approx(psnr(a, b), abs=1e-6)
    assert ssim(a, b, everywhere) == pytest.approx(ssim(a, b), abs=1e-6)
    inside, outside = ssim(a, b, mask), ssim(a, b, ~mask)
    assert mask.mean() * inside + (~mask).mean() * outside == pytest.approx(ssim(a, b), abs=1e-5)
    assert inside != pytest.approx(outside, abs=1e-3)


def test_an_empty_mask_has_no_value_and_a_wrong_one_is_refused() -> None:
    a, b = _images()
    assert math.isnan(psnr(a, b, np.zeros(a.shape[:2], bool)))
    assert math.isnan(ssim(a, b, np.zeros(a.shape[:2], bool)))
    with pytest.raises(ShapeError, match="mask"):
        psnr(a, b, np.ones((4, 4), bool))
