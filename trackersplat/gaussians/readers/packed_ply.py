"""Compressed PLY, as SuperSplat and splat-transform write it (PlayCanvas).

256 Gaussians share one row of the element ``chunk``, with the ranges of their positions, scales and, in newer files, colours. A row of
``vertex`` has four packed 32-bit numbers; the element ``sh`` has 8 bits per higher coefficient, channel after channel.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from trackersplat.errors import InputError
from trackersplat.gaussians.gaussians import SH_C0, Gaussians
from trackersplat.gaussians.ply import REST_COUNTS
from trackersplat.gaussians.readers.eight_bits import opacity_logits
from trackersplat.ply_files import PlyHeader, read_tables

CHUNK = 256  # Gaussians that share a range
SH_RANGE = 8.0  # of the coefficients, around 0
_PACKED = ("packed_position", "packed_rotation", "packed_scale", "packed_color")


def unpacked(path: Path, header: PlyHeader) -> Gaussians:
    """Raises InputError if the elements do not fit together."""
    kinds = {element.name: {entry.name: entry.kind for entry in element.scalars} for element in header.elements}
    ranges = [f"{end}_{name}" for name in ("x", "y", "z", "scale_x", "scale_y", "scale_z") for end in ("min", "max")]
    sh = header.element("sh")
    rest = 0 if sh is None else len(sh.scalars)
    fits = (
        all(kinds["chunk"].get(name) == "f4" for name in ranges)
        and all(kinds.get("vertex", {}).get(name) == "u4" for name in _PACKED)
        and rest in REST_COUNTS
        and all(kinds["sh"].get(f"f_rest_{i}") == "u1" for i in range(rest))
    )
    if not fits:
        raise InputError(f"{path} looks like a compressed PLY of Gaussians, but lacks properties of one: write it again as a plain PLY.")
    tables = read_tables(path, header, ("chunk", "vertex", "sh"))
    chunks, vertices = tables["chunk"], tables["vertex"]
    count = len(vertices)
    if len(chunks) != -(-count // CHUNK) or (sh is not None and sh.count != count):
        raise InputError(f"{path} is a damaged compressed PLY ({len(chunks)} chunks for {count} Gaussians): write it again.")
    row = np.arange(count) // CHUNK

    def between(values: np.ndarray, name: str) -> np.ndarray:
        low, high = chunks[f"min_{name}"].astype(np.float64)[row], chunks[f"max_{name}"].astype(np.float64)[row]
        return low * (1 - values) + high * values

    def three(packed: np.ndarray, prefix: str) -> np.ndarray:
        parts = (_unit(packed >> 21, 11), _unit(packed >> 11, 10), _unit(packed, 11))
        return np.stack([between(part, f"{prefix}{axis}") for part, axis in zip(parts, "xyz", strict=True)], axis=1)

    colour, alpha = [_unit(vertices["packed_color"] >> shift, 8) for shift in (24, 16, 8)], vertices["packed_color"] & 255
    if "min_r" in kinds["chunk"]:
        colour = [between(part, name) for part, name in zip(colour, "rgb", strict=True)]
    coefficients = np.empty((count, 1 + rest // 3, 3), np.float32)
    coefficients[:, 0] = (np.stack(colour, axis=1) - 0.5) / SH_C0
    if rest:
        codes = np.stack([tables["sh"][f"f_rest_{i}"] for i in range(rest)], axis=1).astype(np.float32)
        values = np.where(codes == 0, 0.0, np.where(codes == 255, 1.0, (codes + 0.5) / 256))
        coefficients[:, 1:] = ((values - 0.5) * SH_RANGE).reshape(count, 3, rest // 3).transpose(0, 2, 1)
    return Gaussians(
        means=_tensor(three(vertices["packed_position"], "")),
        quats=_tensor(_rotations(vertices["packed_rotation"])),
        log_scales=_tensor(three(vertices["packed_scale"], "scale_")),
        opacity_logits=_tensor(opacity_logits(alpha)),
        sh=_tensor(coefficients),
    )


def _tensor(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, np.float32))


def _unit(packed: np.ndarray, bits: int) -> np.ndarray:
    """The lowest bits as numbers in [0, 1]."""
    largest = (1 << bits) - 1
    return (packed & largest) / largest


def _rotations(packed: np.ndarray) -> np.ndarray:
    """(N, 4) wxyz: two bits name the largest component, which follows from the other three."""
    small = np.stack([_unit(packed >> shift, 10) for shift in (20, 10, 0)], axis=1) - 0.5
    small *= np.sqrt(2)
    largest = np.sqrt(np.maximum(0, 1 - (small**2).sum(axis=1)))
    which = (packed >> 30).astype(np.int64)
    quats = np.empty((len(packed), 4))
    rows = np.arange(len(packed))
    others = np.array([[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]])[which]
    quats[rows, which] = largest
    quats[rows[:, None], others] = small
    return quats
