"""Selected Gaussians over a picture: a tint where they are, also behind surfaces, and a line around them. Pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from trackersplat.captures.camera import Camera

if TYPE_CHECKING:
    import torch

    from trackersplat.gaussians.gaussians import Gaussians
    from trackersplat.rendering.rasterizer import Rasterizer

COLOUR, EDGE = (255, 210, 74), (20, 14, 0)  # RGB
TINT = 0.38  # share of the colour where the selected Gaussians are opaque
SOLID = 0.4  # their alpha from which on a pixel is inside the line
MOST_DRAWN = 60_000  # of more Gaussians, evenly chosen ones stand for all, so that the highlight stays quick
MOST_PIXELS = 200_000  # of the highlight's rendering, for the same reason


def standing_in(gaussians: Gaussians, rows: torch.Tensor) -> Gaussians:
    """What is drawn of the selected ``rows`` (K,): without harmonics, and of very many only some, enlarged to cover what all cover."""
    import torch

    from trackersplat.gaussians.gaussians import Gaussians

    step = -(-len(rows) // MOST_DRAWN) if len(rows) else 1
    some = gaussians[rows[::step]]
    grown = some.log_scales + 0.5 * float(np.log(step))  # surfaces: the area of each grows by ``step``
    return Gaussians(some.means, some.quats, grown, some.opacity_logits, torch.zeros_like(some.sh[:, :1]))


def coverage(rasterizer: Rasterizer, selected: Gaussians, view: Camera) -> np.ndarray:
    """(H, W) float32 in [0, 1] at the size of the view: how opaque the selected Gaussians are by themselves."""
    import torch

    if not len(selected):
        return np.zeros((view.height, view.width), np.float32)
    shrink = min((MOST_PIXELS / (view.width * view.height)) ** 0.5, 1.0)
    small = view if shrink == 1.0 else view.resized(max(round(view.width * shrink), 8), max(round(view.height * shrink), 8))
    with torch.inference_mode():
        alpha = rasterizer.render(selected.to(rasterizer.device), [small]).alpha[0].cpu().numpy()
    return alpha if small is view else cv2.resize(alpha, (view.width, view.height), interpolation=cv2.INTER_LINEAR)


def highlighted(image: np.ndarray, alpha: np.ndarray, scale: float = 1.0) -> np.ndarray:
    """(H, W, 3) uint8, a new image. ``alpha`` (H, W) as of `coverage`; ``scale``: image pixels per CSS pixel."""
    height, width = image.shape[:2]
    if alpha.shape != (height, width):
        alpha = cv2.resize(alpha, (width, height), interpolation=cv2.INTER_LINEAR)
    if not (alpha > 0.02).any():
        return image
    share = (TINT * np.clip(alpha, 0.0, 1.0))[..., None]
    found = (image * (1.0 - share) + np.array(COLOUR, np.float32) * share + 0.5).astype(np.uint8)
    lines, _ = cv2.findContours((alpha >= SOLID).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    for colour, thickness in ((EDGE, 3.0), (COLOUR, 1.4)):
        cv2.drawContours(found, lines, -1, colour, max(round(thickness * scale), 1), cv2.LINE_AA)
    return found
