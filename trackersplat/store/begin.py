"""The folder of a run without its frames: what `run.json` says, how it is made, and how it goes if there will be no frame.

Imports nothing that takes time: the page checks a run before all else.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from trackersplat.errors import InputError
from trackersplat.files import read_json, unwritable

INFO, METRICS, LOCK = "run.json", "metrics.csv", ".lock"
FORMAT = 2
DOCUMENT = "document"  # folder of edits of the scene; holds no frames
_LEFT_AT_START = re.compile(r"\.run\.json\.[0-9a-f]{12}\.tmp|\.lock")  # by a process killed before the first file was complete


def holds_nothing(path: Path) -> bool:
    """Whether a folder is empty, but for what a process leaves that is killed while it writes ``run.json``."""
    return all(_LEFT_AT_START.fullmatch(child.name) for child in path.iterdir())


def read_info(path: Path) -> dict[str, Any]:
    """What the ``run.json`` of a run says; nothing if it has none, as those of the published system.

    Raises InputError if it is damaged, or of another format.
    """
    info = path / INFO
    data = read_json(info) if info.is_file() else {}
    if data.get("format", FORMAT) != FORMAT:
        raise InputError(f"{info} has format {data['format']!r}, this version reads {FORMAT}: open it with the version that made it.")
    return data


def make_folder(path: Path) -> list[Path]:
    """Makes the folder of a run; returns the folders that were not there before, from the inside to the outside.

    Raises InputError if it cannot be written, or holds something else than a run.
    """
    try:
        if not (path / INFO).is_file() and path.is_dir() and not holds_nothing(path):
            raise InputError(f"{path} is not empty and holds no run: choose an empty or new folder with --out.")
        made = [folder for folder in (path, *path.parents) if not folder.exists()]
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(path, error) from error
    return made


def discard(path: Path, made: Sequence[Path]) -> None:
    """Removes a run without a frame, and the folders that were made for it, unless somebody has put something else there."""
    ours = (INFO, METRICS, LOCK)
    if any(child.name not in ours for child in path.iterdir()):
        return
    with suppress(OSError):  # what stays does no harm, and must not hide the error that ended the run
        for name in ours:
            (path / name).unlink(missing_ok=True)
        for folder in made:
            folder.rmdir()
