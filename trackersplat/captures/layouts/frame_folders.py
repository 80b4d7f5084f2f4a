"""The folders ``frame1``, ``frame2`` and so on that several layouts have, one per time, each with ``images/<camera>``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from trackersplat.captures.still_cameras import common_numbers, some
from trackersplat.errors import InputError

_FRAME = re.compile(r"frame(\d{1,9})")


def frame_folders(folder: Path) -> dict[int, Path]:
    """Number -> folder, ascending."""
    found = {int(match[1]): path for path in folder.iterdir() if (match := _FRAME.fullmatch(path.name)) and path.is_dir()}
    return dict(sorted(found.items()))


def ordered_frames(folder: Path) -> tuple[list[Path], list[str]]:
    """The folders in order, and a warning where they do not start at frame1 or some are missing in between."""
    found = frame_folders(folder)
    numbers = list(found)
    missing = sorted(set(range(numbers[0], numbers[-1] + 1)) - set(numbers)) if numbers else []
    warnings = [f"The first folder is frame{numbers[0]}, which is shown as frame 1."] if numbers and numbers[0] != 1 else []
    if missing:
        warnings.append(
            f"{len(missing)} of the folders frame{numbers[0]} to frame{numbers[-1]} are missing "
            f"({some([f'frame{number}' for number in missing])}): the others are shown as frames 1 to {len(numbers)}."
        )
    return list(found.values()), warnings


def complete_frames(frames: Sequence[Path], files: Mapping[str, str]) -> tuple[list[Path], list[str]]:
    """The folders whose ``images`` have the file of every camera, and what is left out. Raises InputError if there is none."""
    there = {name: [index for index, frame in enumerate(frames) if (frame / "images" / file).is_file()] for name, file in files.items()}
    common, remarks = common_numbers(there, lambda index: f"is {frames[index].name}")
    if not common:
        lost = next(file for name, file in files.items() if 0 not in there[name])
        raise InputError(f"{frames[0] / 'images' / lost} is missing: a frame needs the image of every camera, and none has them all.")
    return [frames[index] for index in common], remarks
