"""The folders ``frame1``, ``frame2`` and so on that several layouts have, one per time, each with ``images/<camera>``."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
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
    gaps = [range(before + 1, after) for before, after in pairwise(numbers) if after > before + 1]
    warnings = [f"The folders begin with frame{numbers[0]}: the frames are numbered from 1."] if numbers and numbers[0] != 1 else []
    if gaps:
        named = [f"frame{gap[0]}" if len(gap) == 1 else f"frame{gap[0]} to frame{gap[-1]}" for gap in gaps]
        warnings.append(f"Folders are missing ({some(named)}): the frames are numbered without gaps.")
    return list(found.values()), warnings


def complete_frames(frames: Sequence[Path], files: Mapping[str, str], excluded: Collection[str]) -> tuple[list[Path], list[str]]:
    """The folders whose ``images`` have the file of every camera that is not ``excluded``, and what is left out. Raises InputError if
    there is none."""
    there = {name: [index for index, frame in enumerate(frames) if (frame / "images" / file).is_file()] for name, file in files.items()}
    common, remarks = common_numbers(there, lambda index: f"is {frames[index].name}", range(len(frames)), excluded)
    if not common:
        lost = next(file for name, file in files.items() if 0 not in there[name] and name not in excluded)
        raise InputError(f"{frames[0] / 'images' / lost} is missing: a frame needs the image of every camera, and none has them all.")
    return [frames[index] for index in common], remarks
