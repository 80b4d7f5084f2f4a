"""What an optimisation says while it works."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.training.photometric import ColourAffines


@dataclass(frozen=True)
class Progress:
    """The state after some steps. The last one of an optimisation has ``step == steps`` and carries the result."""

    step: int  # done
    steps: int  # of so many
    loss: float  # mean since the last report; nan before the first step
    gaussians: Gaussians  # detached; not changed afterwards; empty while the first points are looked for
    psnr: float | None = None  # mean over the held-out cameras in dB, where it was measured at this step
    stage: str = ""  # set when a stage begins ("points", "optimise"); such a record reports no step
    detail: str = ""  # of the stage, for people
    colours: ColourAffines | None = None  # by which the training cameras' colours differ, where they do
    born: Tensor | None = None  # (B,) int64 places of Gaussians that have been exchanged for new ones, where that was looked for
