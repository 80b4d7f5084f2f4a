"""The PLY of 3D Gaussian splatting (Kerbl et al. 2023), which every splat tool opens.

One float32 vertex per Gaussian: x, y, z, nx, ny, nz (zeros), f_dc_0..2, f_rest_* (channel-major: all of red, then green, then
blue; 0, 9, 24 or 45 for degree 0 to 3), opacity (logit), scale_0..2 (log), rot_0..3 (wxyz). 62 numbers at degree 3.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.geometry.devices import downloaded
from trackersplat.ply_files import write_table

REST_COUNTS = (0, 9, 24, 45)  # of f_rest_*, by degree

POSITION = ("x", "y", "z")
NORMAL = ("nx", "ny", "nz")
DC = ("f_dc_0", "f_dc_1", "f_dc_2")
SCALE = ("scale_0", "scale_1", "scale_2")
ROTATION = ("rot_0", "rot_1", "rot_2", "rot_3")
REQUIRED = (*POSITION, *DC, "opacity", *SCALE, *ROTATION)


def write_ply(path: Path, gaussians: Gaussians) -> None:
    """Writes binary little-endian; `readers.reader.read_gaussians` gives back the same bits. The file appears complete or not at all.

    Raises InputError if it cannot be written.
    """
    path = Path(path)
    tensors = {name: tensor.numpy() for name, tensor in downloaded(gaussians.tensors()).items()}
    count, coefficients, _ = tensors["sh"].shape
    names = property_names(coefficients)
    rest = tensors["sh"][:, 1:].transpose(0, 2, 1).reshape(count, 3 * (coefficients - 1))
    parts = [
        tensors["means"],
        np.zeros((count, 3), np.float32),
        tensors["sh"][:, 0],
        rest,
        tensors["opacity_logits"][:, None],
        tensors["log_scales"],
        tensors["quats"],
    ]
    table = np.ascontiguousarray(np.concatenate(parts, axis=1), dtype="<f4")
    write_table(path, table.reshape(-1).view([(name, "<f4") for name in names]))


def property_names(coefficients: int) -> list[str]:
    """Names of the PLY's columns in order, for 1, 4, 9 or 16 SH coefficients."""
    rest = [f"f_rest_{i}" for i in range(3 * (coefficients - 1))]
    return [*POSITION, *NORMAL, *DC, *rest, "opacity", *SCALE, *ROTATION]
