"""The lenses of COLMAP's camera models: those of OpenCV directly, the others through pycolmap (the ``colmap`` extra)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from trackersplat.captures.formats.colmap_model import ColmapCamera
from trackersplat.captures.formats.pycolmap_import import import_pycolmap
from trackersplat.captures.media.lens import LensModel, OpenCVLens
from trackersplat.errors import InputError


def colmap_lens(camera: ColmapCamera) -> LensModel:
    """The lens of a COLMAP camera. Raises InputError if its model is not one of OpenCV's and pycolmap is not installed."""
    p = camera.params
    fx, fy, cx, cy, *rest = (p[0], *p) if len(camera.focal_lengths) == 1 else p
    if camera.model in ("SIMPLE_PINHOLE", "PINHOLE", "OPENCV", "FULL_OPENCV", "OPENCV_FISHEYE"):
        fisheye = camera.model == "OPENCV_FISHEYE"
        return OpenCVLens(camera.width, camera.height, fx, fy, cx, cy, tuple(rest), fisheye)
    if camera.model in ("SIMPLE_RADIAL", "RADIAL", "SIMPLE_RADIAL_FISHEYE", "RADIAL_FISHEYE"):
        coefficients = (*rest, 0.0, 0.0, 0.0, 0.0)[:4]  # k1 k2, then p1 p2 or, of a fisheye, k3 k4
        return OpenCVLens(camera.width, camera.height, fx, fy, cx, cy, coefficients, camera.model.endswith("FISHEYE"))
    try:
        pycolmap = import_pycolmap()
    except ImportError as error:
        raise InputError(
            f"The COLMAP model has lens distortion of the model {camera.model}: install pycolmap with "
            "`pip install '.[colmap]'`, or undistort the images with COLMAP."
        ) from error
    try:
        lens = pycolmap.Camera(model=camera.model, width=camera.width, height=camera.height, params=list(p))
    except (ValueError, RuntimeError) as error:
        raise InputError(
            f"pycolmap {pycolmap.__version__} cannot undistort a camera of model {camera.model} ({str(error)[:120]}): "
            "undistort the images with COLMAP."
        ) from error
    return PycolmapLens(lens)


@dataclass(frozen=True, eq=False)
class PycolmapLens:
    """Any of COLMAP's camera models."""

    camera: Any  # pycolmap.Camera

    @property
    def width(self) -> int:
        return int(self.camera.width)

    @property
    def height(self) -> int:
        return int(self.camera.height)

    def rays(self, pixels: np.ndarray) -> np.ndarray:
        return np.asarray(self.camera.cam_from_img(pixels), dtype=np.float64)

    def pixels(self, rays: np.ndarray) -> np.ndarray:
        return np.asarray(self.camera.img_from_cam(np.concatenate([rays, np.ones((len(rays), 1))], axis=1)), dtype=np.float64)

    def resized(self, width: int, height: int) -> PycolmapLens:
        camera = import_pycolmap().Camera(self.camera.todict())
        camera.rescale(new_width=width, new_height=height)
        return PycolmapLens(camera)
