"""Coloured points in a PLY file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from trackersplat.captures.capture import PointCloud
from trackersplat.errors import InputError
from trackersplat.ply_files import read_header, read_tables, write_table

MAX_PLY_BYTES = 2**30
GREY = 128  # of points without colours


def write_points(path: Path, points: PointCloud) -> None:
    colours = ("red", "green", "blue")
    vertices = np.empty(len(points.xyz), [(axis, "<f4") for axis in "xyz"] + [(colour, "u1") for colour in colours])
    for column, (axis, colour) in enumerate(zip("xyz", colours, strict=True)):
        vertices[axis], vertices[colour] = points.xyz[:, column], points.rgb[:, column]
    write_table(path, vertices)


def read_points(path: Path) -> PointCloud:
    """The vertices of any point or mesh PLY, of value ``GREY`` where it has no colours.

    Raises InputError if the file is no PLY, is cut off, too large, or has coordinates that are not finite.
    """
    header = read_header(path, MAX_PLY_BYTES)
    vertices = header.element("vertex")
    if vertices is None or vertices.count == 0:
        raise InputError(f"{path} holds no points: remove it or write it again.")
    kinds = {entry.name: entry.kind for entry in vertices.scalars}
    if not set("xyz") <= set(kinds):
        raise InputError(f"{path} has vertices with {', '.join(kinds) or 'nothing'}, expected x, y and z of each: write it again.")
    table = read_tables(path, header, ("vertex",))["vertex"]
    with np.errstate(over="ignore"):  # too large a number becomes infinite
        xyz = np.stack([table[axis].astype(np.float64) for axis in "xyz"], axis=1)
        single = xyz.astype(np.float32)
    if not np.isfinite(single).all():
        raise InputError(f"{path} has points whose coordinates are not finite numbers: write it again without them.")
    names = ("red", "green", "blue")
    if not set(names) <= set(kinds):
        return PointCloud(xyz, np.full(xyz.shape, GREY, dtype=np.uint8))
    return PointCloud(xyz, np.stack([_eight_bits(path, table[name], kinds[name]) for name in names], axis=1))


def _eight_bits(path: Path, values: np.ndarray, kind: str) -> np.ndarray:
    """Colours of 8 or 16 bits, or numbers from 0 to 1. Raises InputError for others."""
    if kind == "u1":
        return values.astype(np.uint8)
    unit = values.astype(np.float64) / {"u2": 65535, "f4": 1, "f8": 1}.get(kind, 255)
    if kind[0] == "f" and np.isfinite(unit).all() and unit.max() > 1:
        unit = unit / 255  # numbers from 0 to 255
    if not ((unit >= 0) & (unit <= 1)).all():
        raise InputError(f"{path} has colours out of range: write it again with 8 bits per channel.")
    return np.rint(unit * 255).astype(np.uint8)
