"""Unpacking a ZIP archive, also one that is split into parts (``.z01``, ``.z02``, ..., ``.zip``), which Python's zipfile cannot read.

After PKWARE's APPNOTE 6.3.9: the list of entries at the end has the part and the place in it where each entry begins; sizes and places
beyond 32 bits are in the extra field 1 (ZIP64). Nothing in an archive is trusted: names must stay inside the folder, entries must be plain
files that share no bytes and no name, their sizes are compared with that of the archive and with the free space before anything is
written, and no file becomes larger than listed.
"""

from __future__ import annotations

import shutil
import stat
import struct
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from trackersplat.errors import InputError
from trackersplat.events import Event
from trackersplat.files import atomic_folder

MAX_PARTS = 999
MAX_ENTRIES = 1_000_000
MAX_LIST_BYTES = 512 * 2**20
MAX_NAME_BYTES = 1024  # of a name with its folders; Linux takes 4096 for a whole path, macOS 1024
SPARE = 2**28  # bytes that must stay free
MAX_RATIO = 200  # of unpacked to packed bytes; images, videos and arrays of captures stay far below it
ANYWAY = 2**26  # bytes that any archive may unpack to, whatever the ratio
CHUNK = 2**20
_END, _END64, _LOCATOR, _ENTRY, _LOCAL = b"PK\5\6", b"PK\6\6", b"PK\6\7", b"PK\1\2", b"PK\3\4"
_STORED, _DEFLATED = 0, 8


@dataclass(frozen=True)
class Entry:
    name: str
    method: int
    crc: int
    packed: int  # bytes
    size: int
    place: int  # of its header, in all parts one after the other
    taken: int  # bytes of its header and its data, at least


def find_archive(path: Path) -> Path | None:
    """The ``.zip`` (the last part, if it is split) that ``path`` is or belongs to, or the only one in the folder ``path``; else None.

    Raises InputError if the folder has several, or the last part is missing.
    """
    if path.is_file():
        if path.suffix.lower() == ".zip":
            return path
        if path.suffix[:2].lower() == ".z" and path.suffix[2:].isdigit():
            last = path.with_suffix(".zip")
            if not last.is_file():
                raise InputError(f"{path} is a part of a split archive whose last part, {last.name}, is missing: download that too.")
            return last
        return None
    found = sorted(file for file in path.iterdir() if file.suffix.lower() == ".zip" and file.is_file()) if path.is_dir() else []
    if len(found) > 1:
        raise InputError(f"{path} has {len(found)} archives, {found[0].name} and others: name the one that is to be unpacked.")
    return found[0] if found else None


@dataclass(frozen=True)
class Written(Event):
    """How far the unpacking of an archive is."""

    done: int  # bytes
    total: int


@dataclass(frozen=True)
class Unpacked(Event):
    """The last event of `unpack`."""

    folder: Path


def unpack(archive: Path, folder: Path) -> Iterator[Event]:
    """Fills the new folder ``folder``, which appears when it is complete: `Written` events, then `Unpacked`.

    Raises InputError if a part is missing, the archive is damaged, encrypted or compressed by another method, or the disk is too full.
    """
    with ExitStack() as open_files:
        parts = _Parts(archive, open_files)
        entries = _entries(parts)
        if not entries:
            raise InputError(f"{archive} holds no files: download it again, or pack it again.")
        total = sum(entry.size for entry in entries)
        if total > max(ANYWAY, MAX_RATIO * parts.size):
            raise InputError(
                f"{archive} has {parts.size / 1e6:.1f} MB and would unpack to {total / 1e6:,.0f} MB, which is too much for a capture: "
                "if you trust it, unpack it by hand and give the folder."
            )
        place = next(parent for parent in folder.parents if parent.is_dir())
        free = shutil.disk_usage(place).free
        if total + SPARE > free:
            raise InputError(f"{archive} unpacks to {total / 1e9:.1f} GB, but {place} has {free / 1e9:.1f} GB free: choose another --out.")
        with atomic_folder(folder) as new:
            done = 0
            for entry in entries:
                target = new.joinpath(*_safe(entry.name, archive).parts)
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("xb") as file:
                    for size in _extract(parts, entry, file):
                        done += size
                        yield Written(done, total)
    yield Unpacked(folder)


