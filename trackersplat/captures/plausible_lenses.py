"""Camera matrices that are those of images of another size, or of no image at all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.captures.still_cameras import some

PREFIX = "The lenses look wrong: "  # of all remarks of this module

_WIDEST, _NARROWEST = 0.1, 50.0  # focal length over the longer side of the image: fields of view of 157 and 1.1 degrees
_ALIKE = 0.1  # by which the image size that a principal point speaks for may differ between both directions and all cameras, relative
_OTHER_SIZE = 0.2  # by which it must differ from the image's size
_FEWEST = 2  # cameras that speak for one size


def lens_remarks(cameras: Sequence[Camera]) -> list[str]:
    """What is implausible about the camera matrices of a capture."""
    if not cameras:
        return []
    sizes = np.array([(camera.width, camera.height) for camera in cameras], dtype=np.float64)
    focal = np.array([(camera.fx, camera.fy) for camera in cameras]) / sizes.max(axis=1, keepdims=True)
    middle = np.array([(camera.cx, camera.cy) for camera in cameras])
    odd = ((focal < _WIDEST) | (focal > _NARROWEST)).any(axis=1)
    if odd.any():
        index = int(odd.argmax())
        one = cameras[index]
        length = one.fy if _WIDEST <= focal[index, 0] <= _NARROWEST else one.fx
        return [
            f"{PREFIX}the focal length of {_named(cameras, odd)} is {length:.3g} pixels in images of {one.width}x{one.height}: "
            "camera matrices must be in pixels of the images."
        ]
    times = 2.0 * middle / sizes  # the size of the images that the matrix belongs to, over that of the images, if it is in their middle
    factor = float(np.median(times))
    one_size = len(cameras) >= _FEWEST and bool((np.abs(times / factor - 1.0) < _ALIKE).all()) if factor > 0 else False
    if one_size and abs(factor - 1.0) > _OTHER_SIZE:
        width, height = (round(factor * size) for size in sizes[0])
        return [
            f"{PREFIX}the principal points are those of images of about {width}x{height} pixels, and the images have "
            f"{cameras[0].width}x{cameras[0].height}: scale the camera matrices with the images, or check them with `trackersplat check`."
        ]
    outside = np.maximum(-middle, middle - sizes).max(axis=1) > 0
    if outside.any():
        one = cameras[int(outside.argmax())]
        return [
            f"{PREFIX}the principal point of {_named(cameras, outside)} is outside the image, at ({one.cx:.6g}, {one.cy:.6g}) in "
            f"images of {one.width}x{one.height} pixels: check the camera matrices, or the images if they were cut."
        ]
    return []


def _named(cameras: Sequence[Camera], chosen: np.ndarray) -> str:
    return some([camera.name for camera, one in zip(cameras, chosen, strict=True) if one])
