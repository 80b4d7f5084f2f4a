"""What the Gaussians of one frame look like in every camera: depth, and how far the picture is displaced from the photograph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.diagnosis.settings import ViewSettings
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.motion.rendered_depth import DepthImages
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.tracking.tracker import Matcher


def render_views(
    rasterizer: Rasterizer, gaussians: Gaussians, cameras: Sequence[Camera], settings: ViewSettings
) -> tuple[DepthImages, list[np.ndarray], list[np.ndarray]]:
    """Depths, and per camera the picture (H, W, 3) uint8 RGB and where it shows a surface (H, W) bool; depths on the CPU."""
    height, width = max(camera.height for camera in cameras), max(camera.width for camera in cameras)
    depths = torch.full((len(cameras), height, width), torch.nan)
    pictures, shown = [], []
    for index, camera in enumerate(cameras):  # one at a time: pictures of many large cameras would not fit into memory
        with torch.no_grad():
            rendering = rasterizer.render(gaussians, [camera])
        opaque = rendering.alpha[0] >= settings.minimum_alpha
        depth = torch.where(opaque, rendering.depth[0] / rendering.alpha[0].clamp_min(1e-9), torch.nan)
        depths[index, : camera.height, : camera.width] = depth.cpu()
        pictures.append((rendering.color[0].clamp(0, 1) * 255).round().byte().cpu().numpy())
        shown.append(opaque.cpu().numpy())
    sizes = torch.tensor([(camera.width, camera.height) for camera in cameras], dtype=torch.float64)
    surfaces = DepthImages(images=depths, sizes=sizes, scale=torch.ones_like(sizes), tolerance=settings.surface_tolerance)
    return surfaces, pictures, shown


def displacements(
    matcher: Matcher, pictures: Sequence[np.ndarray], shown: Sequence[np.ndarray], photographs: Mapping[int, np.ndarray], least: float
) -> dict[int, np.ndarray]:
    """Camera -> (H, W, 2) float32 px from where the picture shows something to where the photograph does.

    nan where there is no surface, and where the match is less certain than ``least``. The map is of the pixels of the photograph.
    """
    result = {}
    for camera, photograph in photographs.items():
        there, back = (_as_tensor(image, matcher) for image in (photograph, pictures[camera]))
        motion = matcher.match(there, back)
        height, width = photograph.shape[:2]
        grid = np.stack(np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5), axis=-1).astype(np.float32)
        certain = (motion.visibility * motion.confidence)[0, 0].cpu().numpy() >= least
        apart = grid - motion.positions[0, 0].cpu().numpy()
        result[camera] = np.where((certain & shown[camera])[..., None], apart, np.float32(np.nan))
    return result


def _as_tensor(image: np.ndarray, matcher: Matcher) -> Tensor:
    return torch.tensor(image, device=matcher.device)
