"""The first frame of a batch: Gaussians from the images of one instant alone."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import torch

from trackersplat.captures.capture import Capture
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.metrics.image import psnr
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.training.densify import DensifySettings, densify
from trackersplat.training.initialise import gaussians_from_points
from trackersplat.training.optimiser import LearningRates, Optimiser, TrainingViews, optimise, scene_extent
from trackersplat.training.photometric import AffineFit, PhotometricSettings
from trackersplat.training.points.dense import PointSettings, sweep_points
from trackersplat.training.progress import Progress


@dataclass(frozen=True)
class FirstFrameSettings:
    """How a first frame is fitted. The number of steps is fixed, so that the result does not depend on the machine's load."""

    steps: int = 1000
    sh_degree: int = 1  # few views say little about how colour changes with direction
    points: PointSettings = field(default_factory=PointSettings)
    densify: DensifySettings = field(default_factory=DensifySettings)
    rates: LearningRates = field(default_factory=LearningRates)
    photometric: PhotometricSettings = field(default_factory=PhotometricSettings)
    pixels_per_gaussian: float = 16.0  # of all training views together, at least
    report_every: int = 10  # steps between two records
    measure_every: int = 0  # steps between two measurements on the held-out cameras; 0 never
    seed: int = 0

    @staticmethod
    def for_device(device: str) -> FirstFrameSettings:
        """Defaults for a "cpu" (about half a minute for a dozen views of 320x240) or a "cuda" device.

        They differ in how many Gaussians the device can carry. More steps, or more Gaussians than ``pixels_per_gaussian``
        allows, fit the training views better and the held-out ones worse.
        """
        if torch.device(device).type == "cpu":
            return FirstFrameSettings()
        return FirstFrameSettings(points=PointSettings(count=300_000, max_side=640), densify=DensifySettings(cap=400_000))

    def for_pixels(self, pixels: int) -> FirstFrameSettings:
        """With as many first points and Gaussians as this number of training pixels supports."""
        cap = max(min(self.densify.cap, int(pixels / self.pixels_per_gaussian)), 1)
        count = min(self.points.count, max(2 * cap // 3, 1))
        return replace(self, points=replace(self.points, count=count, seed=self.seed), densify=replace(self.densify, cap=cap))


def fit_first_frame(capture: Capture, frame: int, rasterizer: Rasterizer, settings: FirstFrameSettings) -> Iterator[Progress]:
    """Finds first points, makes Gaussians of them and optimises these against the training images of ``frame``.

    The last record has ``step == steps`` and carries the result. Held-out cameras are looked at only to measure, where
    ``measure_every`` asks for it; that changes nothing in the result. Same seed, same machine: same result.

    Raises InputError if no first points can be found.
    """
    cameras = capture.training_cameras
    device = rasterizer.device
    settings = settings.for_pixels(sum(capture.cameras[i].width * capture.cameras[i].height for i in cameras))
    finding = sweep_points(capture, cameras, frame, settings.points)
    while True:
        try:
            detail = next(finding)
        except StopIteration as result:
            points = result.value
            break
        yield Progress(0, settings.steps, math.nan, _nothing(settings.sh_degree), stage="points", detail=detail)
    gaussians = gaussians_from_points(points, settings.sh_degree, device)
    views = TrainingViews(capture, frame, device, settings.seed)
    optimiser = Optimiser(gaussians, settings.rates, scene_extent(views.cameras), settings.steps)
    d = settings.densify
    generator = torch.Generator().manual_seed(settings.seed)
    yield Progress(0, settings.steps, math.nan, gaussians, stage="optimise", detail=f"{len(gaussians):,} Gaussians")
    colours = AffineFit(views, settings.photometric, settings.steps) if settings.photometric.mode != "off" and len(views) > 1 else None

    def correct(view: int, color: torch.Tensor) -> torch.Tensor:
        return color if colours is None else colours.apply(view, color)

    losses: list[torch.Tensor] = []
    for step, loss in enumerate(optimise(optimiser, views, rasterizer, settings.steps, correct=correct), start=1):
        losses.append(loss)
        if colours is not None:
            colours.step()
            if settings.photometric.mode == "auto" and step == math.ceil(settings.photometric.trial * settings.steps):
                difference = colours.disagreement()
                kept = difference >= settings.photometric.threshold
                detail = f"cameras differ by {difference:.1f} grey levels, {'corrected' if kept else 'left as they are'}"
                yield Progress(step, settings.steps, math.nan, optimiser.snapshot(), stage="optimise", detail=detail)
                colours = colours if kept else None
        if step % d.every == 0 and step <= d.until * settings.steps:
            densify(optimiser, views, rasterizer, d, int(d.until * settings.steps - step) // d.every + 1, generator, correct)
        measure = settings.measure_every and (step % settings.measure_every == 0 or step == settings.steps)
        if step % settings.report_every == 0 or step == settings.steps or measure:
            state = optimiser.snapshot()
            affines = colours.affines() if colours is not None else None
            score = held_out_psnr(capture, frame, rasterizer, state) if measure else None
            yield Progress(step, settings.steps, float(torch.stack(losses).mean()), state, score, colours=affines)
            losses = []


@torch.no_grad()
def held_out_psnr(capture: Capture, frame: int, rasterizer: Rasterizer, gaussians: Gaussians) -> float | None:
    """Mean PSNR over the held-out cameras in dB; None if there are none."""
    scores = []
    for index in capture.held_out_cameras:
        image = rasterizer.render(gaussians, [capture.cameras[index]]).color[0]
        scores.append(psnr(image, capture.image(index, frame)))
    return sum(scores) / len(scores) if scores else None


def _nothing(sh_degree: int) -> Gaussians:
    return Gaussians(
        torch.zeros((0, 3)), torch.zeros((0, 4)), torch.zeros((0, 3)), torch.zeros(0), torch.zeros((0, (sh_degree + 1) ** 2, 3))
    )
