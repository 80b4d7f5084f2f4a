"""Arrays from an ``.npz`` file of a capture. Nothing is unpickled, and sizes are checked before anything is read."""

from __future__ import annotations

import math
import os
import struct
import weakref
import zipfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trackersplat.errors import InputError
from trackersplat.files import NPZ_DAMAGE, has_file

MAX_BYTES = 4 << 30  # of all arrays of one file together, unpacked
_NAME_LENGTHS = 26  # where the header of a member of a zip file says how long its name and the extra field behind it are
_ENCRYPTED = 1  # flag of a member
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}

# Name -> kinds of dtype ("f" floating, "i" integer, "b" bool) and shape. Sizes named by the same letter must be equal.
ArrayLayout = Mapping[str, tuple[str, tuple[int | str, ...]]]


def read_arrays(path: Path, layout: ArrayLayout) -> dict[str, np.ndarray]:
    """The arrays that ``layout`` names, checked against it.

    Raises InputError if the file is missing, damaged or larger than ``MAX_BYTES``, or an array is missing or of another kind or shape.
    """
    with ArrayFile(path) as file:
        return file.read(layout)


class ArrayFile:
    """An open file of arrays: all that is read comes from the same one, also if another file takes its name meanwhile.

    Raises InputError if the file is missing, damaged or larger than ``MAX_BYTES``.
    """

    def __init__(self, path: Path) -> None:
        if not has_file(path):
            raise InputError(f"{path} is missing: exact tracks and truth are read from the folder gt of the capture.")
        self._path = path
        with ExitStack() as opened:
            try:
                self._file = opened.enter_context(path.open("rb"))
                self._archive = opened.enter_context(zipfile.ZipFile(self._file))
                size = sum(info.file_size for info in self._archive.infolist())
                if size > MAX_BYTES:
                    raise ValueError(f"it claims {size:,} bytes, more than {MAX_BYTES:,}")
            except NPZ_DAMAGE as error:
                raise InputError(f"{path} cannot be read ({error}): expected an .npz file.") from error
            self._opened = opened.pop_all()

    def __enter__(self) -> ArrayFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def read(self, layout: ArrayLayout) -> dict[str, np.ndarray]:
        """The arrays that ``layout`` names. Raises InputError if one is missing, damaged, or of another kind or shape."""
        try:
            arrays = {name: self._read(f"{name}.npy") for name in layout}
        except NPZ_DAMAGE as error:
            raise InputError(f"{self._path} cannot be read ({error}): expected an .npz with {', '.join(layout)}.") from error
        _check(self._path, arrays, layout)
        return arrays

    def stored(self, name: str) -> StoredArray | None:
        """An array that is read in parts, also after this file was closed. None if it has to be read whole, by `read`.

        Raises InputError if it is missing or damaged. Its checksum is not compared.
        """
        if not hasattr(os, "pread"):  # Windows, where nothing could take the place of a file that is open
            return None
        try:
            info = self._archive.getinfo(f"{name}.npy")
            if not _is_plain(info):
                return None
            header = self._header(info)
        except NPZ_DAMAGE as error:
            raise InputError(f"{self._path} cannot be read ({error}): expected an .npz with {name}.") from error
        return None if header.in_columns else StoredArray(self._path, self._file.fileno(), header)

    def _read(self, member: str) -> np.ndarray:
        """Raises one of ``NPZ_DAMAGE``."""
        with self._archive.open(member) as unpacked:
            return np.asarray(np.lib.format.read_array(unpacked, allow_pickle=False))

    def _header(self, info: zipfile.ZipInfo) -> _Header:
        """Of a member that is not compressed. Raises one of ``NPZ_DAMAGE``."""
        self._file.seek(info.header_offset + _NAME_LENGTHS)
        start = self._file.seek(sum(struct.unpack("<HH", self._file.read(4))), os.SEEK_CUR)
        version = np.lib.format.read_magic(self._file)
        if version not in _HEADERS:
            raise ValueError(f"version {version} of the format of its arrays is not known")
        shape, in_columns, dtype = _HEADERS[version](self._file)
        begin = self._file.tell()
        size = start + info.file_size - begin
        if dtype.hasobject:
            raise ValueError("its arrays hold objects")
        if math.prod(shape) * dtype.itemsize != size:
            raise ValueError(f"an array of shape {shape} and type {dtype} in {size:,} bytes")
        return _Header(shape, dtype, in_columns, begin)


@dataclass(frozen=True)
class _Header:
    """What an array is, in the format of ``.npy``, and where its numbers ``begin`` in a file."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    in_columns: bool
    begin: int


class StoredArray:
    """An array in a file that stays open: what is asked for is read then. Safe to use from several threads."""

    def __init__(self, path: Path, file: int, header: _Header) -> None:
        """``file``: its descriptor, of which this keeps one of its own."""
        self.shape, self.dtype = header.shape, header.dtype
        self._path, self._begin = path, header.begin
        self._file = os.dup(file)
        weakref.finalize(self, os.close, self._file)

    def __getitem__(self, index: tuple[int, ...]) -> np.ndarray:
        """The part at these first indices, each from 0. Raises InputError if the file has become shorter or cannot be read."""
        part = self.shape[len(index) :]
        count = math.prod(part) * self.dtype.itemsize
        place = self._begin + count * int(np.ravel_multi_index(index, self.shape[: len(index)]))
        try:
            data = os.pread(self._file, count, place)
        except OSError as error:
            raise InputError(f"{self._path} cannot be read any more ({error.strerror}): check the disk.") from error
        if len(data) < count:
            raise InputError(f"{self._path} has become shorter since it was opened: remove it and make it again.")
        return np.frombuffer(data, self.dtype).reshape(part)


def _is_plain(info: zipfile.ZipInfo) -> bool:
    return info.compress_type == zipfile.ZIP_STORED and not info.flag_bits & _ENCRYPTED


def _check(path: Path, arrays: Mapping[str, np.ndarray], layout: ArrayLayout) -> None:
    sizes: dict[str, int] = {}
    for name, (kinds, shape) in layout.items():
        array = arrays[name]
        fits = array.ndim == len(shape) and array.dtype.kind in kinds
        if not fits or any(length != _expected(sizes, part, length) for length, part in zip(array.shape, shape, strict=True)):
            known = ", ".join(str(sizes.get(part, part)) if isinstance(part, str) else str(part) for part in shape)
            raise InputError(f"{path}: {name} is {array.dtype} {array.shape}, expected kind {'/'.join(kinds)} of shape ({known}).")


def _expected(sizes: dict[str, int], part: int | str, length: int) -> int:
    return sizes.setdefault(part, length) if isinstance(part, str) else part
