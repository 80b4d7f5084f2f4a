"""Cameras out of focus."""

from __future__ import annotations

import cv2
import numpy as np

from trackersplat.checks.sharpness import blur, check_sharpness


def test_blur_grows_with_the_width_of_the_blur_and_hardly_depends_on_what_is_shown() -> None:
    rng = np.random.default_rng(0)
    noisy = cv2.resize(rng.integers(0, 256, (40, 60, 3), dtype=np.uint8), (240, 160), interpolation=cv2.INTER_NEAREST)
    checks = np.kron(np.indices((16, 24)).sum(axis=0) % 2, np.ones((10, 10)))[..., None].repeat(3, axis=2).astype(np.uint8) * 180
    for image in (noisy, checks):
        values = [blur(image), *(blur(cv2.GaussianBlur(image, (0, 0), sigma)) for sigma in (1.2, 2.0, 3.0))]
        assert values == sorted(values)
        assert values[1] - values[0] > 0.13
    assert blur(noisy // 4) - blur(noisy) < 0.05  # a darker exposure is not a blur
    assert blur(np.full((30, 30, 3), 9, np.uint8)) == 1.0


def test_blur_along_one_axis_counts() -> None:
    image = np.kron(np.random.default_rng(0).integers(0, 256, (12, 12, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    assert blur(cv2.blur(image, (5, 1))) - blur(image) > 0.15
    assert blur(cv2.blur(image, (1, 5))) - blur(image) > 0.15


def test_the_camera_that_is_more_blurred_than_the_others_is_a_warning() -> None:
    (finding,) = check_sharpness("abcd", (0.28, 0.3, 0.52, None))
    assert (finding.severity, finding.camera) == ("warning", "c")
    assert check_sharpness("abcd", (0.28, 0.3, 0.40, 0.31)) == []
    assert check_sharpness("ab", (0.2, 0.9)) == []  # which of two is wrong cannot be told
