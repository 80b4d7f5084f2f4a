"""As many points of a surface as are wanted, more where the images have detail."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from trackersplat.captures.capture import PointCloud
from trackersplat.training.points.fusion import Surface


def thinned(surface: Surface, images: Sequence[np.ndarray], count: int, detail_floor: float, seed: int) -> tuple[PointCloud, np.ndarray]:
    """At most ``count`` points of the surface with their colours, and the view (M,) that proposed each.

    ``images`` (H, W, 3) uint8 are those of its views; ``detail_floor`` in grey levels per pixel is added to the gradient of every pixel.
    """
    rgb = np.empty(surface.xyz.shape, dtype=np.uint8)
    detail = np.empty(len(surface.xyz), dtype=np.float32)
    for i, image in enumerate(images):
        mine = surface.view == i
        column, row = surface.pixel[mine].T
        rgb[mine] = image[row, column]
        detail[mine] = _detail(image, detail_floor)[row, column]
    count = max(count, 0)
    if len(rgb) > count:
        # weighted choice without replacement: the largest of log(weight) + Gumbel noise
        noise = np.random.default_rng(seed).gumbel(size=len(rgb))
        score = np.log(detail) + noise
        chosen = np.sort(np.argpartition(-score, count)[:count])
    else:
        chosen = np.arange(len(rgb))
    return PointCloud(surface.xyz[chosen].astype(np.float32), rgb[chosen]), surface.view[chosen]


def _detail(image: np.ndarray, floor: float) -> np.ndarray:
    """(H, W) relative need for points: the local image gradient, and a floor for flat regions."""
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    gradient = np.hypot(cv2.Sobel(gray, cv2.CV_32F, 1, 0, scale=0.125), cv2.Sobel(gray, cv2.CV_32F, 0, 1, scale=0.125))
    return cv2.blur(gradient, (3, 3)) + floor
