"""The folders ``frame1``, ``frame2`` and so on that several layouts have, one per time."""

from __future__ import annotations

import re
from pathlib import Path

from trackersplat.errors import InputError

_FRAME = re.compile(r"frame(\d{1,9})")


def frame_folders(folder: Path) -> dict[int, Path]:
    """Number -> folder, ascending."""
    found = {int(match[1]): path for path in folder.iterdir() if (match := _FRAME.fullmatch(path.name)) and path.is_dir()}
    return dict(sorted(found.items()))


def contiguous_frames(folder: Path) -> tuple[list[Path], list[str]]:
    """The folders in order, and a warning if they do not start at frame1. Raises InputError if one is missing in between."""
    found = frame_folders(folder)
    numbers = list(found)
    missing = sorted(set(range(numbers[0], numbers[-1] + 1)) - set(numbers)) if numbers else []
    if missing:
        raise InputError(
            f"{folder} has frame{numbers[0]} to frame{numbers[-1]}, but frame{missing[0]} is missing: frames must be numbered without gaps."
        )
    shifted = [f"The first folder is frame{numbers[0]}, which is shown as frame 1."] if numbers and numbers[0] != 1 else []
    return list(found.values()), shifted
