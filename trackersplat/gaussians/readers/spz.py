"""SPZ of Niantic: versions 1 to 3 (one gzip stream) and 4 (one zstd stream per attribute), after github.com/nianticlabs/spz.

Positions are fixed-point (float16 in version 1), all other numbers have 8 bits or, for quaternions since version 3, 10. The axes of the
format are right, up, back; those of a PLY right, down, front: y and z change their signs, as in Niantic's own converter.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import zstandard

from trackersplat.errors import InputError
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.gaussians.readers.eight_bits import opacity_logits

MAX_RATIO = 1032  # of unpacked to packed bytes: the most that deflate reaches
_COLOUR_SCALE = 0.15
AXES = np.array([1, -1, -1], np.float32)  # their signs beside those of a PLY
FLIPPED_SH = np.array([-1, -1, 1, -1, 1, 1, -1, 1, -1, 1, -1, -1, 1, -1, 1], np.float32)  # sign of each coefficient when y and z flip


@dataclass(frozen=True)
class _Header:
    version: int
    count: int
    degree: int
    fraction_bits: int

    def sizes(self) -> Iterator[int]:
        """Bytes of positions, alphas, colours, scales, rotations and higher coefficients."""
        per_gaussian = (6 if self.version == 1 else 9, 1, 3, 3, 3 if self.version < 3 else 4, 3 * ((self.degree + 1) ** 2 - 1))
        return (self.count * size for size in per_gaussian)


def read_spz(path: Path, max_bytes: int) -> Gaussians:
    """See `readers.reader.Reader`."""
    try:
        if path.stat().st_size > max_bytes:
            raise InputError(f"{path} has more than {max_bytes >> 30} GB, which is too large: remove Gaussians from it.")
        data = path.read_bytes()
        header, parts = _unpacked(data)
        return _gaussians(header, parts)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): check the file and its permissions.") from error
    except (ValueError, zlib.error, struct.error, zstandard.ZstdError) as error:
        raise InputError(f"{path} is a damaged SPZ file, or none ({error}): write it again.") from error


def _unpacked(data: bytes) -> tuple[_Header, list[np.ndarray]]:
    limit = MAX_RATIO * len(data)
    if data[:2] == b"\x1f\x8b":
        stream = zlib.decompressobj(wbits=31)
        start = stream.decompress(data, 16)
        header = _header(start, limit)
        if header.version > 3:
            raise ValueError("version 4 inside of gzip")
        wanted = sum(header.sizes())
        body = stream.decompress(stream.unconsumed_tail, wanted) if wanted else b""
        return header, _cut(body, list(header.sizes()))
    header = _header(data[:16], limit)
    if header.version <= 3:
        return header, _cut(data[16:], list(header.sizes()))
    streams, (table,) = data[15], struct.unpack("<I", data[16:20])
    sizes = [size for size in header.sizes() if size] if header.count else []
    if header.count and streams != len(sizes):
        raise ValueError(f"{streams} streams where {len(sizes)} are expected")
    place = table + 16 * streams
    parts = []
    for index, size in enumerate(sizes):
        packed, unpacked = struct.unpack("<QQ", data[table + 16 * index : table + 16 * index + 16])
        if unpacked != size or place + packed > len(data):
            raise ValueError("a stream of another size than its Gaussians need")
        with zstandard.ZstdDecompressor().stream_reader(data[place : place + packed]) as reader:
            parts.append(_bytes(reader.read(size), size))
        place += packed
    return header, [*parts, *(np.zeros(0, np.uint8) for _ in range(6 - len(parts)))]


def _header(start: bytes, limit: int) -> _Header:
    magic, version, count, degree, fraction_bits = struct.unpack("<4sIIBB", start[:14])
    if magic != b"NGSP":
        raise ValueError("it does not begin with NGSP")
    if not 1 <= version <= 4:
        raise ValueError(f"version {version}, expected 1 to 4")
    if degree > 3:
        raise ValueError(f"spherical harmonics of degree {degree}, expected 0 to 3")
    if fraction_bits > 24:
        raise ValueError(f"{fraction_bits} fraction bits, expected at most 24")
    header = _Header(version, count, degree, fraction_bits)
    if sum(header.sizes()) > limit:
        raise ValueError(f"it claims {count:,} Gaussians, more than fit into it")
    return header


def _bytes(data: bytes, size: int) -> np.ndarray:
    if len(data) < size:
        raise ValueError("it ends too early")
    return np.frombuffer(data, np.uint8, size)


def _cut(body: bytes, sizes: list[int]) -> list[np.ndarray]:
    return np.split(_bytes(body, sum(sizes)), np.cumsum(sizes)[:-1])


def _gaussians(header: _Header, parts: list[np.ndarray]) -> Gaussians:
    positions, alphas, colours, scales, rotations, harmonics = parts
    count = header.count
    sh = np.empty((count, (header.degree + 1) ** 2, 3), np.float32)
    sh[:, 0] = (colours.reshape(count, 3) / 255 - 0.5) / _COLOUR_SCALE
    higher = harmonics.reshape(count, sh.shape[1] - 1, 3).astype(np.float32) / 128 - 1
    sh[:, 1:] = higher * FLIPPED_SH[: sh.shape[1] - 1, None]
    return Gaussians(
        means=torch.from_numpy(_positions(header, positions) * AXES),
        quats=torch.from_numpy(_rotations(header, rotations) * np.array([1, *AXES], np.float32)),
        log_scales=torch.from_numpy(scales.reshape(count, 3).astype(np.float32) / 16 - 10),
        opacity_logits=torch.from_numpy(opacity_logits(alphas).astype(np.float32)),
        sh=torch.from_numpy(sh),
    )


def _positions(header: _Header, data: np.ndarray) -> np.ndarray:
    if header.version == 1:
        return data.view("<f2").reshape(header.count, 3).astype(np.float32)
    wide = np.zeros((header.count * 3, 4), np.uint8)
    wide[:, 1:] = data.reshape(-1, 3)
    fixed = wide.view("<i4").reshape(header.count, 3) >> 8  # with its sign
    return (fixed / 2.0**header.fraction_bits).astype(np.float32)


def _rotations(header: _Header, data: np.ndarray) -> np.ndarray:
    """(N, 4) wxyz."""
    xyzw = np.zeros((header.count, 4), np.float64)
    if header.version < 3:
        xyzw[:, :3] = data.reshape(header.count, 3) / 127.5 - 1
        largest = np.full(header.count, 3)
    else:
        packed = np.ascontiguousarray(data).view("<u4").astype(np.int64)
        largest = packed >> 30
        for axis in (3, 2, 1, 0):  # ten bits each, from the lowest on: sign and size
            stored = axis != largest
            value = np.sqrt(0.5) * (packed & 511) / 511 * np.where(packed & 512, -1, 1)
            xyzw[stored, axis] = value[stored]
            packed = np.where(stored, packed >> 10, packed)
    xyzw[np.arange(header.count), largest] = np.sqrt(np.maximum(0, 1 - (xyzw**2).sum(axis=1)))
    return xyzw[:, (3, 0, 1, 2)].astype(np.float32)
