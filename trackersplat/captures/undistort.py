"""Lens distortion of COLMAP camera models, taken out of the images with pycolmap (the ``colmap`` extra)."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from trackersplat.captures.colmap_model import ColmapCamera
from trackersplat.captures.video import MAX_SIDE
from trackersplat.errors import InputError


@dataclass(frozen=True, eq=False)
class Remap:
    """Where every pixel of the undistorted image lies in the distorted one."""

    x: np.ndarray  # (H, W) float32, pixels with centres at whole numbers, as OpenCV's remap wants them
    y: np.ndarray  # (H, W) float32

    def apply(self, image: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 from the distorted (H', W', 3) uint8 image, bilinear; black where the lens did not see."""
        return cv2.remap(image, self.x, self.y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)


def undistort(camera: ColmapCamera) -> tuple[ColmapCamera, Remap | None]:
    """The PINHOLE camera of the undistorted image and the way there; None where the model has no distortion.

    The size and field of view are those of COLMAP's own undistorter: no blank pixels.

    Raises InputError if the model has distortion and pycolmap is not installed.
    """
    p = camera.params
    if camera.model == "PINHOLE":
        return camera, None
    if camera.model == "SIMPLE_PINHOLE":
        return ColmapCamera("PINHOLE", camera.width, camera.height, (p[0], p[0], p[1], p[2])), None
    if camera.model in ("SIMPLE_RADIAL", "RADIAL") and not any(p[3:]):
        return ColmapCamera("PINHOLE", camera.width, camera.height, (p[0], p[0], p[1], p[2])), None
    if camera.model in ("OPENCV", "FULL_OPENCV") and not any(p[4:]):
        return ColmapCamera("PINHOLE", camera.width, camera.height, p[:4]), None
    try:
        import pycolmap
    except ImportError as error:
        raise InputError(
            f"The COLMAP model has lens distortion ({camera.model}): install pycolmap with `pip install trackersplat[colmap]`, "
            "or undistort the images with COLMAP."
        ) from error
    try:
        distorted = pycolmap.Camera(model=camera.model, width=camera.width, height=camera.height, params=list(p))
        target = pycolmap.undistort_camera(pycolmap.UndistortCameraOptions(), distorted)
    except (ValueError, RuntimeError) as error:
        raise InputError(
            f"pycolmap {pycolmap.__version__} cannot undistort a camera of model {camera.model} ({str(error)[:120]}): "
            "undistort the images with COLMAP."
        ) from error
    if not (1 <= target.width <= MAX_SIDE and 1 <= target.height <= MAX_SIDE):
        raise InputError(
            f"The lens distortion of a {camera.model} camera in the COLMAP model is too strong to undistort: calibrate it again."
        )
    fx, fy, cx, cy = target.params
    columns, rows = np.meshgrid(np.arange(target.width) + 0.5, np.arange(target.height) + 0.5)
    rays = np.stack([(columns - cx) / fx, (rows - cy) / fy, np.ones_like(columns)], axis=-1).reshape(-1, 3)
    pixels = np.asarray(distorted.img_from_cam(rays), dtype=np.float32).reshape(target.height, target.width, 2) - 0.5
    # Rays that the model cannot project come back as NaN; OpenCV needs a number, one outside the image.
    pixels = np.nan_to_num(pixels, nan=-1e6)
    pinhole = ColmapCamera("PINHOLE", target.width, target.height, (fx, fy, cx, cy))
    return pinhole, Remap(np.ascontiguousarray(pixels[..., 0]), np.ascontiguousarray(pixels[..., 1]))
