"""The depth map of every view from its neighbours, by several threads or on a GPU."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from itertools import groupby

import numpy as np
import torch

from trackersplat.training.points.settings import NeighbourSettings, SweepSettings
from trackersplat.training.points.sweep import DepthMap, View
from trackersplat.training.points.sweep_torch import Sweep, depth_maps
from trackersplat.training.points.threads import MOST, as_ready
from trackersplat.training.points.views import neighbours

FindDepth = Callable[[View, list[View], float, float], DepthMap]  # (reference, others, near, far)


def helpers(views: Sequence[View], ranges: Sequence[tuple[float, float]], settings: NeighbourSettings) -> list[list[View]]:
    """Per view those that it is compared with."""
    cameras = [view.camera for view in views]
    return [[views[i] for i in neighbours(cameras, reference, *ranges[reference], settings)] for reference in range(len(views))]


def on_threads(
    views: Sequence[View], others: Sequence[list[View]], ranges: Sequence[tuple[float, float]], find: FindDepth, most: int = MOST
) -> Generator[DepthMap, None, None]:
    """Depth maps in the order of the views, as ``find`` finds them; without depths where a view has no others. At most so many threads."""

    def one(i: int) -> DepthMap:
        return find(views[i], others[i], *ranges[i]) if others[i] else _unknown(views[i])

    return as_ready(one, range(len(views)), most)


def swept_on_device(
    views: Sequence[View],
    others: Sequence[list[View]],
    ranges: Sequence[tuple[float, float]],
    device: torch.device,
    settings: SweepSettings,
) -> Generator[DepthMap, None, None]:
    """Depth maps in the order of the views by planes swept on the device; without depths where a view has no others."""
    for _, run in groupby(range(len(views)), lambda i: (views[i].gray.shape, bool(others[i]))):
        alike = list(run)
        if others[alike[0]]:
            yield from depth_maps([Sweep(views[i], others[i], *ranges[i]) for i in alike], device, settings)
        else:
            yield from (_unknown(views[i]) for i in alike)


def _unknown(view: View) -> DepthMap:
    return DepthMap(np.zeros_like(view.gray), np.zeros_like(view.gray))
