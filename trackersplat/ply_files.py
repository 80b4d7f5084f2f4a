"""PLY files as tables: text and binary of either byte order, any elements and properties, list properties skipped.

What a header claims is compared with the size of the file before memory is taken for it.
"""

from __future__ import annotations

import struct
from collections.abc import Collection
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np

from trackersplat.errors import InputError
from trackersplat.files import atomic_file

MAX_HEADER_BYTES = 64 * 1024
_FORMATS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}  # name -> byte order of NumPy
_TYPES = {
    "char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4", "float": "f4", "double": "f8",
    "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4", "float32": "f4", "float64": "f8",
}  # fmt: skip


@dataclass(frozen=True)
class PlyProperty:
    name: str
    kind: str  # type of NumPy without byte order: "f4"
    counted_by: str | None  # of a list: the type of its length


@dataclass(frozen=True)
class PlyElement:
    name: str
    count: int
    properties: tuple[PlyProperty, ...]

    @property
    def scalars(self) -> list[PlyProperty]:
        return [entry for entry in self.properties if entry.counted_by is None]


@dataclass(frozen=True)
class PlyHeader:
    order: str  # of bytes: "<" or ">"; "" for text
    elements: tuple[PlyElement, ...]
    size: int  # bytes up to the data

    def element(self, name: str) -> PlyElement | None:
        return next((element for element in self.elements if element.name == name), None)


def read_header(path: Path, max_bytes: int) -> PlyHeader:
    """Raises InputError if the file cannot be read, is no PLY, has more than ``max_bytes``, or less than its header claims."""
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise InputError(f"{path} is not a plain file: give a PLY file.")
        if size > max_bytes:
            raise InputError(f"{path} has more than {max_bytes >> 20:,} MB, which is too large: remove points from it.")
        with path.open("rb") as file:
            header = _parsed(path, file.read(MAX_HEADER_BYTES))
    except OSError as error:
        raise _unreadable(path, error) from error
    needed = header.size + sum(element.count * _least_bytes(element, header.order) for element in header.elements)
    if not header.order:
        needed -= 1  # the last line may end without a line break
    if size < needed:
        raise InputError(f"{path} is cut off: it has {size} bytes and needs at least {needed}: copy or write it again.")
    return header


def read_tables(path: Path, header: PlyHeader, names: Collection[str]) -> dict[str, np.ndarray]:
    """Element name -> one row per entry, as (count,) structured arrays of its properties without the lists.

    Raises InputError if the file is damaged.
    """
    wanted = [element.name for element in header.elements if element.name in names]
    tables: dict[str, np.ndarray] = {}
    try:
        with path.open("rb") as file:
            file.seek(header.size)
            for element in header.elements:
                if set(wanted) <= set(tables):
                    break
                table = (_binary(file, element, header.order) if header.order else _text(file, element)) if element.properties else None
                if table is not None and element.name in wanted:
                    tables[element.name] = table
    except OSError as error:
        raise _unreadable(path, error) from error
    except (ValueError, OverflowError, struct.error) as error:
        raise InputError(f"{path} is a damaged PLY file ({str(error)[:120]}): write it again.") from error
    return tables


def write_table(path: Path, table: np.ndarray, name: str = "vertex") -> None:
    """Writes a (N,) structured array of little-endian numbers as the only element. The file appears complete or not at all.

    Raises InputError if it cannot be written.
    """
    by_kind = {kind: word for word, kind in reversed(_TYPES.items())}  # the shorter words, which every program knows
    assert table.dtype.names is not None
    properties = "".join(f"property {by_kind[table.dtype[column].str[1:]]} {column}\n" for column in table.dtype.names)
    header = f"ply\nformat binary_little_endian 1.0\nelement {name} {len(table)}\n{properties}end_header\n"
    with atomic_file(path) as temporary, temporary.open("wb") as file:
        file.write(header.encode("ascii"))
        file.write(np.ascontiguousarray(table).data)


def _unreadable(path: Path, error: OSError) -> InputError:
    return InputError(f"{path} cannot be read ({error.strerror}): check the file and its permissions.")