class _Parts:
    """The parts of an archive, read as one file."""

    def __init__(self, archive: Path, stack: ExitStack) -> None:
        self.archive = archive
        paths = []
        for number in range(1, MAX_PARTS):
            part = archive.with_suffix(f".z{number:02d}")
            if not part.is_file():
                break
            paths.append(part)
        if archive.exists() and not archive.is_file():
            raise InputError(f"{archive} is not a plain file: give the file of an archive.")
        try:
            self._files: list[BinaryIO] = [stack.enter_context(path.open("rb")) for path in (*paths, archive)]
            sizes = [path.stat().st_size for path in (*paths, archive)]
        except OSError as error:
            raise InputError(f"{archive} cannot be read ({error.strerror}): check it and its parts and their permissions.") from error
        self.starts = [sum(sizes[:index]) for index in range(len(sizes))]
        self.size = sum(sizes)

    def at(self, disk: int, offset: int) -> int:
        """A place in a part as a place in all. Raises InputError if there is no such part."""
        if disk >= len(self.starts):
            raise InputError(
                f"{self.archive} has {len(self.starts)} parts here, but refers to part {disk + 1}: download all parts into one folder."
            )
        return self.starts[disk] + offset

    def read(self, place: int, size: int) -> bytes:
        """Exactly ``size`` bytes. Raises InputError where there are fewer."""
        found = b""
        while len(found) < size and 0 <= place + len(found) < self.size:
            here = place + len(found)
            index = max(i for i, start in enumerate(self.starts) if start <= here)
            self._files[index].seek(here - self.starts[index])
            data = self._files[index].read(size - len(found))
            if not data:
                break
            found += data
        if len(found) < size:
            raise self.damaged("it ends too early")
        return found

    def damaged(self, why: str) -> InputError:
        return InputError(f"{self.archive} is damaged or incomplete ({why}): download it again, all parts into one folder.")


def _entries(parts: _Parts) -> list[Entry]:
    """The files in an archive. Raises InputError if the list is damaged, or too long."""
    tail_size = min(parts.size, 65_557)
    tail = parts.read(parts.size - tail_size, tail_size)
    end = tail.rfind(_END)
    if end < 0 or end + 22 > len(tail):
        raise InputError(f"{parts.archive} is no ZIP archive, or its end is missing: download it again.")
    _, disk, _, count, size, offset = struct.unpack("<HHHHII", tail[end + 4 : end + 20])
    if 0xFFFF in (disk, count) or 0xFFFFFFFF in (size, offset):
        locator = parts.read(parts.size - tail_size + end - 20, 20)
        if not locator.startswith(_LOCATOR):
            raise parts.damaged("the end record of ZIP64 is missing")
        disk64, offset64 = struct.unpack("<IQ", locator[4:16])
        record = parts.read(parts.at(disk64, offset64), 56)
        if not record.startswith(_END64):
            raise parts.damaged("the end record of ZIP64 is missing")
        disk, _, count, size, offset = struct.unpack("<IQQQQ", record[20:56])
    if size > MAX_LIST_BYTES or count > MAX_ENTRIES:
        raise InputError(f"{parts.archive} lists {count:,} files, which is too many: unpack it by hand.")
    data = parts.read(parts.at(disk, offset), size)
    found = list(_parsed(parts, data, count))
    _check_names(parts, found)
    _check_overlap(parts, found, parts.at(disk, offset))
    return [entry for entry in found if not entry.name.startswith("__MACOSX/") and not entry.name.endswith("/")]


def _check_names(parts: _Parts, entries: list[Entry]) -> None:
    """Raises InputError if a name stands for two files, or for a file and a folder."""
    files = [PurePosixPath(entry.name) for entry in entries if not entry.name.endswith("/")]
    if len(set(files)) != len(files):
        raise parts.damaged("a name stands in it twice")
    folders = {PurePosixPath(entry.name) for entry in entries if entry.name.endswith("/")}
    folders |= {parent for file in files for parent in file.parents}
    both = next((file for file in files if file in folders), None)
    if both is not None:
        raise parts.damaged(f"{str(both)[:80]!r} is both a file and a folder in it")


def _check_overlap(parts: _Parts, entries: list[Entry], end: int) -> None:
    """Raises InputError if two entries share bytes, or one reaches into the list of files, which begins at ``end``."""
    ordered = sorted((entry for entry in entries if not entry.name.endswith("/")), key=lambda entry: entry.place)
    places = [*(entry.place for entry in ordered[1:]), end]
    for entry, following in zip(ordered, places, strict=False):
        if entry.place + entry.taken > following:
            raise parts.damaged(f"{entry.name[:80]!r} overlaps with what follows it")


