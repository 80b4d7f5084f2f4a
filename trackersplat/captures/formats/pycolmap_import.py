"""The one place that imports pycolmap."""

from __future__ import annotations

from typing import Any


def import_pycolmap() -> Any:
    """The module. Raises ImportError if it is not installed or cannot be loaded."""
    # First, because both bring a zlib: after pycolmap 4.2.1, `cv2.imwrite` of a PNG frees memory with the wrong one and aborts.
    import cv2  # noqa: F401

    # isort: split
    import pycolmap

    return pycolmap
