"""How captures are told apart: by hashes of their cameras, their points, and those of their images that were read.

Hashes are of decoded pixels, so a capture may be renamed, moved or stored in another layout.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import Capture

HASHED_AT_ONCE = 4  # images, each in a thread of its own
_BYTES = 8  # of a hash
# Steps to which the numbers of a camera are rounded: differences in the last bits, as between two machines, must not count.
_PIXELS, _RADIANS, _RELATIVE = 1e-6, 1e-9, 1e-10
_OFF = 0.37  # of a step, added before rounding down: round numbers then do not lie at the border between two steps
MASK = "mask of "  # before the name of a camera

Hashes = Mapping[str, str]  # of the images of one frame: camera, or MASK + camera -> hash


def describe(capture: Capture, folder: str) -> dict[str, Any]:
    """What identifies the capture in ``folder``, as JSON."""
    return {
        "name": capture.name,
        "folder": folder,
        "layout": capture.layout,
        "frames": capture.frame_count,
        "fps": capture.fps,
        "cameras": [camera.name for camera in capture.cameras],
        "sizes": [[camera.width, camera.height] for camera in capture.cameras],
        "calibration": hashes_of_cameras(capture.cameras),
        "points": hash_of_points(capture),
    }


def is_verifiable(described: Any) -> bool:
    """Whether a description has hashes: those of older runs and of other programs have none."""
    return isinstance(described, dict) and isinstance(described.get("calibration"), list)


def difference(described: Any, capture: Capture) -> str | None:
    """How a described capture differs from this one, in words: cameras, sizes, calibration, frames or points. None if it does not.

    What the description does not say is not compared.
    """
    if not isinstance(described, dict):
        return None
    here = describe(capture, "")
    names = here["cameras"]
    there = described.get("cameras", names)
    if there != names:
        return f"its cameras are {_listed(there)} there and {_listed(names)} here"
    for key, what in (("sizes", "the size of the images of {}"), ("calibration", "the calibration of {}")):
        known = described.get(key)
        if not isinstance(known, list) or known == here[key]:
            continue
        if len(known) != len(names):
            return f"it records the {key} of {len(known)} cameras, but there are {len(names)}"
        index = next(i for i, (one, other) in enumerate(zip(known, here[key], strict=True)) if one != other)
        numbers = f" ({_size(known[index])} there, {_size(here[key][index])} here)" if key == "sizes" else ""
        return f"{what.format(names[index])} differs{numbers}"
    if described.get("frames", capture.frame_count) != capture.frame_count:
        return f"it has {described['frames']} frames there and {capture.frame_count} here"
    if "points" in described and described["points"] != here["points"]:
        return "its own points or depth bounds differ"
    return None


def hashes_of_cameras(cameras: Sequence[Camera]) -> list[str]:
    """A hash per camera: of its size, intrinsics and pose."""
    reach = max(float(np.abs(camera.center).max()) for camera in cameras)
    # The factor 1.37 keeps 1, 10 and so on away from the border between two powers. A camera at the origin alone gives no size.
    reach = 10.0 ** np.floor(np.log10(reach * 1.37)) if reach > 1e-12 else 1.0
    found = []
    for camera in cameras:
        digest = hashlib.blake2b(json.dumps([camera.width, camera.height, f"{reach:.0e}"]).encode(), digest_size=_BYTES)
        for values, step in ((camera.K, _PIXELS), (camera.rotation, _RADIANS), (camera.center, _RELATIVE * reach)):
            digest.update(np.floor(values / step + _OFF).astype("<i8").tobytes())
        found.append(digest.hexdigest())
    return found


def hash_of_points(capture: Capture) -> str | None:
    """A hash of the capture's own points and depth bounds; None if it has neither."""
    arrays = [] if capture.points is None else [capture.points.xyz.astype("<f4"), capture.points.rgb]
    if capture.depth_bounds is not None:
        arrays.append(capture.depth_bounds.astype("<f4"))  # without the last bits, see above
    if not arrays:
        return None
    digest = hashlib.blake2b(digest_size=_BYTES)
    for array in arrays:
        digest.update(json.dumps(array.shape).encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def hash_of_pixels(image: np.ndarray) -> str:
    digest = hashlib.blake2b(json.dumps([*image.shape, image.dtype.name]).encode(), digest_size=_BYTES)
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()


def short_hash(capture: Capture) -> str:
    """Eight digits for the name of a folder: of the cameras, the points and the images of the first frame."""
    described = describe(capture, "")
    known: dict[str, Any] = {key: described[key] for key in ("cameras", "sizes", "calibration", "points")}
    known["images"] = {camera.name: hash_of_pixels(capture.image(index, 0)) for index, camera in enumerate(capture.cameras)}
    return hashlib.blake2b(json.dumps(known).encode(), digest_size=4).hexdigest()


def different_images(expected: Hashes, capture: Capture, frame: int) -> list[str]:
    """Cameras whose image of a frame (or mask: MASK + camera) is not the one of this hash. Reads all that have one."""
    if not 0 <= frame < capture.frame_count:
        return list(expected)
    indices = {camera.name: index for index, camera in enumerate(capture.cameras)}
    capture.prefetch([indices[name] for name in expected if name in indices], [frame])

    def differs(key: str) -> bool:
        index = indices.get(key.removeprefix(MASK))
        if index is None:
            return True
        pixels = capture.mask(index, frame) if key.startswith(MASK) else capture.image(index, frame)
        return pixels is None or hash_of_pixels(pixels) != expected[key]

    with ThreadPoolExecutor(HASHED_AT_ONCE) as pool:
        return [key for key, other in zip(expected, pool.map(differs, expected), strict=True) if other]


def _listed(names: Any) -> str:
    if not isinstance(names, list):
        return repr(names)[:80]
    text = ", ".join(map(str, names[:8]))
    return f"{text} and {len(names) - 8} more" if len(names) > 8 else text


def _size(value: Any) -> str:
    return "x".join(map(str, value)) if isinstance(value, (list, tuple)) else repr(value)[:40]
