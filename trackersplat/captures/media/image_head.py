"""What the head of a PNG or JPEG file says of its image, without decoding it."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

UPRIGHT = 1  # EXIF's orientation of an image that is stored as it is shown
SWAPPED = (5, 6, 7, 8)  # orientations that swap width and height
_ORIENTATION = 0x0112  # EXIF's tag
_MAX_PARTS = 1000  # of a file that are looked through
_MAX_EXIF = 64 * 1024
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class ImageHead:
    width: int  # pixels, as stored
    height: int
    orientation: int = UPRIGHT  # 1 to 8, as EXIF counts them
    alpha: bool = False  # parts of the image may be transparent


def read_head(path: Path) -> ImageHead | None:
    """None where the file is neither a PNG nor a JPEG, or its head is damaged: decoding it says what is wrong."""
    try:
        with path.open("rb") as file:
            start = file.read(8)
            if start == _PNG:
                return _png(file)
            if start.startswith(b"\xff\xd8"):
                file.seek(2)
                return _jpeg(file)
    except (OSError, struct.error):
        return None
    return None


def png_has_alpha(data: bytes) -> bool:
    """Whether the whole PNG file ``data`` may have transparent pixels."""
    return data.startswith(_PNG) and len(data) > 25 and (data[25] in (4, 6) or b"tRNS" in data[: data.find(b"IDAT")])


def _png(file: BinaryIO) -> ImageHead | None:
    width = height = 0
    orientation, alpha = UPRIGHT, False
    for _ in range(_MAX_PARTS):
        head = file.read(8)
        if len(head) < 8:
            break
        length, name = struct.unpack(">I4s", head)
        if name in (b"IDAT", b"IEND"):  # what follows the pixels is not searched
            break
        if name in (b"IHDR", b"eXIf") and length <= _MAX_EXIF:
            content = file.read(length)
            if name == b"IHDR":
                width, height, _, colour = struct.unpack_from(">IIBB", content)
                alpha = colour in (4, 6)
            else:
                orientation = _orientation(content)
            length = 0
        alpha = alpha or name == b"tRNS"
        file.seek(length + 4, 1)
    return ImageHead(width, height, orientation, alpha) if width and height else None


def _jpeg(file: BinaryIO) -> ImageHead | None:
    orientation = UPRIGHT
    for _ in range(_MAX_PARTS):
        head = file.read(4)
        if len(head) < 4 or head[0] != 0xFF:
            return None
        if head[1] == 0xFF:  # a fill byte
            file.seek(-3, 1)
            continue
        (length,) = struct.unpack(">H", head[2:])
        if length < 2:
            return None
        if 0xC0 <= head[1] <= 0xCF and head[1] not in (0xC4, 0xC8, 0xCC):  # start of frame
            _, height, width = struct.unpack(">BHH", file.read(5))
            return ImageHead(width, height, orientation) if width and height else None
        if head[1] == 0xDA:  # the scan: too late
            return None
        content = file.read(length - 2)
        if head[1] == 0xE1 and content.startswith(b"Exif\0\0"):
            orientation = _orientation(content[6:])
    return None


def _orientation(exif: bytes) -> int:
    """The orientation in the first directory of a TIFF structure; upright if there is none or it is damaged."""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return UPRIGHT
    try:
        (start,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, start)
        for index in range(count):
            tag, kind, _, value = struct.unpack_from(order + "HHIH", exif, start + 2 + 12 * index)
            if tag == _ORIENTATION and kind == 3:
                return int(value) if 1 <= value <= 8 else UPRIGHT
    except struct.error:
        return UPRIGHT
    return UPRIGHT
