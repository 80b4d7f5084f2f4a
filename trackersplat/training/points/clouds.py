"""Clouds of points without any, and joined."""

from __future__ import annotations

import numpy as np

from trackersplat.captures.capture import PointCloud


def no_points() -> PointCloud:
    """None at all."""
    return PointCloud(np.zeros((0, 3), dtype=np.float32), np.zeros((0, 3), dtype=np.uint8))


def joined(*clouds: PointCloud) -> PointCloud:
    """All points, in order."""
    return PointCloud(np.concatenate([cloud.xyz for cloud in clouds]), np.concatenate([cloud.rgb for cloud in clouds]))
