"""What a module of `layouts` offers to the registry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trackersplat.captures.capture import Capture

Axes = Literal["opencv", "opengl", "llff"]


@dataclass(frozen=True)
class Layout:
    """The reader of one layout on disk, and how its files write poses; readers hand out OpenCV's axes, world to camera."""

    detects: Callable[[Path], bool]  # whether a folder has this layout; opens no video and no image
    read: Callable[[Path], Capture]  # opens such a folder; raises InputError if a file is missing or damaged
    axes: Axes = "opencv"
    camera_to_world: bool = False
    quaternions: bool = False  # rotations are written as w x y z
