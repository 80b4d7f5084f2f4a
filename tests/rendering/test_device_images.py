"""Images of a capture on a device."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from quad_scene import quad_capture

from trackersplat.rendering.device_images import DeviceImages, device_image, is_on_device


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
