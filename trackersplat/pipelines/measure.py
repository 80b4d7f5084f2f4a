"""Image quality of a frame as one camera sees it."""

from __future__ import annotations

import torch

from trackersplat.captures.capture import Capture
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.metrics.image import psnr, ssim
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.training.photometric import ColourAffines


@torch.no_grad()
def compare_with_camera(
    rasterizer: Rasterizer, gaussians: Gaussians, capture: Capture, camera: int, frame: int, colours: ColourAffines | None = None
) -> tuple[float, float]:
    """PSNR in dB and SSIM of the render against the capture's image, over all its pixels.

    ``colours`` are applied to training cameras only: a held-out one is always compared as rendered.
    """
    truth = torch.from_numpy(capture.image(camera, frame).copy()).to(rasterizer.device).float() / 255
    image = rasterizer.render(gaussians, [capture.cameras[camera]]).color[0]
    if colours is not None and camera in capture.training_cameras:
        image = colours.apply(capture.cameras[camera].name, image)
    image = image.clamp(0, 1)
    return psnr(image, truth), ssim(image, truth)
