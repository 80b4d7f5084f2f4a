"""Images of cameras that do not move: which are of one camera, and which were taken together.

The number in an image's name says which frame it is, even if frames before it are missing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path, PurePath, PurePosixPath

import numpy as np

from trackersplat.errors import InputError

SUFFIXES = (".png", ".jpg", ".jpeg")
UNREAD = {".tif": "TIFF", ".tiff": "TIFF", ".webp": "WebP", ".bmp": "BMP", ".exr": "OpenEXR", ".heic": "HEIC", ".avif": "AVIF"}
# Images of one camera: rotations, positions relative to the rig, and lenses relative to themselves differ by no more than this. It is a
# tenth of a pixel in an image of 1000, and far above rounding errors of files.
SAME = 1e-4
ROUNDING = 1e-9  # differences below which no warning is given

_LEFT_OUT = "left out because a camera has no image of"
_NUMBER = re.compile(r"[0-9]{1,18}")
_LAST_NUMBER = re.compile(r"([0-9]{1,18})[^0-9]*$")


def frame_number(name: str) -> int | None:
    """The last number in a file's name without its ending."""
    match = _LAST_NUMBER.search(PurePath(name).stem)
    return None if match is None else int(match[1])


def frame_numbers(cameras: Sequence[Sequence[str]]) -> list[list[int]] | None:
    """Which frame each image (a path) of each camera is: by the last number in the names, or where this is not another one for each image
    of a camera, as in ``0012_cam03.png``, by the last number of the paths that is. None if none is.
    """
    last = [[frame_number(name) for name in own] for own in cameras]
    told = [[number for number in own if number is not None] for own in last]
    if all(len(set(mine)) == len(own) for mine, own in zip(told, last, strict=True)):
        return told
    rows = [[[int(digits) for digits in _NUMBER.findall(str(PurePosixPath(name).with_suffix("")))] for name in own] for own in cameras]
    count = {len(row) for own in rows for row in own}
    if len(count) != 1:
        return None
    columns = ([[row[column] for row in own] for own in rows] for column in reversed(range(count.pop())))
    return next((found for found in columns if all(len(set(own)) == len(own) for own in found)), None)


def numbered_images(folder: Path) -> tuple[dict[int, Path], list[Path]]:
    """The images in a folder by the last number in their names, ascending, and those without. Raises InputError if two share one."""
    numbered: dict[int, Path] = {}
    others: list[Path] = []
    for path in sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES and file.is_file()):
        number = frame_number(path.name)
        if number is None:
            others.append(path)
        elif number in numbered:
            raise InputError(f"{path} has the number of {numbered[number].name}: keep one image per frame.")
        else:
            numbered[number] = path
    return dict(sorted(numbered.items())), others


def unread_format(folder: Path) -> str | None:
    """The format of images in a folder that holds none of ``SUFFIXES``; None if it holds no others either."""
    suffixes = [path.suffix.lower() for path in sorted(folder.iterdir()) if path.is_file()]
    if any(suffix in SUFFIXES for suffix in suffixes):
        return None
    return next((UNREAD[suffix] for suffix in suffixes if suffix in UNREAD), None)


def common_numbers(
    cameras: Mapping[str, Iterable[int]],
    called: Callable[[int], str] = "has the number {}".format,
    expected: Iterable[int] | None = None,
    ignored: Collection[str] = (),
) -> tuple[list[int], list[str]]:
    """The numbers of the frames that all cameras have but those ``ignored``, ascending, and what to say of those that are left out.

    ``called`` ends a sentence that begins with "the first" and says which frame a number is. ``expected`` are the frames that there
    should be, where that is known; else a gap that all cameras have in common is said, because time does not pass evenly then. Numbers that
    are times may differ by less than twice the shortest step. Where all cameras are ``ignored``, none is.
    """
    counting = [name for name in cameras if name not in ignored] or list(cameras)
    sets = {name: set(cameras[name]) for name in counting}
    everything = set(expected) if expected is not None else set().union(*sets.values())
    common = sorted(everything.intersection(*sets.values()))
    if not common:
        return [], []
    remarks = [] if expected is not None else _gaps(sorted(everything))
    dropped = sorted(everything.difference(common))
    if dropped:
        lacking = next(name for name, numbers in sets.items() if dropped[0] not in numbers)
        remarks.append(f"{left_out(len(dropped))}; the first {called(dropped[0])} ({lacking} lacks it).")
    return common, remarks


