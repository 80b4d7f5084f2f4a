"""Gaussians from coloured points."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.spatial import cKDTree

from trackersplat.captures.capture import PointCloud
from trackersplat.errors import InputError
from trackersplat.gaussians.gaussians import SH_C0, Gaussians

OPACITY = 0.5
WIDTH = 1.2  # standard deviation over the distance to the neighbours
NEIGHBOURS = 3
LARGEST = 8.0  # a point far from all others gets at most this many times the median size


def gaussians_from_points(points: PointCloud, sh_degree: int, device: torch.device | str = "cpu") -> Gaussians:
    """One round Gaussian per point, 1.2 times as wide as its three nearest neighbours are far (root mean square).

    Raises InputError if there are fewer than 4 points or their coordinates are not finite.
    """
    xyz = np.ascontiguousarray(points.xyz, dtype=np.float32)
    if len(xyz) <= NEIGHBOURS or not np.isfinite(xyz).all():
        raise InputError(f"A scene cannot start from {len(xyz)} points; at least {NEIGHBOURS + 1} with finite coordinates are needed.")
    distance, _ = cKDTree(xyz).query(xyz, k=NEIGHBOURS + 1, workers=-1)
    size = WIDTH * np.sqrt(np.mean(distance[:, 1:] ** 2, axis=1))
    median = float(np.median(size))
    size = np.clip(size, max(1e-3 * median, 1e-7), max(LARGEST * median, 1e-7))
    n, coefficients = len(xyz), (sh_degree + 1) ** 2
    sh = torch.zeros((n, coefficients, 3))
    sh[:, 0] = (torch.from_numpy(points.rgb.astype(np.float32)) / 255 - 0.5) / SH_C0
    quats = torch.zeros((n, 4))
    quats[:, 0] = 1.0
    log_scales = torch.from_numpy(np.log(size).astype(np.float32))[:, None].repeat(1, 3)
    logits = torch.full((n,), math.log(OPACITY / (1 - OPACITY)))
    return Gaussians(torch.from_numpy(xyz.copy()), quats, log_scales, logits, sh).to(device)
