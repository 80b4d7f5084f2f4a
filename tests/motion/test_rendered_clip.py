"""Clips for trackers in 3D, with rendered depths."""

from __future__ import annotations

import numpy as np
import torch

from trackersplat.captures.capture import Capture
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.motion.rendered_clip import rendered_clip
from trackersplat.rendering.backends.portable import PortableRasterizer


def wall(z: float) -> Gaussians:
    """Small opaque Gaussians on the part of a plane where x is below 0.3."""
    x, y = torch.meshgrid(torch.arange(-3, 0.3, 0.05), torch.arange(-3, 3, 0.05), indexing="xy")
    means = torch.stack((x, y, torch.full_like(x, z)), -1).reshape(-1, 3)
    count = len(means)
    return Gaussians(
        means=means,
        quats=torch.tensor([1.0, 0, 0, 0]).repeat(count, 1),
        log_scales=torch.tensor([0.04, 0.04, 0.001]).log().repeat(count, 1),
        opacity_logits=torch.full((count,), 5.0),
        sh=torch.zeros(count, 1, 3),
    )


def test_images_come_from_the_capture_and_depths_from_the_gaussians_of_each_frame(small_capture: Capture) -> None:
    clip = rendered_clip(small_capture, [2, 0], [1, 3], lambda frame: wall(0.5 + 0.2 * frame), PortableRasterizer())
    assert clip.frames == (1, 3)
    assert [camera.name for camera in clip.cameras] == [small_capture.cameras[2].name, small_capture.cameras[0].name]
    assert np.array_equal(clip.images[0][1].numpy(), small_capture.image(2, 3))
    for view, camera in enumerate(clip.cameras):
        x, y = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
        rays = np.stack([(x - camera.cx) / camera.fx, (y - camera.cy) / camera.fy, np.ones_like(x)], axis=-1) @ camera.rotation
        for at, frame in enumerate(clip.frames):
            exact = (0.5 + 0.2 * frame - camera.center[2]) / rays[..., 2]
            on = (camera.center + rays * exact[..., None])[..., 0]
            found = clip.depths[view][at].numpy()
            assert np.abs(found - exact)[on < 0.2].max() < 0.06
            assert (found[on > 0.5] == 0).all()  # not known
