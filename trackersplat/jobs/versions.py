"""What a run was made with, for ``run.json``."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from trackersplat import __version__
from trackersplat.rendering.rasterizer import Rasterizer

_PACKAGES = ("torch", "numpy", "numba", "opencv-python-headless", "gsplat", "triton")


def versions(rasterizer: Rasterizer) -> dict[str, Any]:
    """Versions of what decides the numbers, and the hardware in words."""
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    hardware = {"device": rasterizer.describe(), "machine": platform.machine(), "cores": os.cpu_count()}
    return {"trackersplat": __version__, "python": platform.python_version(), "packages": found, "hardware": hardware}
