"""pycolmap (the ``sfm`` extra): loading it, running it so that it can be stopped, and converting cameras."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from trackersplat.captures.formats.colmap_lens import colmap_lens
from trackersplat.captures.formats.colmap_model import ColmapCamera
from trackersplat.captures.formats.pycolmap_import import import_pycolmap
from trackersplat.captures.media.lens import OpenCVLens
from trackersplat.errors import InputError

OLDEST = (4, 2)  # whose functions have the names used here
HOW_TO_INSTALL = "pip install '.[sfm]' in the clone"


def load_pycolmap() -> Any:
    """The module, without its log: errors are raised or returned as well. Raises InputError if it is missing or too old."""
    try:
        pycolmap = import_pycolmap()
    except ImportError as error:
        raise InputError(f"Finding points and poses needs pycolmap, which cannot be imported ({error}): {HOW_TO_INSTALL}.") from error
    version = str(pycolmap.__version__)
    if not is_new_enough(version):
        raise InputError(f"Finding points and poses needs pycolmap {OLDEST[0]}.{OLDEST[1]} or newer, found {version}: {HOW_TO_INSTALL}.")
    pycolmap.logging.minloglevel = pycolmap.logging.FATAL.value
    return pycolmap


def is_new_enough(version: str) -> bool:
    parts = version.split(".")
    return len(parts) > 1 and all(part.isdigit() for part in parts[:2]) and (int(parts[0]), int(parts[1])) >= OLDEST


def stoppable(call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """The result of a long function of pycolmap. It runs in a thread, so that Ctrl-C reaches this thread and cancels it."""
    token = load_pycolmap().CancellationToken()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(call, *arguments, cancellation_token=token, **options)
        try:
            return running.result()
        except BaseException:
            token.cancel()
            raise


def to_colmap(lens: OpenCVLens, factor: int, model: str, camera_id: int | None = None) -> Any:
    """A pycolmap.Camera of PINHOLE, SIMPLE_RADIAL or OPENCV for images that are enlarged ``factor`` times.

    Distortion that the model lacks is dropped.
    """
    big = lens.resized(lens.width * factor, lens.height * factor)
    distortion = (*big.distortion, 0.0, 0.0, 0.0, 0.0)[:4]
    params = {
        "PINHOLE": (big.fx, big.fy, big.cx, big.cy),
        "SIMPLE_RADIAL": (math.sqrt(big.fx * big.fy), big.cx, big.cy, distortion[0]),
        "OPENCV": (big.fx, big.fy, big.cx, big.cy, *distortion),
    }[model]
    camera = load_pycolmap().Camera(model=model, width=big.width, height=big.height, params=list(params), has_prior_focal_length=True)
    if camera_id is not None:
        camera.camera_id = camera_id
    return camera


def from_colmap(camera: Any, factor: int) -> OpenCVLens:
    """The lens of images that were enlarged ``factor`` times for the pycolmap.Camera, in their own pixels."""
    known = ColmapCamera(camera.model_name, camera.width, camera.height, tuple(float(value) for value in camera.params))
    lens = colmap_lens(known)
    assert isinstance(lens, OpenCVLens), "only OpenCV's models are used"
    return lens.resized(lens.width // factor, lens.height // factor)
