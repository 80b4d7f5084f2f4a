"""Gaussians from PLY files: those of 3DGS (see `gaussians.ply`), and compressed ones."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import torch

from trackersplat.errors import InputError
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.gaussians.ply import DC, POSITION, REQUIRED, REST_COUNTS, ROTATION, SCALE
from trackersplat.gaussians.readers.packed_ply import unpacked
from trackersplat.ply_files import read_header, read_tables


def read_ply(path: Path, max_bytes: int) -> Gaussians:
    """See `readers.reader.Reader`. Text and binary of either byte order; other elements and properties are ignored.

    Two scales are those of 2DGS (Huang et al. 2024): flat Gaussians, without extent along their third axis.
    """
    header = read_header(path, max_bytes)
    if header.element("chunk") is not None:
        return unpacked(path, header)
    vertices = header.element("vertex")
    names = {entry.name for entry in vertices.scalars} if vertices is not None else set()
    missing = [name for name in REQUIRED if name not in names]
    flat = missing == [SCALE[2]]
    if missing and not flat:
        hint = " (points and meshes are not Gaussians)" if DC[0] in missing else ": export it again"
        raise InputError(f"{path} is not a PLY of Gaussians: it lacks the property {missing[0]!r}{hint}.")
    rest = sum(bool(re.fullmatch(r"f_rest_\d+", name)) for name in names)
    if rest not in REST_COUNTS or any(f"f_rest_{i}" not in names for i in range(rest)):
        raise InputError(f"{path} has {rest} f_rest properties, expected 0, 9, 24 or 45 (degree 0 to 3), numbered from 0.")
    table = read_tables(path, header, ("vertex",))["vertex"]

    def columns(wanted: tuple[str, ...]) -> np.ndarray:
        values = np.empty((len(table), len(wanted)), np.float32)
        for column, name in enumerate(wanted):
            values[:, column] = table[name]
        return values

    scales = columns(SCALE[:2] if flat else SCALE)
    if flat:
        scales = np.column_stack([scales, np.full(len(scales), -np.inf, np.float32)])
    higher = columns(tuple(f"f_rest_{i}" for i in range(rest))).reshape(len(table), 3, rest // 3).transpose(0, 2, 1)
    return Gaussians(
        means=torch.from_numpy(columns(POSITION)),
        quats=torch.from_numpy(columns(ROTATION)),
        log_scales=torch.from_numpy(scales),
        opacity_logits=torch.from_numpy(columns(("opacity",))[:, 0].copy()),
        sh=torch.from_numpy(np.concatenate([columns(DC)[:, None, :], higher], axis=1)),
    )
