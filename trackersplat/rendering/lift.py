"""From pixels to Gaussians: pixel features summed per Gaussian, weighted as in blending."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.errors import ShapeError
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.rendering.inputs import check_cameras
from trackersplat.rendering.rasterizer import Rasterizer

CHANNELS_AT_ONCE = 64  # memory budget: an image and a few arrays per Gaussian with so many channels


def lift(
    rasterizer: Rasterizer,
    gaussians: Gaussians,
    cameras: Sequence[Camera],  # all of one size and near plane
    features: Tensor,  # (C, H, W, F)
) -> Tensor:  # (C, N, F)
    """Blending-weighted sums of pixel features per camera and Gaussian: ``sum_p w_ip f_p``.

    The sums are the gradient of an F-channel render with respect to the channels of the Gaussians, so one backward pass of
    any differentiable rasteriser gives them exactly; a back end with a fused lift of its own uses that instead. A feature that is
    1 everywhere gives the weight of each Gaussian in the image. Pixels to leave out have features 0.

    Raises ShapeError if the cameras do not fit each other, or ``features`` is not (C, H, W, F) float32 at their resolution.
    """
    check_cameras(cameras)
    wanted = (len(cameras), cameras[0].height, cameras[0].width)
    if features.ndim != 4 or features.shape[:3] != wanted or features.dtype != torch.float32:
        expected = f"({', '.join(map(str, wanted))}, F) float32"
        raise ShapeError(f"lift() needs features of shape {expected}, got {tuple(features.shape)} {features.dtype}.")
    fixed = gaussians.detach()
    features = features.detach().to(gaussians.device)
    fused = rasterizer.fused_lift()
    if fused is not None:
        return fused(fixed, cameras, features)
    parts = []
    with torch.enable_grad():
        for part in features.split(CHANNELS_AT_ONCE, dim=3):
            channels = torch.zeros(len(cameras), len(gaussians), part.shape[3], device=gaussians.device, requires_grad=True)
            blended = rasterizer.render(fixed, cameras, channels=channels, sh_degree=0).channels
            assert blended is not None  # the interface returns what was asked for
            # Of a number: the gradient is the same, and for one of an image torch imports sympy first, which takes seconds.
            parts.append(torch.autograd.grad((blended * part).sum(), channels)[0])
    return torch.cat(parts, 2)
