"""In how much error each Gaussian is."""

from __future__ import annotations

import numpy as np
import torch

from trackersplat.captures.camera import Camera
from trackersplat.diagnosis.gaussian_error import gaussian_error
from trackersplat.gaussians.gaussians import SH_C0, Gaussians
from trackersplat.rendering.backends.portable import PortableRasterizer


def _two_blobs() -> Gaussians:
    """Apart from each other, and a third one behind the camera."""
    return Gaussians(
        means=torch.tensor([[-0.5, 0.0, 2.0], [0.5, 0.0, 2.0], [0.0, 0.0, -2.0]]),
        quats=torch.tensor([[1.0, 0, 0, 0]]).repeat(3, 1),
        log_scales=torch.full((3, 3), float(np.log(0.05))),
        opacity_logits=torch.full((3,), 4.0),
        sh=torch.full((3, 1, 3), 0.2 / SH_C0),
    )


def test_the_error_of_a_pixel_goes_to_the_gaussian_that_makes_it() -> None:
    camera = Camera("cam0", 64, 48, np.array([[60.0, 0, 32], [0, 60, 24], [0, 0, 1]]), np.eye(4))
    gaussians, rasterizer = _two_blobs(), PortableRasterizer()
    seen = rasterizer.render(gaussians, [camera]).color[0]
    photo = seen.clone()
    photo[:, 32:] += 10 / 255  # the right half is off by ten levels
    error = gaussian_error(rasterizer, gaussians, [camera], [photo])
    assert torch.allclose(error[:2], torch.tensor([0.0, 10.0]), atol=1e-3)
    assert torch.isnan(error[2])
    corrected = gaussian_error(rasterizer, gaussians, [camera], [photo], lambda name, image: photo if name == "cam0" else image)
    assert torch.allclose(corrected[:2], torch.zeros(2), atol=1e-3)
