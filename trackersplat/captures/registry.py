"""The layouts a capture can have on disk, and opening one whatever its layout."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from trackersplat.captures import colmap, image_folder, n3dv
from trackersplat.captures.capture import Capture
from trackersplat.captures.demo import demo_capture
from trackersplat.errors import InputError


@dataclass(frozen=True)
class Layout:
    """One layout on disk and its reader."""

    name: str
    description: str  # one line
    files: str  # what the reader looks for
    detects: Callable[[Path], bool]
    read: Callable[[Path], Capture]


LAYOUTS: tuple[Layout, ...] = (
    Layout(n3dv.NAME, "Neural 3D Video: one video per camera", n3dv.FILES, n3dv.detects, n3dv.read),
    Layout(image_folder.NAME, "one folder of images per camera", image_folder.FILES, image_folder.detects, image_folder.read),
    Layout(colmap.NAME, "COLMAP workspaces, one per frame or a single one", colmap.FILES, colmap.detects, colmap.read),
)


def open_capture(path: str | Path) -> Capture:
    """Opens the capture in a folder, in the first layout of ``LAYOUTS`` that recognises it; "demo" is the bundled one.

    Raises InputError if the folder is missing, empty or of no known layout, or if its reader finds something wrong.
    """
    folder = demo_capture() if str(path) == "demo" else Path(path).expanduser()
    try:
        if not folder.is_dir():
            state = "is a file" if folder.exists() else "does not exist"
            raise InputError(f"{folder} {state}: give the folder of a capture, or 'demo' for the bundled one.")
        if next(folder.iterdir(), None) is None:
            raise InputError(f"{folder} is empty: give a folder with {_expected()}.")
        for layout in LAYOUTS:
            if layout.detects(folder):
                return layout.read(folder)
    except OSError as error:
        raise InputError(f"{folder} cannot be read ({error.strerror}): check the folder and its permissions.") from error
    raise InputError(f"{folder} is no capture of a known layout: expected {_expected()}.")


def _expected() -> str:
    return "; or ".join(f"{layout.files} ({layout.name})" for layout in LAYOUTS)
