"""The order in which to pass cameras: a short way through all of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.geometry.projection import centers

STARTS = 24  # places from which a way is begun, at most
ROUNDS = 40  # passes of improvements, at most


def nearest_order(cameras: Sequence[Camera], loop: bool) -> tuple[int, ...]:
    """Indices of all cameras along a short way, or round trip: nearest neighbour from several starts, improved by 2-opt (Croes 1958).

    The distance of two cameras is that of their centres; a turn by a radian counts as much as the median distance to the nearest camera.
    A way begins with the lower index of its two ends, a round trip with camera 0 and the lower of its two neighbours.
    """
    count = len(cameras)
    if count < 3:
        return tuple(range(count))
    distances = _distances(cameras)
    starts = np.unique(np.linspace(0, count - 1, min(STARTS, count)).round().astype(int))
    ways = [_improved(_nearest_neighbours(distances, int(start)), distances, loop) for start in starts]
    best = min(ways, key=lambda way: (round(_length(way, distances, loop), 9), way))
    if loop:
        place = best.index(0)
        best = best[place:] + best[:place]
        return tuple(best if best[1] < best[-1] else [best[0], *reversed(best[1:])])
    return tuple(best if best[0] < best[-1] else best[::-1])


def _distances(cameras: Sequence[Camera]) -> np.ndarray:
    places, ahead = centers(cameras), np.stack([camera.rotation[2] for camera in cameras])
    apart = np.linalg.norm(places[:, None] - places[None], axis=2)
    spacing = float(np.median(np.where(np.eye(len(cameras)) > 0, np.inf, apart).min(axis=1)))
    return apart + spacing * np.arccos(np.clip(ahead @ ahead.T, -1, 1))


def _nearest_neighbours(distances: np.ndarray, start: int) -> list[int]:
    way, left = [start], set(range(len(distances))) - {start}
    while left:
        way.append(min(left, key=lambda index: (distances[way[-1], index], index)))
        left.remove(way[-1])
    return way


def _improved(way: list[int], distances: np.ndarray, loop: bool) -> list[int]:
    """Reverses pieces of the way as long as that makes it shorter."""
    count = len(way)
    for _ in range(ROUNDS):
        better = False
        for i in range(count - 1):
            for j in range(i + 1, count):
                before = way[i - 1] if i else way[-1] if loop else None
                after = way[j + 1] if j + 1 < count else way[0] if loop else None
                if loop and i == 0 and j == count - 1:
                    continue  # the whole round trip
                gain = 0.0
                if before is not None:
                    gain += distances[before, way[i]] - distances[before, way[j]]
                if after is not None:
                    gain += distances[way[j], after] - distances[way[i], after]
                if gain > 1e-9:
                    way[i : j + 1] = way[i : j + 1][::-1]
                    better = True
        if not better:
            break
    return way


def _length(way: list[int], distances: np.ndarray, loop: bool) -> float:
    return float(sum(distances[a, b] for a, b in zip(way, [*way[1:], *way[:1]] if loop else way[1:], strict=False)))
