"""Gaussians from coloured points."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import cKDTree

from trackersplat.captures.capture import PointCloud
from trackersplat.errors import InputError
from trackersplat.gaussians.gaussians import SH_C0, Gaussians

FLOAT32 = 1e-7  # of the extent of the points: what single precision tells apart
LEAST = 1e-30  # scene units: all points in one place


@dataclass(frozen=True)
class InitialiseSettings:
    """The Gaussians that stand for the first points."""

    opacity: float = 0.5
    width: float = 1.2  # standard deviation over the distance to the neighbours (root mean square)
    neighbours: int = 3
    smallest: float = 1e-3  # standard deviation over the median of all, at least
    largest: float = 8.0  # and at most: a point far from all others


def gaussians_from_points(
    points: PointCloud, sh_degree: int, settings: InitialiseSettings, device: torch.device | str = "cpu"
) -> Gaussians:
    """One round Gaussian per point, as wide as its nearest neighbours are far.

    Raises InputError if there are no more points than neighbours of each or their coordinates are not finite.
    """
    neighbours = settings.neighbours
    xyz = np.ascontiguousarray(points.xyz, dtype=np.float32)
    if len(xyz) <= neighbours or not np.isfinite(xyz).all():
        raise InputError(f"A scene cannot start from {len(xyz)} points; at least {neighbours + 1} with finite coordinates are needed.")
    distance, _ = cKDTree(xyz).query(xyz, k=neighbours + 1, workers=-1)
    size = settings.width * np.sqrt(np.mean(distance[:, 1:] ** 2, axis=1))
    spread = float(np.linalg.norm(np.ptp(xyz, axis=0)))
    median = max(float(np.median(size)), FLOAT32 * spread, LEAST)
    size = np.clip(size, settings.smallest * median, settings.largest * median)
    n, coefficients = len(xyz), (sh_degree + 1) ** 2
    sh = torch.zeros((n, coefficients, 3))
    sh[:, 0] = (torch.from_numpy(points.rgb.astype(np.float32)) / 255 - 0.5) / SH_C0
    quats = torch.zeros((n, 4))
    quats[:, 0] = 1.0
    log_scales = torch.from_numpy(np.log(size).astype(np.float32))[:, None].repeat(1, 3)
    logits = torch.full((n,), math.log(settings.opacity / (1 - settings.opacity)))
    return Gaussians(torch.from_numpy(xyz.copy()), quats, log_scales, logits, sh).to(device)
