"""Ways to damage a capture: each makes a function that damages the capture in a folder."""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tiny_capture

Damage = Callable[[Path], object]


def empty(file: str) -> Damage:
    return lambda folder: (folder / file).write_bytes(b"")


def cut(file: str, share: float = 0.5) -> Damage:
    def damage(folder: Path) -> None:
        data = (folder / file).read_bytes()
        (folder / file).write_bytes(data[: int(share * len(data))])

    return damage


def put(file: str, content: str | bytes) -> Damage:
    return lambda folder: (folder / file).write_bytes(content.encode() if isinstance(content, str) else content)


def delete(file: str) -> Damage:
    def damage(folder: Path) -> None:
        shutil.rmtree(folder / file) if (folder / file).is_dir() else (folder / file).unlink()

    return damage


def replaced(file: str, old: str, new: str) -> Damage:
    """Every place where the pattern ``old`` is found must be there at least once."""

    def damage(folder: Path) -> None:
        text, count = re.subn(old, new, (folder / file).read_text(), count=1)
        assert count == 1, f"{old} is not in {file}"
        (folder / file).write_text(text)

    return damage


def edited(file: str, edit: Callable[[dict[str, Any]], object]) -> Damage:
    """The JSON object in ``file``, changed."""

    def damage(folder: Path) -> None:
        data = json.loads((folder / file).read_text())
        edit(data)
        (folder / file).write_text(json.dumps(data))

    return damage


def poses(change: Callable[[np.ndarray], np.ndarray]) -> Damage:
    def damage(folder: Path) -> None:
        np.save(folder / "poses_bounds.npy", change(np.load(folder / "poses_bounds.npy")))

    return damage


def linked(file: str, target: str) -> Damage:
    """``file`` becomes a symbolic link."""

    def damage(folder: Path) -> None:
        delete(file)(folder)
        (folder / file).symlink_to(target)

    return damage


def both(*damages: Damage) -> Damage:
    return lambda folder: [damage(folder) for damage in damages]


def with_nan(rows: np.ndarray) -> np.ndarray:
    rows[1, 3] = np.nan
    return rows


def sheared(rows: np.ndarray) -> np.ndarray:
    rows[1, [0, 5, 10]] *= 1.3
    return rows


def npy_header(shape: str, kind: str = "<f8") -> bytes:
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header


def png(width: int, height: int, rows: bytes = b"") -> bytes:
    """A grey PNG that claims a size and brings ``rows``."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def image_of_another_size(file: str) -> Damage:
    return lambda folder: cv2.imwrite(str(folder / file), np.zeros((30, 40, 3), np.uint8))


def video_of(file: str, frames: int, height: int, width: int) -> Damage:
    return lambda folder: tiny_capture.encode(folder / file, np.zeros((frames, height, width, 3), np.uint8))


def without_index(file: str) -> Damage:
    def damage(folder: Path) -> None:
        data = (folder / file).read_bytes()
        (folder / file).write_bytes(data[: data.index(b"moov") - 4])

    return damage


def blank_frames(file: str) -> Damage:
    """The index is whole, the samples are zeros."""

    def damage(folder: Path) -> None:
        data = bytearray((folder / file).read_bytes())
        start, end = data.index(b"mdat") + 4, data.index(b"moov") - 4
        data[start:end] = bytes(end - start)
        (folder / file).write_bytes(data)

    return damage


def zip_bomb(file: str, array: str) -> Damage:
    """A few MB that claim to unpack to 6 GB."""

    def damage(folder: Path) -> None:
        with zipfile.ZipFile(folder / file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            archive.writestr(f"{array}.npy", npy_header("(107374183, 7)") + bytes(1 << 20))
        data = bytearray((folder / file).read_bytes())
        at = data.index(b"PK\x01\x02")  # the directory's word on the size is all that can be known without unpacking
        data[at + 24 : at + 28] = struct.pack("<I", 0xFFFFFFF0)
        (folder / file).write_bytes(data)

    return damage


def malicious_pickle(file: str) -> Damage:
    """Would make a file named "owned" in the working folder if it were unpickled."""
    code = b"cbuiltins\nopen\n(S'owned'\nS'w'\ntR."
    return put(file, npy_header("()", "|O") + code)


def ply(head: str, body: bytes = b"") -> bytes:
    return (
        f"ply\nformat binary_little_endian 1.0\n{head}\nproperty float x\nproperty float y\nproperty float z\nend_header\n"
    ).encode() + body


def ply_at(point: str) -> bytes:
    """A text PLY in double precision with this one point."""
    axes = "".join(f"property double {axis}\n" for axis in "xyz")
    return f"ply\nformat ascii 1.0\nelement vertex 1\n{axes}end_header\n{point}\n".encode()


def colmap_bytes(file: str, content: bytes) -> Damage:
    """The binary file instead of the text file of frame 1's model."""
    return lambda folder: (folder / "frame1" / "sparse" / "0" / file).write_bytes(content)


def tree(folder: Path) -> dict[str, tuple[int, int, int, str]]:
    """Everything below a folder: type and rights, size, time of change, target of a link."""
    found = {}
    for path in [folder, *sorted(folder.rglob("*"))]:
        state = path.lstat()
        target = os.readlink(path) if path.is_symlink() else ""
        size = 0 if path.is_dir() and not path.is_symlink() else state.st_size
        found[str(path.relative_to(folder))] = (state.st_mode, size, state.st_mtime_ns, target)
    return found
