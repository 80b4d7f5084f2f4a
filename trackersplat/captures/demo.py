"""Finds the capture that is part of the package, and a finished run of it."""

from __future__ import annotations

from pathlib import Path

from trackersplat.errors import InputError

_PACKAGE = Path(__file__).resolve().parents[1]


def demo_capture() -> Path:
    """The folder of the bundled capture (N3DV layout). Raises InputError if the installation lacks it."""
    return _find("demo")


def demo_run() -> Path:
    """The folder of a finished run of the bundled capture. Raises InputError if the installation lacks it."""
    return _find("demo-run")


def is_demo_capture(path: Path) -> bool:
    """Whether it is the folder that `demo_capture` gives."""
    return _is(path, "demo")


def is_demo_run(path: Path) -> bool:
    """Whether it is the folder that `demo_run` gives."""
    return _is(path, "demo-run")


def _is(path: Path, name: str) -> bool:
    try:
        return path.resolve() == _find(name).resolve()
    except InputError:
        return False


def _find(name: str) -> Path:
    # A wheel carries the assets inside the package; a source checkout has them beside it.
    for folder in (_PACKAGE / "assets" / name, _PACKAGE.parent / "assets" / name):
        if folder.is_dir():
            return folder
    raise InputError(f"This installation of trackersplat lacks its {name!r} files: install it again from a complete checkout or wheel.")
