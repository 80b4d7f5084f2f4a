"""How a first frame is fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch

from trackersplat.captures.camera import Camera
from trackersplat.errors import InputError
from trackersplat.training.first_frame.capacity import most_gaussians
from trackersplat.training.first_frame.densify.registry import DENSIFICATIONS
from trackersplat.training.first_frame.densify.settings import DensifySettings
from trackersplat.training.first_frame.floaters import FloaterSettings
from trackersplat.training.first_frame.initialise import InitialiseSettings
from trackersplat.training.first_frame.regularise import Regularisation
from trackersplat.training.losses import LossSettings
from trackersplat.training.optimiser import LearningRates
from trackersplat.training.photometric import PhotometricSettings
from trackersplat.training.points.settings import PointSettings
from trackersplat.training.points.views import far_apart, views_of_a_place


@dataclass(frozen=True)
class TrialSettings:
    """How candidates for the first points are compared (`trial.try_candidates`)."""

    steps: int = 120  # of each short fit
    side: int = 128  # pixels, longer side of its images
    cameras: int = 3  # left out, one in each fit, before a candidate may drop out; fewer if there are at most 4 training cameras
    most: int = 8  # left out while candidates are not told apart
    sure: float = 2.0  # standard errors of the mean difference to the best one, by which a candidate must be worse to drop out
    structure: float = 10.0  # dB of PSNR that 1 of SSIM counts for
    tie: float = 0.1  # dB below the best within which the first candidate in the list is chosen


@dataclass(frozen=True)
class FirstFrameSettings:
    """The number of steps is fixed, so that the result does not depend on the machine's load."""

    steps: int = 1000
    sh_degree: int = 1  # few views say little about how colour changes with direction
    sh_raise: float = 0.0  # part of the steps after which the colours get one band more, from degree 0 on; 0: all from the start
    points: PointSettings = field(default_factory=PointSettings)
    initialise: InitialiseSettings = field(default_factory=InitialiseSettings)
    densify: DensifySettings = field(default_factory=DensifySettings)
    # Means that go half as far stay nearer to the surface that the first points lie on, and the picture is as good.
    rates: LearningRates = field(default_factory=lambda: LearningRates(means=8e-4, means_end=2e-5))
    loss: LossSettings = field(default_factory=LossSettings)
    photometric: PhotometricSettings = field(default_factory=PhotometricSettings)
    regularisation: Regularisation = field(default_factory=Regularisation)
    floaters: FloaterSettings = field(default_factory=FloaterSettings)
    trial: TrialSettings = field(default_factory=TrialSettings)
    drop: float = 0.0  # part of the Gaussians that the last step leaves out at random (`drop.RandomDrop`); the first one leaves out none
    far_apart_drop: float = 0.2  # drop, at least, where cameras are far apart and not many see a place
    few_views_opacity: float = 0.03  # Regularisation.opacity, at least, where few views see a place, from far apart
    pixels_per_gaussian: float = 16.0  # of all training views together, at least
    average: float = 0.0  # the result is the mean over this last part of the steps, after the last densification; 0: the last state
    prune: float = 1e-4  # part of the blending weight that may go with the least weighty Gaussians at the end: with those that none shows
    cull_sh: float = 0.02  # at the end, colours that vary by less (of [0, 1]) over the training views lose their bands above 0; 0: none
    report_every: int = 10  # steps between two events
    measure_every: int = 0  # steps between two measurements on the held-out cameras; 0 never
    validate: str | None = None  # a training camera that is left out of the fit and decides when to stop
    patience: int = 3  # measurements on it without a new best one, after which the fit stops
    validate_every: int = 50  # steps between two of them
    seed: int = 0

    @staticmethod
    def for_device(device: str) -> FirstFrameSettings:
        """Defaults for a "cpu" (about half a minute for a dozen views of 320x240) or a "cuda" device.

        They differ in how many Gaussians the device can carry; many need a random background and the average against fog. More steps,
        or more Gaussians than ``pixels_per_gaussian`` allows, fit the training views much better and the held-out ones hardly or not.
        """
        if torch.device(device).type == "cpu":
            return FirstFrameSettings()
        return FirstFrameSettings(
            points=PointSettings(count=300_000, max_side=640, planes_too=True),
            densify=DensifySettings(cap=400_000),
            regularisation=Regularisation(random_background=True),
            average=0.3,
        )

    def for_pixels(self, pixels: int) -> FirstFrameSettings:
        """With as many first points and Gaussians as this number of training pixels supports."""
        return self._capped(int(pixels / self.pixels_per_gaussian))

    def for_views(self, cameras: Sequence[Camera]) -> FirstFrameSettings:
        """Where they are far apart, and not many of them see a place: with Gaussians left out at random. Where few of them do: also with
        colours that do not depend on the direction, and a price for opacity.

        Each is worth a few tenths of a dB there. Where cameras are close, or many see a place, leaving out costs as much; the price then
        costs Gaussians and quality.
        """
        apart = self.points.far_apart
        if not far_apart(cameras, apart):
            return self
        views = views_of_a_place(cameras, apart)
        if views >= apart.many:
            return self
        dropping = replace(self, drop=max(self.drop, self.far_apart_drop))
        if views >= apart.few:
            return dropping
        weights = replace(self.regularisation, opacity=max(self.regularisation.opacity, self.few_views_opacity))
        return replace(dropping, sh_degree=0, regularisation=weights)

    def for_memory(self, free: int, image_pixels: int, training_pixels: int) -> FirstFrameSettings:
        """With no more than fit into ``free`` bytes beside the images (`capacity.most_gaussians`).

        Raises InputError if nothing does.
        """
        most = most_gaussians(free, self.sh_degree, image_pixels, training_pixels)
        if most < 1:
            raise InputError(
                f"The device has {free / 2**30:.1f} GiB free, too little for images of {image_pixels:,} pixels; close other programs, "
                "scale the capture down (capture.json, scale) or use the CPU."
            )
        return self._capped(most)

    def with_strategy(self, name: str) -> FirstFrameSettings:
        """With another way to densify, and what its authors use with it. Raises InputError if there is none of that name."""
        facts = DENSIFICATIONS.facts(name)
        densify, weights = replace(self.densify, strategy=name), self.regularisation
        if facts.min_opacity is not None:
            densify = replace(densify, min_opacity=facts.min_opacity)
        if facts.opacity_weight is not None:
            weights = replace(weights, opacity=facts.opacity_weight)
        if facts.scale_weight is not None:
            weights = replace(weights, scale=facts.scale_weight)
        return replace(self, densify=densify, regularisation=weights)

    def averages(self, step: int) -> bool:
        """Whether the state after this step is one of those whose mean is the result: none before the last densification."""
        return step > max(1.0 - self.average, self.densify.until) * self.steps and self.average > 0

    def degree(self, step: int) -> int:
        """Of the spherical harmonics that a step uses, counted from 0."""
        return self.sh_degree if self.sh_raise <= 0 else min(int(step / (self.sh_raise * self.steps)), self.sh_degree)

    def _capped(self, most: int) -> FirstFrameSettings:
        cap = max(min(self.densify.cap, most), 1)
        count = min(self.points.count, max(2 * cap // 3, 1))
        return replace(self, points=replace(self.points, count=count, seed=self.seed), densify=replace(self.densify, cap=cap))
