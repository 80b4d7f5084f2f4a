"""SOG of PlayCanvas, version 2, as one ``.sog`` archive: ``meta.json`` and lossless WebP images with one pixel per Gaussian.

Written after the public specification (developer.playcanvas.com, "The SOG format"). Positions have 16 bits on a logarithmic scale; axes,
colours and harmonics are indices into code books of 256 numbers; the higher harmonics share a palette of up to 65,536 rows.
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from trackersplat.errors import InputError
from trackersplat.files import JSON_LIMIT, NPZ_DAMAGE, read_file
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.gaussians.readers.eight_bits import opacity_logits

CODES = 256  # numbers in a code book
PALETTE_WIDTH = 64  # rows of the palette side by side in its image
LARGEST_PALETTE = 1 << 16
LARGEST_TAG = 252  # alpha of a rotation's pixel if w is its largest component; 253 to 255: x, y, z
COEFFICIENTS = {1: 3, 2: 8, 3: 15}  # higher ones, by degree
OTHERS = np.array([[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]])  # the components beside the largest
_SLACK = 1 << 16  # pixels that an image may have beyond the Gaussians: writers fill up rows
_DAMAGE = (*NPZ_DAMAGE, cv2.error, struct.error, RuntimeError, RecursionError)  # RuntimeError: encrypted


def read_sog(path: Path, max_bytes: int) -> Gaussians:
    """See `readers.reader.Reader`."""
    data = read_file(path, max_bytes)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            meta = json.loads(_member(archive, "meta.json", JSON_LIMIT))
            if not isinstance(meta, dict) or meta.get("version") != 2:
                raise ValueError("it is not of version 2")
            count = meta["count"]
            if not isinstance(count, int) or not 0 < count <= len(data):  # every Gaussian takes some bytes
                raise ValueError(f"it claims {count!r} Gaussians")
            return _gaussians(_Images(archive, count, len(data)), meta, count)
    except _DAMAGE as error:
        raise InputError(f"{path} is a damaged SOG file, or none ({str(error)[:120]}): write it again.") from error


class _Images:
    """The images of an archive, decoded with bounds."""

    def __init__(self, archive: zipfile.ZipFile, count: int, limit: int) -> None:
        self._archive, self._count, self._limit = archive, count, limit

    def read(self, name: Any) -> np.ndarray:
        """(N, 4) uint8 RGBA, one per Gaussian. Raises ValueError."""
        image = self.whole(name, self._count + self._count // 2 + _SLACK)
        pixels = image.reshape(-1, 4)
        if len(pixels) < self._count:
            raise ValueError(f"{name} has fewer pixels than there are Gaussians")
        return pixels[: self._count]

    def whole(self, name: Any, most: int) -> np.ndarray:
        """(H, W, 4) uint8 RGBA of at most so many pixels. Raises ValueError."""
        data = _member(self._archive, str(name), self._limit)
        width, height = _size(data)
        if width * height > most:
            raise ValueError(f"{name} has {width} x {height} pixels, more than its Gaussians need")
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        if image is None or image.dtype != np.uint8 or image.shape[:2] != (height, width):
            raise ValueError(f"{name} cannot be decoded")
        return cv2.cvtColor(image, cv2.COLOR_BGRA2RGBA if image.ndim == 3 and image.shape[2] == 4 else cv2.COLOR_BGR2RGBA)


def _member(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    with archive.open(name) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ValueError(f"{name} is larger than {limit:,} bytes")
    return data


def _size(data: bytes) -> tuple[int, int]:
    """Width and height of a lossless WebP image. Raises ValueError if it is none."""
    if data[:4] != b"RIFF" or data[8:16] != b"WEBPVP8L" or data[20:21] != b"\x2f":
        raise ValueError("an image that is no lossless WebP")
    (bits,) = struct.unpack("<I", data[21:25])
    return (bits & 0x3FFF) + 1, ((bits >> 14) & 0x3FFF) + 1


def _gaussians(images: _Images, meta: dict[str, Any], count: int) -> Gaussians:
    low, high = (images.read(name).astype(np.float64)[:, :3] for name in _files(meta["means"], 2))
    begin, end = (_numbers(meta["means"][name], 3) for name in ("mins", "maxs"))
    logs = begin + (end - begin) * (low + 256 * high) / 65535
    colours = images.read(_files(meta["sh0"], 1)[0])
    scales = images.read(_files(meta["scales"], 1)[0])
    sh = np.empty((count, 1, 3))
    sh[:, 0] = _numbers(meta["sh0"]["codebook"], CODES)[colours[:, :3]]
    if meta.get("shN") is not None:
        sh = np.concatenate((sh, _harmonics(images, meta["shN"])), axis=1)
    return Gaussians(
        means=_tensor(np.sign(logs) * np.expm1(np.abs(logs))),
        quats=_tensor(_rotations(images.read(_files(meta["quats"], 1)[0]))),
        log_scales=_tensor(_numbers(meta["scales"]["codebook"], CODES)[scales[:, :3]]),
        opacity_logits=_tensor(opacity_logits(colours[:, 3])),
        sh=_tensor(sh),
    )


def _harmonics(images: _Images, meta: dict[str, Any]) -> np.ndarray:
    """(N, K - 1, 3)."""
    rows, width = meta["count"], COEFFICIENTS[meta["bands"]]
    if not isinstance(rows, int) or not 0 < rows <= LARGEST_PALETTE:
        raise ValueError(f"a palette of {rows!r} rows")
    palette_file, labels_file = _files(meta, 2)
    lines = -(-rows // PALETTE_WIDTH)
    image = images.whole(palette_file, lines * PALETTE_WIDTH * width)
    if image.shape[:2] != (lines, PALETTE_WIDTH * width):
        raise ValueError("a palette of another size than its rows need")
    palette = _numbers(meta["codebook"], CODES)[image[..., :3].reshape(-1, width, 3)]
    labels = images.read(labels_file).astype(np.int64)
    chosen = labels[:, 0] + 256 * labels[:, 1]
    if chosen.max() >= rows:
        raise ValueError("a Gaussian outside the palette")
    return np.asarray(palette[chosen])


def _rotations(pixels: np.ndarray) -> np.ndarray:
    """(N, 4) wxyz."""
    largest = pixels[:, 3].astype(np.int64) - LARGEST_TAG
    if (largest < 0).any():
        raise ValueError("a rotation without its largest component")
    small = (pixels[:, :3] / 255 * 2 - 1) / np.sqrt(2)
    quats = np.empty((len(pixels), 4))
    rows = np.arange(len(pixels))
    quats[rows[:, None], OTHERS[largest]] = small
    quats[rows, largest] = np.sqrt(np.maximum(0, 1 - (small**2).sum(axis=1)))
    return quats


def _files(part: dict[str, Any], number: int) -> list[str]:
    names = part["files"]
    if not isinstance(names, list) or len(names) != number:
        raise ValueError(f"a part without its {number} files")
    return [str(name) for name in names]


def _numbers(values: Any, number: int) -> np.ndarray:
    found = np.array(values, np.float64)
    if found.shape != (number,):
        raise ValueError(f"{number} numbers expected")
    return found


def _tensor(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, np.float32))