def _parsed(parts: _Parts, data: bytes, count: int) -> Iterator[Entry]:
    position = 0
    for _ in range(count):
        head = data[position : position + 46]
        if len(head) < 46 or not head.startswith(_ENTRY):
            raise parts.damaged("its list of files is cut off")
        flags, method, _, crc, packed, size, name_size, extra_size, note_size = struct.unpack("<HHIIIIHHH", head[8:34])
        disk, _, attributes, offset = struct.unpack("<HHII", head[34:46])
        name_data = data[position + 46 : position + 46 + name_size]
        extra = data[position + 46 + name_size : position + 46 + name_size + extra_size]
        position += 46 + name_size + extra_size + note_size
        name = name_data.decode("utf-8" if flags & 0x800 else "cp437", errors="replace")
        if 0xFFFFFFFF in (size, packed, offset) or disk == 0xFFFF:
            size, packed, offset, disk = _zip64(parts, extra, size, packed, offset, disk)
        if name.endswith("/"):
            yield Entry(name, _STORED, 0, 0, 0, 0, 0)
            continue
        kind = stat.S_IFMT(attributes >> 16)
        if kind not in (0, stat.S_IFREG):
            raise InputError(f"{parts.archive} has {name[:80]!r}, which is no plain file (a link, for example): unpack it by hand.")
        if flags & 1 or method not in (_STORED, _DEFLATED):
            raise InputError(f"{parts.archive} has {name[:80]!r} encrypted or packed by method {method}: unpack it by hand.")
        _safe(name, parts.archive)
        yield Entry(name, method, crc, packed, size, parts.at(disk, offset), 30 + name_size + packed)


def _zip64(parts: _Parts, extra: bytes, size: int, packed: int, offset: int, disk: int) -> tuple[int, int, int, int]:
    """What does not fit into 32 bits, from the extra field 1, which holds exactly the values that are marked as missing."""
    position = 0
    while position + 4 <= len(extra):
        kind, length = struct.unpack("<HH", extra[position : position + 4])
        field = extra[position + 4 : position + 4 + length]
        position += 4 + length
        if kind != 1:
            continue
        values = [size, packed, offset]
        for index, value in enumerate(values):
            if value == 0xFFFFFFFF and len(field) >= 8:
                (values[index],) = struct.unpack("<Q", field[:8])
                field = field[8:]
        if disk == 0xFFFF and len(field) >= 4:
            (disk,) = struct.unpack("<I", field[:4])
        return values[0], values[1], values[2], disk
    raise parts.damaged("a size of ZIP64 is missing")


def _safe(name: str, archive: Path) -> PurePosixPath:
    """Raises InputError unless the name stays inside of the folder it is unpacked into, on every system, and is not too long."""
    path, size = PurePosixPath(name), len(name.encode())
    if size > MAX_NAME_BYTES:
        raise InputError(
            f"{archive} has a file whose name has {size:,} bytes ({name[:40]!r}...), which is too long: pack it again with shorter names."
        )
    outside = path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name
    if outside or not path.parts or not name.isprintable() or any(len(part.encode()) > 255 for part in path.parts):
        raise InputError(f"{archive} has a file named {name[:80]!r}, which does not stay inside of a folder: do not trust it.")
    return path


def _extract(parts: _Parts, entry: Entry, file: BinaryIO) -> Iterator[int]:
    """Writes one file and yields the bytes of each step."""
    head = parts.read(entry.place, 30)
    if not head.startswith(_LOCAL):
        raise parts.damaged(f"{entry.name[:80]!r} is not where it should be")
    name_size, extra_size = struct.unpack("<HH", head[26:30])
    place, left = entry.place + 30 + name_size + extra_size, entry.packed
    unpacker = zlib.decompressobj(-15) if entry.method == _DEFLATED else None
    crc, written = 0, 0
    while left > 0:
        data = parts.read(place, min(CHUNK, left))
        place, left = place + len(data), left - len(data)
        while data:
            try:
                out = data if unpacker is None else unpacker.decompress(data, CHUNK)
            except zlib.error as error:
                raise parts.damaged(f"{entry.name[:80]!r}: {error}") from error
            data = b"" if unpacker is None else unpacker.unconsumed_tail
            crc, written = zlib.crc32(out, crc), written + len(out)
            if written > entry.size:
                raise parts.damaged(f"{entry.name[:80]!r} is larger than it says")
            file.write(out)
            yield len(out)
    if unpacker is not None:
        rest = unpacker.flush()
        crc, written = zlib.crc32(rest, crc), written + len(rest)
        file.write(rest)
        if not unpacker.eof or unpacker.unused_data:
            raise parts.damaged(f"{entry.name[:80]!r} is cut off, or goes on too far")
    if written != entry.size or crc != entry.crc:
        raise parts.damaged(f"{entry.name[:80]!r} is not what it was when it was packed")
