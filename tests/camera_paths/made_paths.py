"""Small camera paths for tests."""

from __future__ import annotations

import math

import numpy as np
from scipy.spatial.transform import Rotation

from trackersplat.camera_paths.path import Key

FOV = math.radians(50)


def key(place: tuple[float, float, float], turn: Rotation | None = None, at: float = 0.0, frame: float | None = None) -> Key:
    x, y, z, w = (Rotation.identity() if turn is None else turn).as_quat()
    return Key(at, place, (float(w), float(x), float(y), float(z)), FOV, frame)


def wandering(count: int, seed: int = 0) -> list[Key]:
    """Keys at random places with random orientations, at most 60 degrees from one to the next."""
    random = np.random.default_rng(seed)
    turn, keys = Rotation.identity(), []
    for _ in range(count):
        x, y, z = (float(value) for value in random.normal(size=3))
        keys.append(key((x, y, z), turn))
        axis = random.normal(size=3)
        turn = turn * Rotation.from_rotvec(axis / np.linalg.norm(axis) * random.uniform(0.2, math.radians(60)))
    return keys
