"""How a moved frame is refined with Adam."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch

from trackersplat.geometry.graph import GraphSettings
from trackersplat.training.losses import LossSettings
from trackersplat.training.optimiser import LearningRates


@dataclass(frozen=True)
class StiffnessSettings:
    """Neighbours on one surface are corrected alike (`stiffness.Stiffness`)."""

    weight: float = 0.01  # 0 leaves it out
    graph: GraphSettings = field(default_factory=GraphSettings)


@dataclass(frozen=True)
class ReplaceFaintSettings:
    """How many faint Gaussians are replaced in a frame, and when the views agree that something has appeared (`replace_faint`).

    Where nothing appears, nothing is replaced: the steps before correct a part of what the motion left wrong, and what remains is hardly
    ever something that several views show in one place and in one colour.
    """

    share: float = 0.01  # of the Gaussians at most; 0: nothing is looked for
    after: float = 0.2  # part of the steps of a refinement that come before
    faint: float = 0.02  # opacity below which a Gaussian may be replaced
    error: float = 0.12  # difference of colours in [0, 1], mean of 3x3 pixels, from which on a pixel is wrong; half of it confirms another
    views: int = 4  # that must see a point
    agree: float = 0.8  # part of the others of them in which it must be wrong too
    alike: float = 0.12  # largest mean difference of the colours that they show there
    reach: float = 0.4  # how far before the surface that is rendered, as part of its depth
    depths: int = 48  # points that are tried along the ray of a pixel
    rays: int = 20_000  # at most, drawn from the wrong pixels of all views
    behind: float = 0.01  # of the depth, by which a point may lie behind what a view shows and still count as seen
    opacity: float = 0.6  # of the Gaussians that are made
    width: float = 0.8  # and their standard deviation in pixels


@dataclass(frozen=True)
class RefineSettings:
    """Of the refinement "adam"."""

    steps: int = 100
    # The motion turns Gaussians better than a few images do; their colours change more than their places.
    rates: LearningRates = field(default_factory=lambda: LearningRates(quats=6e-3, sh_dc=1e-2))
    pace: float = 1.0  # times the rates
    warm_up: int = 0  # first steps, over which the rates rise to their full size: Adam knows little of the gradients then
    momentum: float = 0.9  # decay of the first moment of Adam, over a step
    static_pace: float = 0.02  # times that for static Gaussians: their places are known, and slow ones flicker less
    loss: LossSettings = field(default_factory=LossSettings)
    average: float = 0.2  # the result is the mean over this last part of the steps: single views change it less, and it flickers less
    stiffness: StiffnessSettings = field(default_factory=StiffnessSettings)
    replace_faint: ReplaceFaintSettings = field(default_factory=ReplaceFaintSettings)
    report_every: int = 10  # steps between two events
    seed: int = 0

    def unmoved(self) -> RefineSettings:
        """For Gaussians that no motion has moved before: images alone must bring each to its place, so nothing holds it back.

        No average either: until the last step they are on their way. And none are replaced: whatever has moved seems to appear.
        Rates are full from the first step on.
        """
        return replace(
            self,
            stiffness=replace(self.stiffness, weight=0.0),
            average=0.0,
            pace=1.0,
            warm_up=0,
            momentum=RefineSettings.momentum,
            rates=replace(self.rates, quats=LearningRates.quats),
            replace_faint=replace(self.replace_faint, share=0.0),
        )

    @staticmethod
    def for_device(device: str, moved: bool = True) -> RefineSettings:
        """Defaults that suit a "cpu" or a "cuda" device, for Gaussians that a motion has ``moved`` before, or none has."""
        if torch.device(device).type == "cpu":
            return RefineSettings()
        if not moved:
            return RefineSettings(steps=200)
        # Few steps, of which little is lost: smaller ones, the first even smaller, and static Gaussians come as far as in many.
        return RefineSettings(steps=80, pace=0.6, warm_up=20, momentum=0.7, static_pace=0.12, average=0.4)
