"""Images of a capture on a device."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from quad_scene import quad_capture

from trackersplat.captures.capture import Capture
from trackersplat.rendering.device_images import DeviceImages, device_image, device_mask, is_on_device


class Masks:
    """Masks of the first camera alone."""

    def has(self, camera: int) -> bool:
        return camera == 0

    def read(self, camera: int, frame: int) -> np.ndarray | None:
        return None if camera else np.arange(80 * 60).reshape(60, 80) % (frame + 2) == 0

    def close(self) -> None: ...


def masked_capture() -> Capture:
    return replace(quad_capture(), masks=Masks())


def test_on_a_cpu_a_mask_is_a_copy_and_there_may_be_none() -> None:
    capture, device = masked_capture(), torch.device("cpu")
    mask = device_mask(capture, 0, 1, device)
    assert mask is not None
    assert np.array_equal(mask.numpy(), capture.mask(0, 1))
    assert device_mask(capture, 1, 1, device) is None
    assert device_mask(quad_capture(), 0, 1, device) is None


def test_on_a_cpu_an_image_is_a_copy() -> None:
    capture = quad_capture()
    image = device_image(capture, 0, 1, torch.device("cpu"))
    assert np.array_equal(image.numpy(), capture.image(0, 1))
    image.zero_()
    assert capture.image(0, 1).any()


def test_what_was_used_longest_ago_makes_room() -> None:
    images = DeviceImages(capacity=24)
    for frame in (0, 1):
        images.put((0, frame), torch.full((2, 2, 3), frame, dtype=torch.uint8))
    assert images.get((0, 0)) is not None
    images.put((0, 2), torch.zeros(2, 2, 3, dtype=torch.uint8))
    assert images.get((0, 1)) is None
    assert [(0, frame) in images for frame in range(3)] == [True, False, True]
    assert images.get((0, 0)) is not None
    images.put((1, 0), torch.zeros(5, 5, 3, dtype=torch.uint8))  # larger than all room
    assert images.get((1, 0)) is None
    assert images.get((0, 2)) is not None


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_on_a_gpu_an_image_is_copied_once() -> None:
    capture, device = quad_capture(), torch.device("cuda", 0)
    image = device_image(capture, 0, 1, device)
    assert np.array_equal(image.cpu().numpy(), capture.image(0, 1))
    assert device_image(capture, 0, 1, device) is image
    assert is_on_device(capture, 0, 1, device)
    assert not is_on_device(capture, 0, 0, device)
    assert device_image(capture, 0, 0, device) is not image


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_on_a_gpu_a_mask_is_copied_once() -> None:
    capture, device = masked_capture(), torch.device("cuda", 0)
    mask = device_mask(capture, 0, 1, device)
    assert mask is not None
    assert np.array_equal(mask.cpu().numpy(), capture.mask(0, 1))
    assert device_mask(capture, 0, 1, device) is mask
    assert device_mask(capture, 0, 0, device) is not mask
    assert device_mask(capture, 1, 0, device) is None
    assert device_mask(quad_capture(), 0, 1, device) is None
    assert device_image(capture, 0, 1, device).dtype == torch.uint8  # not taken for the mask
