"""Where imported frames come from: a file, a folder of numbered files, an archive of them, or one file of a whole clip."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from trackersplat.captures.archives.unpack import unpack
from trackersplat.errors import InputError
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.gaussians.readers.fourdgs import PACKAGE, SUFFIX, open_fourdgs
from trackersplat.gaussians.readers.reader import checked, read_gaussians
from trackersplat.gaussians.readers.registry import READERS

MOST_FILES = 100_000
ARCHIVE = ".zip"
_NUMBER = re.compile(r"(\d{1,12})\D*$")


@dataclass(frozen=True, eq=False)
class ImportSource:
    """Frames that can be read, in order."""

    names: tuple[str, ...]  # of each frame, as messages and `run.json` name it
    read: Callable[[int], tuple[Gaussians, tuple[str, ...]]]  # the frame at a place, finite, and what was changed; raises InputError
    same: bool | None = None  # whether all frames hold the same Gaussians, row by row; None: the source does not say
    frames_per_second: float | None = None  # likewise


def open_source(path: Path, scratch: Path) -> ImportSource:
    """``scratch``: a folder that is not there yet, into which an archive is unpacked.

    Raises InputError if there are no frames, formats are mixed, the order is not clear, or an archive is damaged or unpacks to too much.
    """
    if path.is_file() and path.suffix.lower() == ARCHIVE:
        for _ in unpack(path, scratch):
            pass
        inner = [child for child in scratch.iterdir() if not child.name.startswith((".", "__MACOSX"))]
        try:
            return _of_files(find_files(inner[0] if len(inner) == 1 else scratch))
        except InputError as error:
            raise InputError(str(error).replace(str(scratch), str(path))) from error
    if path.is_file() and path.suffix.lower() == SUFFIX:
        return _of_fourdgs(path)
    return _of_files(find_files(path))


def _of_files(files: list[Path]) -> ImportSource:
    def read(place: int) -> tuple[Gaussians, tuple[str, ...]]:
        found = read_gaussians(files[place])
        return found.gaussians, found.remarks

    return ImportSource(tuple(file.name for file in files), read)


def _of_fourdgs(path: Path) -> ImportSource:
    if importlib.util.find_spec(PACKAGE) is None:
        raise InputError(f'{path} is read by the package {PACKAGE}, which is not installed: pip install "trackersplat[export]".')
    clip = open_fourdgs(path)

    def read(place: int) -> tuple[Gaussians, tuple[str, ...]]:
        return checked(path, clip.read(place))

    names = tuple(f"{path.name}, frame {place + 1}" for place in range(len(clip.times)))
    return ImportSource(names, read, clip.same, clip.frames_per_second)


def find_files(path: Path) -> list[Path]:
    """The file, or those of a folder in the order of the last number in their names, all of one format.

    Raises InputError if there are none, formats are mixed, or the order is not clear.
    """
    if not path.is_dir():
        return [path]
    suffixes = {facts.suffix for facts in READERS}
    try:
        files = sorted(child for child in path.iterdir() if child.suffix.lower() in suffixes and not child.name.startswith("."))
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): check the folder and its permissions.") from error
    if not 0 < len(files) <= MOST_FILES:
        expected = f"expected 1 to {MOST_FILES:,} with one of the endings {', '.join(sorted(suffixes))}"
        raise InputError(f"{path} has {len(files):,} files of Gaussians: {expected}.")
    kinds = sorted({file.suffix.lower() for file in files})
    if len(kinds) > 1:
        raise InputError(f"{path} has files of several formats ({', '.join(kinds)}): leave those of one in the folder.")
    if len(files) == 1:
        return files
    numbers: dict[int, Path] = {}
    for file in files:
        found = _NUMBER.search(file.name[: -len(file.suffix)])
        if found is None:
            raise InputError(f"{file} has no number in its name, which would order the frames: number the files, as frame00001.ply.")
        if (other := numbers.setdefault(int(found[1]), file)) is not file:
            raise InputError(f"{other.name} and {file.name} in {path} have the same number: every frame needs its own.")
    return [numbers[number] for number in sorted(numbers)]
