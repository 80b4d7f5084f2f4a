"""The JavaScript modules that components import (``js/``), under the name ``trackersplat-viewer``."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from nicegui.dependencies import register_esm

FOLDER = Path(__file__).parent / "js"


@cache
def register() -> None:
    """Lets components import ``trackersplat-viewer/FOLDER/FILE.js``.

    The address changes with every change of a file, so that no browser takes an old one from its cache. NiceGUI's ``esm=`` of a component
    looks at the folder alone.
    """
    register_esm("trackersplat-viewer", FOLDER, max_time=last_change(FOLDER))


def last_change(folder: Path) -> float:
    """Of the scripts in a folder and those below it, seconds since 1970."""
    return max(file.stat().st_mtime for file in folder.rglob("*.js"))
