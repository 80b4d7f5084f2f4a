"""Two runs side by side, as numbers: per metric, per frame, per camera. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from trackersplat.events import FrameDone
from trackersplat.metrics.registry import METRICS


@dataclass(frozen=True)
class MetricDelta:
    """Means of one metric over the frames that both runs have measured."""

    metric: str
    title: str
    shown: float
    other: float
    digits: int
    higher_is_better: bool
    better: int  # frames where the run shown is better
    frames: int

    @property
    def gain(self) -> float:
        """By how much the run shown is better; negative if it is worse."""
        return self.shown - self.other if self.higher_is_better else self.other - self.shown


def metric_deltas(shown: Mapping[int, FrameDone], other: Mapping[int, FrameDone]) -> tuple[MetricDelta, ...]:
    """Of every metric that both runs have, in the order of the metrics."""
    found = []
    for facts in METRICS:
        pairs = [
            pair for frame in sorted(shown.keys() & other.keys()) if (pair := _pair(shown[frame], other[frame], facts.name)) is not None
        ]
        if not pairs:
            continue
        better = sum((a > b) if facts.higher_is_better else (a < b) for a, b in pairs)
        title = f"{facts.label} ({facts.unit})" if facts.unit else facts.label
        mine, theirs = (sum(pair[side] for pair in pairs) / len(pairs) for side in (0, 1))
        found.append(MetricDelta(facts.name, title, mine, theirs, facts.digits, facts.higher_is_better, better, len(pairs)))
    return tuple(found)


def frame_deltas(shown: Mapping[int, FrameDone], other: Mapping[int, FrameDone], metric: str = "psnr") -> dict[int, float]:
    """Frame -> value of the run shown minus that of the other."""
    pairs = ((frame, _pair(shown[frame], other[frame], metric)) for frame in sorted(shown.keys() & other.keys()))
    return {frame: pair[0] - pair[1] for frame, pair in pairs if pair is not None}


def camera_deltas(
    shown: Mapping[str, Mapping[int, float]], other: Mapping[str, Mapping[int, float]]
) -> dict[str, tuple[float, float, int]]:
    """Camera -> means of both runs over the frames that both have, and how many those are."""
    found = {}
    for camera in sorted(shown.keys() & other.keys()):
        frames = sorted(shown[camera].keys() & other[camera].keys())
        if frames:
            means = [sum(run[camera][frame] for frame in frames) / len(frames) for run in (shown, other)]
            found[camera] = (means[0], means[1], len(frames))
    return found


def _pair(shown: FrameDone, other: FrameDone, metric: str) -> tuple[float, float] | None:
    values = (shown.scores.get(metric, math.nan), other.scores.get(metric, math.nan))
    return values if all(map(math.isfinite, values)) else None
