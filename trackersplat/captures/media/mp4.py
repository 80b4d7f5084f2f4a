"""Checks the boxes of an MP4 file (ISO 14496-12) before anything is decoded: whether it is whole and its frame count is right."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from trackersplat.errors import InputError

MAX_BOXES = 1_000_000  # a fragmented file has a few per second
MAX_INDEX_BYTES = 256 * 2**20
FIRST_BOXES = (b"ftyp", b"moov", b"wide", b"free", b"skip", b"mdat", b"pnot")


@dataclass(frozen=True)
class Mp4Facts:
    fragmented: bool  # the index is spread over the file, so the frame count in its head is a guess
    codec: str | None  # four letters of the video track, e.g. avc1
    shown_seconds: float | None  # what the edit list of the video track shows; None where all samples are shown


def inspect(path: Path) -> Mp4Facts:
    """Walks the top-level boxes and reads the index. Milliseconds: the samples are not touched.

    Raises InputError if the file is no MP4, is cut off or damaged, or has no index.
    """
    try:
        size = path.stat().st_size
        if size == 0:
            raise InputError(f"{path} is empty, expected a video in the MP4 format.")
        with path.open("rb") as file:
            names, index = _top_level(path, file, size)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): check the file and its permissions.") from error
    if index is None:
        raise InputError(f"{path} has no index of its frames, so it was not written to its end: copy or encode it again.")
    try:
        shown, codec = _shown_seconds(index), _codec(index)
    except struct.error as error:
        raise InputError(f"{path} has a damaged index of its frames: copy or encode it again.") from error
    return Mp4Facts(b"moof" in names, codec, shown)


def _top_level(path: Path, file: BinaryIO, size: int) -> tuple[set[bytes], bytes | None]:
    names: set[bytes] = set()
    index = None
    position = 0
    for _ in range(MAX_BOXES):
        if position >= size:
            break
        file.seek(position)
        header = file.read(16)
        if len(header) < 8:
            raise InputError(f"{path} is cut off after {size} bytes: copy it again.")
        length, name = struct.unpack(">I4s", header[:8])
        if position == 0 and name not in FIRST_BOXES:
            raise InputError(f"{path} is not a video in the MP4 format: encode it as H.264 in MP4.")
        start = 8
        if length == 1 and len(header) == 16:
            start, length = 16, struct.unpack(">Q", header[8:])[0]
        elif length == 0:  # to the end of the file
            length = size - position
        if length < start:
            raise InputError(f"{path} is damaged at byte {position}: copy it again.")
        if position + length > size:
            raise InputError(f"{path} is cut off: it has {size} bytes and needs {position + length}: copy it again.")
        names.add(name)
        if name == b"moov" and length <= MAX_INDEX_BYTES:
            file.seek(position + start)
            index = file.read(length - start)
        position += length
    return names, index


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(name, contents) of the boxes in a container box; stops at the first that does not fit."""
    position = 0
    while position + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, position)
        if length < 8 or position + length > len(data):
            return
        yield name, data[position + 8 : position + length]
        position += length


def _child(data: bytes, *names: bytes) -> bytes | None:
    """The contents of the first box at a path of names."""
    for wanted in names:
        found = next((contents for name, contents in _boxes(data) if name == wanted), None)
        if found is None:
            return None
        data = found
    return data


def _codec(index: bytes) -> str | None:
    for name, track in _boxes(index):
        handler = _child(track, b"mdia", b"hdlr") if name == b"trak" else None
        if handler is not None and handler[8:12] == b"vide":
            described = _child(track, b"mdia", b"minf", b"stbl", b"stsd")
            if described is not None and len(described) >= 16:
                return described[12:16].decode("latin1")
    return None


def _shown_seconds(index: bytes) -> float | None:
    header = _child(index, b"mvhd")
    if header is None:
        return None
    (timescale,) = struct.unpack_from(">I", header, 20 if header[:1] == b"\1" else 12)
    for name, track in _boxes(index):
        handler = _child(track, b"mdia", b"hdlr") if name == b"trak" else None
        edits = _child(track, b"edts", b"elst") if handler is not None and handler[8:12] == b"vide" else None
        if edits is None or timescale == 0:
            continue
        entry = struct.Struct(">QqI" if edits[:1] == b"\1" else ">IiI")
        (count,) = struct.unpack_from(">I", edits, 4)
        end = min(len(edits), 8 + count * entry.size)
        entries = [entry.unpack_from(edits, at) for at in range(8, end - entry.size + 1, entry.size)]
        shown = sum(duration for duration, media_time, _ in entries if media_time >= 0)  # -1: an empty pause
        return shown / timescale if shown else None
    return None
