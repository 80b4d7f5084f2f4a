"""The log of a document: a file of lines to which is only added.

Each line is a JSON object, ``{"crc": C, "entry": {...}}``, with the CRC-32 of the entry as `json.dumps` writes it with sorted keys and no
spaces. A line counts when it is complete; a process that is killed while it writes leaves at most one that is not, at the end, which is
removed before the next one is written.
"""

from __future__ import annotations

import json
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trackersplat.errors import InputError
from trackersplat.files import flush_names, has_file, unwritable

LOG_LIMIT = 256 << 20  # bytes; a larger log is an accident or an attack


@dataclass(frozen=True)
class Lines:
    """What a log holds."""

    entries: tuple[dict[str, Any], ...]
    end: int  # bytes: where the last complete line ends
    broken: bool  # whether something incomplete is behind it


def read_lines(path: Path, start: int = 0) -> Lines:
    """The complete lines of the log from this byte on; none if there is no file.

    Raises InputError if a line in the middle is damaged, or the log became shorter than ``start``.
    """
    data = _tail(path, start)
    entries: list[dict[str, Any]] = []
    place = 0
    while (newline := data.find(b"\n", place)) >= 0:
        entry = _entry(data[place:newline])
        if entry is None:
            if data.find(b"\n", newline + 1) >= 0:  # a later line is complete: this is no kill, but damage
                where = f"line {len(entries) + 1}" + (f" after byte {start}" if start else "")
                raise InputError(f"{path}, {where} is damaged: restore the file, or remove it and its folder to undo all edits.")
            break
        entries.append(entry)
        place = newline + 1
    return Lines(tuple(entries), start + place, broken=place < len(data))


def _tail(path: Path, start: int) -> bytes:
    """What is behind a byte. Raises InputError if the file is shorter, too large, or cannot be read."""
    size = path.stat().st_size if has_file(path) else 0
    if size < start:
        raise InputError(f"{path} became shorter while it was used: open the document again.")
    if size > LOG_LIMIT:
        raise InputError(f"{path} has {size:,} bytes, expected at most {LOG_LIMIT:,}: it is no log of edits.")
    if size == start:
        return b""
    try:
        with path.open("rb") as file:
            file.seek(start)
            return file.read(LOG_LIMIT - start)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): check the file and its permissions.") from error


def append_line(path: Path, end: int, entry: dict[str, Any]) -> int:
    """Writes a line behind the byte ``end``, where the last complete one ends, and waits until it is on the disk. Returns its own end.

    The caller holds the lock. Raises InputError if the file cannot be written; then the line does not count.
    """
    text = _dumps(entry)
    line = _dumps({"crc": zlib.crc32(text.encode()), "entry": entry}).encode() + b"\n"
    if end + len(line) > LOG_LIMIT:
        raise InputError(f"{path} would take more than {LOG_LIMIT:,} bytes: begin a new document.")
    new = not path.exists()
    try:
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+b") as file:
            file.truncate(end)
            file.seek(end)
            try:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                file.truncate(end)
                raise
        if new:
            flush_names(path.parent)
    except OSError as error:
        raise unwritable(path.parent, error) from error
    return end + len(line)


def _dumps(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _entry(line: bytes) -> dict[str, Any] | None:
    try:
        data = json.loads(line)
        entry, crc = data["entry"], data["crc"]
        if isinstance(entry, dict) and crc == zlib.crc32(_dumps(entry).encode()):
            return entry
    except (ValueError, KeyError, TypeError, RecursionError):  # incomplete, or not ours: told by the caller
        return None
    return None
