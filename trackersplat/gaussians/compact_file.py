"""One frame of Gaussians as a file: a header in JSON and, per attribute, a stream of codes or of what changed since another frame.

    bytes 0-3    TSGF
    bytes 4-7    length of the header, little-endian
    header       format, counts, steps, the frame that the changes are since, hashes of the codes, length of every stream
    streams      Zstandard: of every Gaussian a byte that says which attributes change; then of every attribute its changes

Gaussians of which more attributes change come first, so that numbers of one kind lie together; numbers that are not negative become even,
the others odd, and bytes of one weight and component lie together. Only rows that change are there. See `gaussians.codes`.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import zstandard

from trackersplat.errors import InputError
from trackersplat.files import read_file
from trackersplat.gaussians.codes import LARGEST_CODE, NAMES, STEPS, Codes, add, differences, widths

FORMAT = 1
KEY_FRAME_EVERY = 16  # frames: to read one, at most that many are read
FILE_LIMIT = 4 << 30  # bytes; memory budget for files of others
GAUSSIANS_LIMIT = 50_000_000  # likewise
_HEADER_LIMIT = 1 << 16  # bytes
_MAGIC = b"TSGF"
_MASK = "changed"  # the stream that says of which Gaussian what changes
_LEVEL = 1  # of Zstandard: 15 makes files 4 % smaller in three times the time
_LARGEST_FRAME = 10**9


@dataclass(frozen=True)
class Header:
    """What a file says before its streams."""

    gaussians: int
    sh_coefficients: int
    steps: dict[str, float]
    depth: int  # files to read before this one
    base: int | None  # the frame that the changes are since, None in a key frame
    base_codes: str  # hash of its codes
    codes: str  # hash of those of this frame
    streams: tuple[tuple[str, int, int], ...]  # name, bytes per number, bytes
    start: int  # of the first stream in the file


@dataclass(frozen=True, eq=False)
class Base:
    """The frame that another one is stored as changes since."""

    frame: int
    codes: Codes
    header: Header


def packed(codes: Codes, base: Base | None, name: str) -> bytes:
    """The content of a file. A key frame without ``base``, or where its steps are others. ``name``: the hash of the codes."""
    if base is not None and base.codes.steps != codes.steps:
        base = None
    streams = list(_streams(differences(codes, None if base is None else base.codes)))
    header = {
        "format": FORMAT,
        "gaussians": len(codes),
        "sh_coefficients": codes.sh_coefficients,
        "steps": codes.steps,
        "depth": 0 if base is None else base.header.depth + 1,
        "base": None if base is None else base.frame + 1,
        "base_codes": "" if base is None else base.header.codes,
        "codes": name,
        "streams": [[name, size, len(content)] for name, size, content in streams],
    }
    text = json.dumps(header).encode()
    return b"".join((_MAGIC, struct.pack("<I", len(text)), text, *(content for _, _, content in streams)))


def hash_of(codes: Codes) -> str:
    """The same for equal codes, whether they are stored as changes or not."""
    found = hashlib.sha256(json.dumps(codes.steps).encode())
    for name in NAMES:
        found.update(np.ascontiguousarray(codes.tensors[name].numpy(), "<i4").data)
    return found.hexdigest()


def read_header(path: Path) -> Header:
    """Raises InputError if the file is missing, damaged or not one of ours."""
    try:
        if not path.is_file():
            raise InputError(f"{path} is missing, or no file; {_again(path)}.")
        with path.open("rb") as file:
            start = file.read(8)
            length = struct.unpack("<I", start[4:])[0] if len(start) == 8 else 0
            if start[:4] != _MAGIC or not 0 < length <= _HEADER_LIMIT:
                raise ValueError("it begins otherwise")
            data = json.loads(file.read(length))
        if data["format"] != FORMAT:
            raise InputError(f"{path} has format {data['format']!r}, this version reads {FORMAT}; update trackersplat.")
        header = _header(data, 8 + length)
        if path.stat().st_size != header.start + sum(size for _, _, size in header.streams):
            raise ValueError("its size is not what it says")
        return header
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from error
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise _damaged(path, error) from error


def read_unchecked(path: Path, header: Header, before: Codes | None) -> Codes:
    """`read_codes` without the comparison of hashes, which whoever damages a file on purpose would write anew."""
    content = read_file(path, FILE_LIMIT)
    try:
        return add(_changes(content, header), before, header.steps)
    except (ValueError, zstandard.ZstdError, MemoryError) as error:
        raise _damaged(path, error) from error


def read_codes(path: Path, header: Header, before: Codes | None) -> Codes:
    """``before``: those of its base. Raises InputError if the file is damaged, or its hash is not that of what comes out."""
    codes = read_unchecked(path, header, before)
    if hash_of(codes) != header.codes:
        raise _damaged(path, ValueError("its hash is another one"))
    return codes


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(f"{path} is damaged or not a file of ours ({str(error)[:120]}); {_again(path)}.")


def _again(path: Path) -> str:
    return f"remove the folder {path.parent} to reconstruct the frame anew"


def _header(data: dict[str, Any], start: int) -> Header:
    count, coefficients = _whole(data["gaussians"], GAUSSIANS_LIMIT), _whole(data["sh_coefficients"], 16)
    if coefficients not in (1, 4, 9, 16):
        raise ValueError(f"{coefficients} SH coefficients")
    steps = {name: float(data["steps"][name]) for name in STEPS}
    if not all(0 < step < LARGEST_CODE for step in steps.values()):
        raise ValueError("its steps")
    depth = _whole(data["depth"], KEY_FRAME_EVERY - 1)
    base = None if data["base"] is None else _whole(data["base"], _LARGEST_FRAME) - 1
    if (base is None) != (depth == 0) or (base is not None and base < 0):
        raise ValueError("the frame that it is changed from")
    streams = tuple((str(name), _whole(size, 4), _whole(length, FILE_LIMIT)) for name, size, length in data["streams"])
    if [name for name, _, _ in streams] != [_MASK, *NAMES]:
        raise ValueError("its streams")
    return Header(count, coefficients, steps, depth, base, str(data["base_codes"]), str(data["codes"]), streams, start)


def _whole(value: Any, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise ValueError(f"{value!r} is not a whole number up to {most:,}")
    return value


def _streams(changes: dict[str, torch.Tensor]) -> Iterator[tuple[str, int, bytes]]:
    """Name, bytes per number, and content."""
    compress = zstandard.ZstdCompressor(level=_LEVEL).compress
    folded = {name: _folded(changes[name].numpy()) for name in NAMES}
    mask = np.zeros(len(folded["means"]), np.uint8)
    for bit, name in enumerate(NAMES):
        mask |= (folded[name] != 0).any(axis=1).astype(np.uint8) << np.uint8(bit)
    yield _MASK, 1, compress(mask.tobytes())
    order = _order(mask)
    for bit, name in enumerate(NAMES):
        columns = np.ascontiguousarray(folded[name][order[mask[order] >> bit & 1 == 1]].T, "<u4")
        size = next(size for size in range(5) if not columns.size or int(columns.max()) < 1 << (8 * size))
        planes = columns.view(np.uint8).reshape(-1, 4)[:, :size].T
        yield name, size, compress(planes.tobytes())


def _changes(content: bytes, header: Header) -> dict[str, torch.Tensor]:
    """The inverse of `_streams`. Raises ValueError or ZstdError if the streams do not fit the header."""
    at, found = header.start, {}
    places = []
    for name, size, length in header.streams:
        places.append((name, size, content[at : at + length]))
        at += length
    mask = np.frombuffer(_unpacked(places[0][2], header.gaussians), np.uint8)
    order = _order(mask)
    for bit, ((name, size, stream), width) in enumerate(zip(places[1:], widths(header.sh_coefficients).values(), strict=True)):
        rows = order[mask[order] >> bit & 1 == 1]
        planes = np.frombuffer(_unpacked(stream, size * width * len(rows)), np.uint8).reshape(size, width * len(rows))
        columns = np.zeros((width * len(rows), 4), np.uint8)
        columns[:, :size] = planes.T
        values = columns.view("<u4").reshape(width, len(rows)).T.astype(np.uint32)
        changes = np.zeros((header.gaussians, width), np.int32)
        changes[rows] = (values >> 1).astype(np.int32) ^ -(values & 1).astype(np.int32)
        found[name] = torch.from_numpy(changes)
    return found


def _order(mask: np.ndarray) -> np.ndarray:
    """Gaussians by how many of their attributes change, the most first."""
    return np.argsort(-np.bitwise_count(mask).astype(np.int8), kind="stable")


def _folded(changes: np.ndarray) -> np.ndarray:
    """Signed to unsigned: 0, -1, 1, -2 become 0, 1, 2, 3."""
    return ((changes << 1) ^ (changes >> 31)).view(np.uint32)


def _unpacked(stream: bytes, expected: int) -> bytes:
    """Nothing is allocated before the size that the stream claims is known to be the expected one."""
    if zstandard.frame_content_size(stream) != expected:
        raise ValueError(f"a stream of other than {expected:,} bytes")
    return zstandard.ZstdDecompressor().decompress(stream, max_output_size=max(expected, 1))
