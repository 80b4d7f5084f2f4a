"""The JavaScript modules that components import (``js/``), under the name ``trackersplat-viewer``."""

from __future__ import annotations

from pathlib import Path

from nicegui.dependencies import register_esm

_FOLDER = Path(__file__).parent / "js"


def register() -> None:
    """Lets components import ``trackersplat-viewer/FOLDER/FILE.js``; may be called again.

    The address changes with every change of a file, so that no browser takes an old one from its cache. NiceGUI's ``esm=`` of a component
    looks at the folder alone.
    """
    newest = max(file.stat().st_mtime for file in _FOLDER.rglob("*.js"))
    register_esm("trackersplat-viewer", _FOLDER, max_time=newest)
