"""What trackers of points of the scene are given: the images of all views, with depths rendered from the Gaussians of every frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from trackersplat.captures.capture import Capture
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.motion.rendered_depth import render_depth
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.tracking.tracker3d import Clip3D


def rendered_clip(
    capture: Capture,
    cameras: Sequence[int],
    frames: Sequence[int],
    gaussians: Callable[[int], Gaussians],
    rasterizer: Rasterizer,
    *,
    minimum_alpha: float = 0.5,
) -> Clip3D:
    """The clip of these cameras and ascending frames; ``gaussians`` gives those of a frame, as a run has them.

    The depth of a pixel is 0, not known, where the rendered opacity is below ``minimum_alpha``.

    Raises InputError if an image cannot be decoded.
    """
    views = tuple(capture.cameras[camera] for camera in cameras)
    depths: list[list[torch.Tensor]] = [[] for _ in views]
    for frame in frames:
        rendered = render_depth(rasterizer, gaussians(frame), views, scale=1.0, minimum_alpha=minimum_alpha, tolerance=0.0)
        for found, camera, image in zip(depths, views, rendered.images, strict=True):
            found.append(image[: camera.height, : camera.width].nan_to_num(0.0))
    images = [torch.from_numpy(np.stack([capture.image(camera, frame) for frame in frames])) for camera in cameras]
    return Clip3D(
        images=tuple(image.to(rasterizer.device) for image in images),
        depths=tuple(torch.stack(found) for found in depths),
        cameras=views,
        frames=tuple(frames),
    )
