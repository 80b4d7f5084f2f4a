"""Damaged copies of files: what a random generator does to one file of a folder."""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

MEDIA = {".mp4", ".png", ".jpg"}  # damaged less often: most of a capture
TEXT = {".json", ".toml", ".txt", ".csv", ".xml", ".log", ""}
DEEP = 100_000  # brackets
NUMBERS = (
    "nan", "NaN", "inf", "-inf", "Infinity", "1e308", "-1e308", "1e300", "1e-320", "0", "-0.0", "-1", "1", "0.5", "4294967296",
    "9223372036854775808", "9" * 400, "1e999", "null", "true", '"text"', '""', "[]", "{}", "0x10", "1,5", "٣",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 0.5, 1e308, -1e308, 1e-320, float("nan"), float("inf"), 2**63, 10**400, "", "text", "../../etc/passwd",
    "/dev/zero", "\x1b[31m", "a" * 5000, "\u0000", [], [[]], {}, {"a": 1}, [1, 2, 3], [[1, 0], [0, 1]], [None] * 16,
)  # fmt: skip
EXTREMES = (
    b"\x00" * 8, b"\xff" * 8, struct.pack("<d", float("nan")), struct.pack("<d", float("inf")), struct.pack("<d", 1e308),
    struct.pack("<ff", float("nan"), 1e38), struct.pack("<q", 2**62), struct.pack("<ii", -1, 2**31 - 1), struct.pack(">q", 2**62),
)  # fmt: skip


def mutate(folder: Path, random: Random, wanted: Callable[[Path], bool] = lambda path: True) -> str:
    """Damages one file in the folder, which may be a link to the whole one, and says what was done."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and wanted(path))
    others = [path for path in files if path.suffix not in MEDIA]
    path = random.choice(others if others and random.random() < 0.85 else files)
    name = str(path.relative_to(folder))
    if random.random() < 0.08:
        return f"{name}: {_replaced_by_no_file(path, random)}"
    data = path.read_bytes()
    text = path.suffix.lower() in TEXT and b"\0" not in data[:1000]
    ways = _TEXT_WAYS if text and random.random() < 0.8 else _BINARY_WAYS
    way = random.choice(ways)
    changed = way(data, random)
    path.unlink()  # never written into: it may be a hard link
    path.write_bytes(changed)
    return f"{name}: {way.__name__.strip('_')}"


def _replaced_by_no_file(path: Path, random: Random) -> str:
    path.unlink()
    way = random.choice(("gone", "folder", "fifo", "device", "loop", "dangling", "empty"))
    match way:
        case "folder":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "loop":
            path.symlink_to(path.name)
        case "dangling":
            path.symlink_to("nowhere")
        case "empty":
            path.write_bytes(b"")
    return way


def link_tree(source: Path, target: Path) -> Path:
    """A copy of a folder whose files are hard links."""
    shutil.copytree(source, target, copy_function=os.link)
    return target


# -- any file ------------------------------------------------------------------------------------------------------------


def _truncated(data: bytes, random: Random) -> bytes:
    return data[: random.randrange(len(data) + 1)]


def _flipped(data: bytes, random: Random) -> bytes:
    changed = bytearray(data)
    for _ in range(random.randint(1, 8)):
        if changed:
            changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def _flipped_at_the_start(data: bytes, random: Random) -> bytes:
    return _flipped(data[:200], random) + data[200:]


def _extreme(data: bytes, random: Random) -> bytes:
    at = random.randrange(len(data) + 1) & ~3
    value = random.choice(EXTREMES)
    return data[:at] + value + data[at + len(value) :]


def _extreme_at_the_start(data: bytes, random: Random) -> bytes:
    at = random.randrange(min(len(data), 128) + 1)
    value = random.choice(EXTREMES)
    return data[:at] + value + data[at + len(value) :]


def _cut_out(data: bytes, random: Random) -> bytes:
    start = random.randrange(len(data) + 1)
    return data[:start] + data[start + random.randint(1, 64) :]


def _doubled(data: bytes, random: Random) -> bytes:
    start = random.randrange(len(data) + 1)
    return data[:start] + data[start : start + random.randint(1, 4096)] * 2 + data[start:]


def _junk(data: bytes, random: Random) -> bytes:
    start = random.randrange(len(data) + 1)
    return data[:start] + random.randbytes(random.randint(1, 40)) + data[start:]


# -- text ----------------------------------------------------------------------------------------------------------------


def _number(data: bytes, random: Random) -> bytes:
    places = list(re.finditer(rb"-?\d+(\.\d*)?([eE][-+]?\d+)?", data))
    if not places:
        return _flipped(data, random)
    place = random.choice(places)
    return data[: place.start()] + random.choice(NUMBERS).encode() + data[place.end() :]


def _word(data: bytes, random: Random) -> bytes:
    places = list(re.finditer(rb"[A-Za-z_][\w.-]*", data))
    if not places:
        return _flipped(data, random)
    place, other = random.choice(places), random.choice(places)
    return data[: place.start()] + random.choice((other.group(), b"", b"x", "ä\u202e".encode(), b"..")) + data[place.end() :]


def _line(data: bytes, random: Random) -> bytes:
    lines = data.splitlines(keepends=True)
    if not lines:
        return data
    at = random.randrange(len(lines))
    lines[at : at + 1] = random.choice(([], [lines[at]] * 2, [lines[random.randrange(len(lines))]], [b"\n"], [b"# x\n", lines[at]]))
    return b"".join(lines)


def _deep(data: bytes, random: Random) -> bytes:
    start = random.randrange(len(data) + 1)
    return data[:start] + random.choice((b"[" * DEEP, b'{"a":' * DEEP, b"<a>" * DEEP, b"((" * DEEP)) + data[start:]


def _encoding(data: bytes, random: Random) -> bytes:
    return random.choice(
        (b"\xef\xbb\xbf" + data, data.decode("latin-1").encode("utf-16"), data + b"\xff\xfe", data.replace(b"\n", b"\r\n"), b"\0" + data)
    )


def _node(data: bytes, random: Random) -> bytes:
    """Of JSON: another value, or none, in one place."""
    try:
        document = json.loads(data)
    except ValueError:
        return _number(data, random)
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        for key, value in items:
            places.append((node, key))
            walk(value)

    walk(document)
    if not places:
        return json.dumps(random.choice(VALUES)).encode()
    node, key = random.choice(places)
    way = random.random()
    if way < 0.2:
        del node[key]
    elif way < 0.3 and isinstance(node, list):
        node.insert(key, node[key])
    elif way < 0.4 and isinstance(node, dict):
        node[f"{key}x"] = node.pop(key)
    elif way < 0.45:
        document = random.choice(VALUES)
    else:
        node[key] = random.choice(VALUES)
    return json.dumps(document).encode()


_BINARY_WAYS = (_truncated, _flipped, _flipped_at_the_start, _extreme, _extreme, _extreme_at_the_start, _cut_out, _doubled, _junk)
_TEXT_WAYS = (_truncated, _flipped, _number, _number, _word, _line, _deep, _encoding, _node, _node, _node, _junk)
