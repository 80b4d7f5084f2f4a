"""The ``.splat`` of antimatter15: 32 bytes per Gaussian, without a header and without higher spherical harmonics.

Position and standard deviations as three float32 each, then red, green, blue, alpha and a quaternion (w, x, y, z) in 8 bits each.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from trackersplat.errors import InputError
from trackersplat.gaussians.gaussians import SH_C0, Gaussians
from trackersplat.gaussians.readers.eight_bits import opacity_logits

ROW = np.dtype([("means", "<f4", 3), ("scales", "<f4", 3), ("colour", "u1", 4), ("rotation", "u1", 4)])


def read_splat(path: Path, max_bytes: int) -> Gaussians:
    """See `readers.reader.Reader`."""
    try:
        size = path.stat().st_size
        if size == 0 or size % ROW.itemsize or size > max_bytes:
            raise InputError(f"{path} has {size:,} bytes, expected a multiple of {ROW.itemsize}: copy or write it again.")
        rows = np.fromfile(path, ROW)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): check the file and its permissions.") from error
    quats = rows["rotation"].astype(np.float32) / 127.5 - 1
    return Gaussians(
        means=torch.from_numpy(rows["means"].astype(np.float32)),
        quats=torch.from_numpy(quats / np.linalg.norm(quats, axis=1, keepdims=True)),  # never 0: 127.5 is no integer
        log_scales=torch.from_numpy(np.log(rows["scales"])),
        opacity_logits=torch.from_numpy(opacity_logits(rows["colour"][:, 3]).astype(np.float32)),
        sh=torch.from_numpy(((rows["colour"][:, None, :3] / 255 - 0.5) / SH_C0).astype(np.float32)),
    )
