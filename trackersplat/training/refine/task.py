"""What every refinement is called with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from trackersplat.captures.capture import Capture
from trackersplat.errors import ShapeError
from trackersplat.events import Event
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.training.photometric import ColourAffines


@dataclass(frozen=True, eq=False)
class RefineTask:
    """Correct what moving the Gaussians by tracks left wrong in one frame. Only training cameras are looked at.

    Raises ShapeError if ``is_static`` does not fit.
    """

    moved: Gaussians  # N of them
    is_static: Tensor  # (N,) bool
    capture: Capture
    frame: int
    rasterizer: Rasterizer
    colours: ColourAffines | None  # of the first frame, applied as they are
    settings: Any  # of the type that the registry names for the refinement
    base: Gaussians | None = None  # the same Gaussians before they were moved, shared by the frames of a batch

    def __post_init__(self) -> None:
        if self.is_static.shape != (len(self.moved),) or self.is_static.dtype != torch.bool:
            raise ShapeError(
                f"A refinement needs a bool mask for {len(self.moved)} Gaussians, got {tuple(self.is_static.shape)} {self.is_static.dtype}."
            )


Refinement = Callable[[RefineTask], Iterator[Event]]  # yields events.StepDone and fit.FitState, last fit.FitDone
