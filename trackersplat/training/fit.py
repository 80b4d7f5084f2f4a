"""What an optimisation yields beside `events.Stage` and `events.StepDone`: its state on the way, and its result."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from trackersplat.events import Event
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.training.photometric import ColourAffines


@dataclass(frozen=True, eq=False)
class FitState(Event):
    """The Gaussians after some steps, for whoever shows them. Follows the `events.StepDone` of the same step."""

    frame: int
    step: int
    gaussians: Gaussians  # detached; not changed afterwards
    colours: ColourAffines | None = None  # by which the training cameras' colours differ, where they do


@dataclass(frozen=True, eq=False)
class FitDone(Event):
    """The last event of an optimisation: its result."""

    frame: int
    gaussians: Gaussians  # detached
    colours: ColourAffines | None  # by which the training cameras' colours differ, where they do
    replaced: Tensor  # (B,) int64, ascending: indices whose Gaussians made way for others; none in a first frame