def _parsed(path: Path, start: bytes) -> PlyHeader:
    end = start.find(b"\nend_header")
    if not start.startswith((b"ply\n", b"ply\r\n")) or end < 0:
        raise InputError(f"{path} is not a PLY file: it has no PLY header.")
    order: str | None = None
    elements: list[tuple[str, int, list[PlyProperty]]] = []
    for line in start[:end].decode("utf-8", errors="replace").splitlines()[1:]:
        try:
            match line.split():
                case [] | ["comment", *_] | ["obj_info", *_]:
                    continue
                case ["format", name, _]:
                    order = _FORMATS[name]
                case ["element", name, count] if count.isdecimal():
                    elements.append((name, int(count), []))
                case ["property", "list", counted_by, kind, name] if _TYPES[counted_by][0] != "f":
                    elements[-1][2].append(PlyProperty(name, _TYPES[kind], _TYPES[counted_by]))
                case ["property", kind, name]:
                    elements[-1][2].append(PlyProperty(name, _TYPES[kind], None))
                case _:
                    raise ValueError(line)
        except (IndexError, ValueError, KeyError) as error:
            raise InputError(f"{path} has a damaged PLY header at {line[:60]!r}: write the file again.") from error
    names = [name for name, _, _ in elements]
    twice = len(set(names)) < len(names) or any(len({p.name for p in properties}) < len(properties) for _, _, properties in elements)
    if order is None or twice:
        raise InputError(f"{path} has a damaged PLY header (no format, or a name that stands in it twice): write the file again.")
    size = end + len(b"\nend_header")
    size += 2 if start[size : size + 2] == b"\r\n" else 1
    return PlyHeader(order, tuple(PlyElement(name, count, tuple(properties)) for name, count, properties in elements), size)


def _least_bytes(element: PlyElement, order: str) -> int:
    """The least bytes of one entry: each list may be empty."""
    if not order:
        return 2 * len(element.properties)
    return sum(np.dtype(entry.counted_by or entry.kind).itemsize for entry in element.properties)


def _binary(file: BinaryIO, element: PlyElement, order: str) -> np.ndarray:
    dtype = np.dtype([(entry.name, order + entry.kind) for entry in element.scalars])
    if len(element.scalars) == len(element.properties):
        table = np.fromfile(file, dtype, element.count)
        if len(table) < element.count:
            raise ValueError("it ends too early")
        return table
    rows = bytearray()
    for _ in range(element.count):
        for entry in element.properties:
            kind = np.dtype(order + entry.kind)
            if entry.counted_by is None:
                rows += _exactly(file, kind.itemsize)
                continue
            count_kind = np.dtype(order + entry.counted_by)
            (length,) = np.frombuffer(_exactly(file, count_kind.itemsize), count_kind).tolist()
            if length < 0:
                raise ValueError("a list of negative length")
            _skip(file, length * kind.itemsize)
    return np.frombuffer(bytes(rows), dtype, element.count) if dtype.itemsize else np.empty(element.count, dtype)


def _exactly(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise ValueError("it ends too early")
    return data


def _skip(file: BinaryIO, size: int) -> None:
    if size:
        file.seek(size - 1, 1)
        _exactly(file, 1)


def _text(file: BinaryIO, element: PlyElement) -> np.ndarray:
    lines = [line for line in islice(file, element.count) if line.strip()]
    if len(lines) < element.count:
        raise ValueError("it ends too early, or has empty lines")
    table = np.empty(element.count, [(entry.name, entry.kind) for entry in element.scalars])
    if not lines or not element.scalars:
        return table
    if len(element.scalars) < len(element.properties):
        lines = [_without_lists(line, element) for line in lines]
    numbers = np.loadtxt(lines, dtype=np.float64, comments=None, ndmin=2, encoding="latin-1")
    if numbers.shape[1] != len(element.scalars):
        raise ValueError(f"a line of {numbers.shape[1]} numbers where {len(element.scalars)} are expected")
    for column, entry in enumerate(element.scalars):
        values = numbers[:, column]
        if entry.kind[0] != "f":
            limits = np.iinfo(entry.kind)
            if not ((values >= limits.min) & (values <= limits.max)).all():
                raise ValueError(f"{entry.name} is not an integer of its type")
        with np.errstate(over="ignore"):  # too large a number becomes infinite
            table[entry.name] = values
    return table


def _without_lists(line: bytes, element: PlyElement) -> bytes:
    words, kept = line.split(), []
    position = 0
    for entry in element.properties:
        if position >= len(words):
            raise ValueError("a line ends too early")
        if entry.counted_by is None:
            kept.append(words[position])
            position += 1
        else:
            length = int(words[position])
            if length < 0:
                raise ValueError("a list of negative length")
            position += 1 + length
    if position != len(words):
        raise ValueError("a line of too many or too few numbers")
    return b" ".join(kept)