def _gaps(numbers: list[int]) -> list[str]:
    steps = [(after - before, before) for before, after in pairwise(numbers)]
    usual = min(steps, default=(0, 0))[0]
    step, before = next(((step, before) for step, before in steps if step >= 2 * usual), (0, 0))
    if step == 0:
        return []
    return [f"The numbers of the images are not evenly spaced: {before} is followed by {before + step}, but others are {usual} apart."]


def left_out(frames: int) -> str:
    """The beginning of a sentence about frames of which not all cameras have an image."""
    return f"1 frame is {_LEFT_OUT} it" if frames == 1 else f"{frames} frames are {_LEFT_OUT} them"


def group_by_camera(to_world: np.ndarray, lenses: np.ndarray) -> tuple[list[list[int]], bool]:
    """Indices of the images of each camera, and whether poses or lenses of one camera differ by more than rounding.

    ``to_world`` (N, 4, 4) and ``lenses`` (N, K) are those of the images.
    """
    places = to_world[:, :3, 3]
    size = float(np.linalg.norm(places - places.mean(axis=0), axis=1).max())
    reach = max(SAME * size, ROUNDING * float(np.abs(places).max()), 1e-12)
    scaled = lenses / (SAME * np.maximum(1.0, np.abs(lenses).mean(axis=0)))
    rows = np.concatenate([to_world[:, :3, :3].reshape(-1, 9) / SAME, places / reach, scaled], axis=1)
    axis = 9 + int(np.ptp(places, axis=0).argmax())  # along which they lie farthest apart: few lie as near as a step of rounding
    order = np.argsort(rows[:, axis], kind="stable")
    along = rows[order, axis]
    free = np.ones(len(rows), dtype=bool)
    groups: list[list[int]] = []
    spread = 0.0
    for index in range(len(rows)):
        if free[index]:
            first, end = np.searchsorted(along, rows[index, axis] - 1.0, "left"), np.searchsorted(along, rows[index, axis] + 1.0, "right")
            near = np.sort(order[first:end])
            near = near[np.abs(rows[near] - rows[index]).max(axis=1) <= 1.0]
            own = near[free[near]]
            free[own] = False
            spread = max(spread, float(np.ptp(rows[own], axis=0).max()))
            groups.append(own.tolist())
    return groups, spread * SAME > 100 * ROUNDING


def camera_names(files: Sequence[Sequence[PurePosixPath]]) -> list[str]:
    """A name for each camera: the parts of its files' paths that are the same for all of them and differ between cameras; else a number."""
    parts = [[re.split(r"[/_.\-]", str(file.with_suffix(""))) for file in own] for own in files]
    numbered = [f"cam{index:02d}" for index in range(len(files))]
    lengths = {len(words) for own in parts for words in own}
    if len(lengths) != 1 or len(files) == 1:
        return numbered
    shared = [[column[0] if len(set(column)) == 1 else None for column in zip(*own, strict=True)] for own in parts]
    telling = [i for i in range(lengths.pop()) if None not in (column := [own[i] for own in shared]) and len(set(column)) > 1]
    names = ["_".join(str(own[i]) for i in telling) for own in shared]
    names = [f"cam{name}" if name.isdigit() else name for name in names]
    usable = len(set(names)) == len(names) and all(names) and all(len(name) <= 100 for name in names)
    return names if usable else numbered


def unused_images(folder: Path, used: set[Path], source: str) -> list[str]:
    """What to say of images beside ``used`` ones, or in ``folder`` itself, that ``source`` has no pose of."""
    there: list[Path] = []
    for place in dict.fromkeys([folder, *sorted({path.parent for path in used if folder in path.parents})]):
        if place.is_dir():
            there += [path for path in place.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file()]
    unknown = sorted(str(path.relative_to(folder)) for path in there if path not in used)
    return [f"{source} has no pose of {len(unknown)} images, which are left out: {some(unknown)}."] if unknown else []


def as_written(name: str) -> str:
    """A name in one form: some systems write an umlaut as one character and others as two."""
    return unicodedata.normalize("NFC", name)


def named_as(folder: Path, name: str) -> Path:
    """What is called ``name`` in a folder, whichever way its letters are composed; ``folder / name`` where there is nothing."""
    if (folder / name).exists() or name.isascii() or not folder.is_dir():
        return folder / name
    return next((path for path in folder.iterdir() if as_written(path.name) == as_written(name)), folder / name)


def some(names: Sequence[str], most: int = 3) -> str:
    """ "a, b, c and 4 more"."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
