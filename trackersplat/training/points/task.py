"""What every strategy for first points is called with, and what it returns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from trackersplat.captures.capture import Capture, PointCloud
from trackersplat.events import Event
from trackersplat.training.points.fusion import Surface, no_surface
from trackersplat.training.points.settings import PointSettings
from trackersplat.training.points.working_views import WorkingViews


@dataclass(frozen=True, eq=False)
class Matched:
    """A surface found by matching views, with all its points; `thin.thinned` takes as many of them as are wanted."""

    surface: Surface = field(default_factory=no_surface)  # its views are those of the task
    chance: float = 0.0  # share of the matches that are expected to agree by chance (`fusion.chance`); 0 where it is not estimated


@dataclass(frozen=True, eq=False)
class PointTask:
    """Find points of one frame. Only ``cameras`` are looked at."""

    capture: Capture
    cameras: tuple[int, ...]  # indices, two or more for whatever matches views
    frame: int
    settings: PointSettings
    device: torch.device  # planes are swept on it
    views: WorkingViews
    matched: Matched = field(default_factory=Matched)  # what strategies before this one have matched

    @staticmethod
    def of(capture: Capture, cameras: Sequence[int], frame: int, settings: PointSettings, device: torch.device | str = "cpu") -> PointTask:
        """With views of its own, and nothing matched before."""
        return PointTask(
            capture=capture,
            cameras=tuple(cameras),
            frame=frame,
            settings=settings,
            device=torch.device(device),
            views=WorkingViews(capture, cameras, frame, settings),
        )


@dataclass(frozen=True, eq=False)
class Candidate:
    """Points that a first frame could start from."""

    name: str  # in words
    points: PointCloud
    view: np.ndarray  # (N,) int, index into the task's cameras of the one whose image proposed the point; -1: none alone


@dataclass(frozen=True, eq=False)
class PointsFound(Event):
    """The last event of a strategy: its result."""

    frame: int
    points: PointCloud  # that are kept as they are
    matched: Matched = field(default_factory=Matched)  # the surface found, or what this strategy keeps of the task's
    candidates: tuple[Candidate, ...] = ()  # among which the points are the first choice, where there is a choice


PointStrategy = Callable[[PointTask], Iterator[Event]]  # yields events.Stage, last PointsFound
