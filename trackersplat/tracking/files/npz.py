"""Arrays of an ``.npz`` by name: nothing is unpickled, and what an array claims to need is checked before it is read."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trackersplat.errors import InputError
from trackersplat.files import NPZ_DAMAGE, has_file

MAX_BYTES = 4 << 30  # of the arrays of one file that are read, together
MAX_MEMBERS = 10_000  # arrays in one file
_MAX_HEADER = 10_000  # bytes of the description of an array, as NumPy allows


@dataclass(frozen=True)
class ArrayFacts:
    """What an array claims to be."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def size(self) -> int:
        """Bytes."""
        return math.prod(self.shape) * self.dtype.itemsize


class NpzFile:
    """An open file; ``facts`` has what every array claims to be. Raises InputError for one that is missing or damaged."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not has_file(path):
            raise InputError(f"There is no file {path}: give a file with tracks.")
        self.facts: dict[str, ArrayFacts] = self._guarded(self._all_facts)
        self._read = 0

    def __contains__(self, name: object) -> bool:
        return name in self.facts

    def read(self, name: str) -> np.ndarray:
        """Raises InputError if the array is missing, damaged, of objects, or the arrays read so far are too large together."""
        if name not in self.facts:
            raise InputError(f"{self.path} has no array {name!r}; it has {', '.join(sorted(self.facts)) or 'none'}.")
        facts = self.facts[name]
        if facts.dtype.hasobject:
            raise InputError(f"{self.path}: {name} holds Python objects, which are never read from a file: save plain arrays.")
        self._read += facts.size
        if self._read > MAX_BYTES:
            raise InputError(f"{self.path}: its arrays claim more than {MAX_BYTES >> 30} GiB: split the file.")
        array: np.ndarray = self._guarded(lambda: self._array(name))
        return array

    def _array(self, name: str) -> np.ndarray:
        with zipfile.ZipFile(self.path) as archive, archive.open(f"{name}.npy") as member:
            array: np.ndarray = np.lib.format.read_array(member, allow_pickle=False)
        return array

    def _all_facts(self) -> dict[str, ArrayFacts]:
        found = {}
        with zipfile.ZipFile(self.path) as archive:
            names = archive.namelist()
            if len(names) > MAX_MEMBERS:
                raise ValueError(f"{len(names):,} arrays")
            for name in names:
                if name.endswith(".npy"):
                    with archive.open(name) as member:
                        found[name.removesuffix(".npy")] = _facts(member)
        return found

    def _guarded(self, work: Callable[[], Any]) -> Any:
        try:
            return work()
        except (*NPZ_DAMAGE, RuntimeError, SyntaxError) as error:  # RuntimeError: an encrypted member
            raise InputError(f"{self.path} cannot be read ({error}): expected an .npz file of arrays.") from error


def _facts(member: Any) -> ArrayFacts:
    version = np.lib.format.read_magic(member)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(member, max_header_size=_MAX_HEADER)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(member, max_header_size=_MAX_HEADER)
    else:
        raise ValueError(f"version {version} of the array format")
    if any(length < 0 for length in shape):
        raise ValueError(f"an array of shape {shape}")
    return ArrayFacts(tuple(shape), dtype)
