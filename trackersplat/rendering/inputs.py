"""The checks every rasteriser makes at its border."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.errors import ShapeError
from trackersplat.gaussians.gaussians import Gaussians


def check_cameras(cameras: Sequence[Camera]) -> None:
    """Raises ShapeError if they cannot be rendered together."""
    if not cameras:
        raise ShapeError("render() needs at least one camera, got none.")
    sizes = {(camera.width, camera.height) for camera in cameras}
    if len(sizes) > 1:
        raise ShapeError(f"The cameras of one render() call must have one size, got {sorted(sizes)}; call it once per size.")
    if len({camera.near for camera in cameras}) > 1:
        raise ShapeError("The cameras of one render() call must have one near plane; call it once for each.")


def check_inputs(
    gaussians: Gaussians,
    cameras: Sequence[Camera],
    channels: Tensor | None,
    sh_degree: int | None,
    background: Tensor | None,
    device: torch.device,
) -> int:
    """The SH degree to use, after the checks that Rasterizer.render promises."""
    check_cameras(cameras)
    if gaussians.device.type != device.type:
        raise ShapeError(f"The Gaussians are on {gaussians.device}, the rasteriser works on {device}; move them with Gaussians.to().")
    per_camera = channels is not None and channels.ndim == 3
    values = (len(cameras), len(gaussians), "F") if per_camera else (len(gaussians), "F")
    for name, tensor, shape in (("channels", channels, values), ("background", background, (3,))):
        if tensor is None:
            continue
        fits = tensor.ndim == len(shape) and all(got == wanted for got, wanted in zip(tensor.shape, shape, strict=True) if wanted != "F")
        if not fits or tensor.dtype != torch.float32 or tensor.device.type != device.type:
            got = f"{tuple(tensor.shape)} {tensor.dtype} on {tensor.device}"
            raise ShapeError(f"render() needs {name} of shape ({', '.join(map(str, shape))}) float32 on {device}, got {got}.")
    if sh_degree is not None and sh_degree < 0:
        raise ShapeError(f"render() needs sh_degree >= 0, got {sh_degree}.")
    return gaussians.sh_degree if sh_degree is None else min(sh_degree, gaussians.sh_degree)
