"""Rotation of spherical harmonics, so that highlights turn with the surface."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from trackersplat.errors import ShapeError
from trackersplat.geometry.quaternions import quaternion_to_matrix
from trackersplat.rendering.sh import MAX_DEGREE, sh_basis

# Directions on which a rotated band is read off: the size of a matrix whose result is exact. 7 would do for degree 3, more round better.
_SAMPLES = 16
_CHUNK = 65536  # Gaussians at a time, for memory


def rotate_sh(sh: Tensor, rotations: Tensor) -> Tensor:
    """Coefficients (N, K, 3) of the colour functions turned by ``rotations`` (N, 4) wxyz: ``c'(d) = c(R^-1 d)``.

    Bands do not mix, so each is evaluated in the turned-back sample directions and read off again with the pseudo-inverse
    of the band in the sample directions: exact up to rounding. Gaussians turned by exactly the identity keep their values.

    Raises ShapeError if K is not (degree + 1)^2 for a degree up to 3 or the counts differ.
    """
    bands = {1: 0, 4: 1, 9: 2, 16: 3}.get(sh.shape[1])
    if bands is None or rotations.shape != (len(sh), 4):
        raise ShapeError(f"SH (N, 1 | 4 | 9 | 16, 3) needs rotations (N, 4), got {tuple(sh.shape)} and {tuple(rotations.shape)}.")
    if bands == 0 or len(sh) == 0:
        return sh
    directions, inverses = _samples()
    directions = directions.to(sh)
    parts = []
    for first in range(0, len(sh), _CHUNK):
        coefficients, quaternions = sh[first : first + _CHUNK], rotations[first : first + _CHUNK]
        turned_back = directions @ quaternion_to_matrix(quaternions)  # (n, S, 3), R^T d as a row
        basis = sh_basis(turned_back.reshape(-1, 3), bands).reshape(*turned_back.shape[:2], -1)  # (n, S, K)
        out = [coefficients[:, :1]]
        for degree in range(1, bands + 1):
            band = slice(degree**2, (degree + 1) ** 2)
            values = basis[:, :, band] @ coefficients[:, band]  # (n, S, 3)
            out.append(inverses[degree - 1].to(sh) @ values)
        unturned = (quaternions[:, 1:] == 0).all(-1)[:, None, None]
        parts.append(torch.where(unturned, coefficients, torch.cat(out, dim=1)))
    return torch.cat(parts)


@lru_cache(maxsize=8)
def sample_tables(device: torch.device) -> tuple[Tensor, Tensor]:
    """The sample directions (S, 3) and the pseudo-inverses (16, S) of the bands one below the other, the first 0; float32."""
    directions, inverses = _samples()
    return directions.to(device, torch.float32), torch.cat((torch.zeros_like(inverses[0][:1]), *inverses)).to(device, torch.float32)


@lru_cache(maxsize=1)
def _samples() -> tuple[Tensor, tuple[Tensor, ...]]:
    """Directions (S, 3) spread over the sphere (Fibonacci lattice) and, per degree, the pseudo-inverse (2 l + 1, S)."""
    index = np.arange(_SAMPLES) + 0.5
    z = 1.0 - 2.0 * index / _SAMPLES
    azimuth = np.pi * (1.0 + np.sqrt(5.0)) * index
    radius = np.sqrt(1.0 - z * z)
    directions = torch.from_numpy(np.stack((radius * np.cos(azimuth), radius * np.sin(azimuth), z), axis=-1))
    basis = sh_basis(directions, MAX_DEGREE)
    return directions, tuple(torch.linalg.pinv(basis[:, degree**2 : (degree + 1) ** 2]) for degree in range(1, MAX_DEGREE + 1))
