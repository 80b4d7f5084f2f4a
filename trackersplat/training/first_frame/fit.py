"""The first frame of a batch: Gaussians from the images of one instant alone."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace

import torch

from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import Capture, PointCloud
from trackersplat.errors import InputError
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.metrics.image import psnr
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.training.averaging import MovingAverage
from trackersplat.training.first_frame.capacity import free_memory, most_gaussians
from trackersplat.training.first_frame.densify import DensifySettings, Fit, StrategyName, strategy
from trackersplat.training.first_frame.initialise import gaussians_from_points
from trackersplat.training.first_frame.prune import giants, seen_by, weighty, without_faint_bands
from trackersplat.training.first_frame.regularise import Penalties, RandomBackground, Regularisation
from trackersplat.training.optimiser import LearningRates, Optimiser, TrainingViews, optimise, scene_extent
from trackersplat.training.photometric import AffineFit, PhotometricSettings
from trackersplat.training.points.dense import PointSettings, sweep_points
from trackersplat.training.points.views import far_apart
from trackersplat.training.progress import Progress

FEW_VIEWS_OPACITY = 0.03  # weight of the mean opacity where cameras are few and far apart


@dataclass(frozen=True)
class FirstFrameSettings:
    """How a first frame is fitted. The number of steps is fixed, so that the result does not depend on the machine's load."""

    steps: int = 1000
    sh_degree: int = 1  # few views say little about how colour changes with direction
    sh_raise: float = 0.0  # part of the steps after which the colours get one band more, from degree 0 on; 0: all from the start
    points: PointSettings = field(default_factory=PointSettings)
    densify: DensifySettings = field(default_factory=DensifySettings)
    # Means that go half as far stay nearer to the surface that the first points lie on, and the picture is as good.
    rates: LearningRates = field(default_factory=lambda: LearningRates(means=8e-4, means_end=2e-5))
    photometric: PhotometricSettings = field(default_factory=PhotometricSettings)
    regularisation: Regularisation = field(default_factory=Regularisation)
    pixels_per_gaussian: float = 16.0  # of all training views together, at least
    average: float = 0.0  # the result is the mean over this last part of the steps, once Gaussians are no more exchanged; 0: the last state
    prune: float = 1e-4  # part of the blending weight that may go with the least weighty Gaussians at the end: with those that none shows
    cull_sh: float = 0.02  # at the end, colours that vary by less (of [0, 1]) over the training views lose their bands above 0; 0: none
    report_every: int = 10  # steps between two records
    measure_every: int = 0  # steps between two measurements on the held-out cameras; 0 never
    validate: str | None = None  # a training camera that is left out of the fit and says when to stop
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
            points=PointSettings(count=300_000, max_side=640),
            densify=DensifySettings(cap=400_000),
            regularisation=Regularisation(random_background=True),
            average=0.3,
        )

    def for_pixels(self, pixels: int) -> FirstFrameSettings:
        """With as many first points and Gaussians as this number of training pixels supports."""
        return self._capped(int(pixels / self.pixels_per_gaussian))

    def for_views(self, cameras: Sequence[Camera]) -> FirstFrameSettings:
        """Where they are few and far apart: colours that do not depend on the direction, and a price for opacity.

        Both are worth a few tenths of a dB there, and cost as much where views are many.
        """
        if not far_apart(cameras):
            return self
        weights = replace(self.regularisation, opacity=max(self.regularisation.opacity, FEW_VIEWS_OPACITY))
        return replace(self, sh_degree=0, regularisation=weights)

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

    def with_strategy(self, name: StrategyName) -> FirstFrameSettings:
        """With another way to densify, and what its authors use with it: faint Gaussians live longer, and "mcmc" needs its penalties."""
        if name == "error":
            return replace(self, densify=replace(self.densify, strategy=name))
        settings = replace(self, densify=replace(self.densify, strategy=name, min_opacity=0.005))
        if name == "mcmc":
            settings = replace(settings, regularisation=replace(settings.regularisation, opacity=0.01, scale=1.0))
        return settings

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


def fit_first_frame(capture: Capture, frame: int, rasterizer: Rasterizer, settings: FirstFrameSettings) -> Iterator[Progress]:
    """Finds first points, makes Gaussians of them and optimises these against the training images of ``frame``.

    The last record has ``step == steps`` and carries the result. Same seed, same machine, same result, as long as the device's memory is
    not what bounds the Gaussians.

    Held-out cameras are looked at only to measure, where ``measure_every`` asks for it; that changes nothing in the result. A fit that
    stopped when they looked best would make their scores incomparable with everybody else's. To stop early, ``validate`` names a
    *training* camera: it is left out of points and fit, measured every ``validate_every`` steps, and the best state is the result once
    ``patience`` measurements in a row were no better. It costs that camera's pixels, which is more than stopping early gains where
    cameras are few; so by default the number of steps alone decides.

    Raises InputError if no first points can be found, the memory is too small, or ``validate`` is no training camera.
    """
    judge = _judge(capture, settings.validate)
    if judge is not None:
        capture = replace(capture, held_out=(*capture.held_out, capture.cameras[judge].name))
    cameras = capture.training_cameras
    device = rasterizer.device
    sizes = [capture.cameras[i].width * capture.cameras[i].height for i in cameras]
    settings = settings.for_pixels(sum(sizes)).for_views([capture.cameras[i] for i in cameras])
    if (free := free_memory(device)) is not None:
        settings = settings.for_memory(free, max(sizes), sum(sizes))
    points = yield from _points(capture, frame, settings, device)
    gaussians = gaussians_from_points(points, settings.sh_degree, device)
    yield Progress(0, settings.steps, math.nan, gaussians, stage="optimise", detail=f"{len(gaussians):,} Gaussians")
    yield from _optimised(capture, frame, rasterizer, settings, points, gaussians, judge)


def _points(capture: Capture, frame: int, settings: FirstFrameSettings, device: torch.device) -> Generator[Progress, None, PointCloud]:
    finding = sweep_points(capture, capture.training_cameras, frame, settings.points, device)
    while True:
        try:
            detail = next(finding)
        except StopIteration as result:
            points: PointCloud = result.value
            return points
        yield Progress(0, settings.steps, math.nan, _nothing(settings.sh_degree), stage="points", detail=detail)


def _optimised(
    capture: Capture,
    frame: int,
    rasterizer: Rasterizer,
    settings: FirstFrameSettings,
    points: PointCloud,
    gaussians: Gaussians,
    judge: int | None,
) -> Iterator[Progress]:
    views = TrainingViews(capture, frame, rasterizer.device, settings.seed)
    extent, steps = scene_extent(views.cameras), settings.steps
    optimiser = Optimiser(gaussians, settings.rates, extent, steps)
    fit = Fit(optimiser, views, rasterizer, extent, steps, torch.Generator().manual_seed(settings.seed))
    densify = strategy(settings.densify)
    colours = AffineFit(views, settings.photometric, steps) if settings.photometric.mode != "off" and len(views) > 1 else None
    weights = settings.regularisation
    penalties = Penalties(weights, extent, points, views.cameras, rasterizer.device) if weights.penalises else None
    background = RandomBackground(settings.seed, rasterizer.device) if weights.random_background else None
    average, best = MovingAverage(), _Best()
    losses: list[torch.Tensor] = []

    def correct(view: int, color: torch.Tensor) -> torch.Tensor:
        return color if colours is None else colours.apply(view, color)

    taking = optimise(optimiser, views, rasterizer, steps, None, correct, penalties, settings.degree, background)
    for step, loss in enumerate(taking, start=1):
        losses.append(loss)
        if colours is not None:
            colours.step()
            if settings.photometric.mode == "auto" and step == math.ceil(settings.photometric.trial * steps):
                difference = colours.disagreement()
                kept = difference >= settings.photometric.threshold
                detail = f"cameras differ by {difference:.1f} grey levels, {'corrected' if kept else 'left as they are'}"
                yield Progress(step, steps, math.nan, optimiser.snapshot(), stage="optimise", detail=detail)
                colours = colours if kept else None
        densify.after_step(fit, step, correct)
        if settings.averages(step):
            average.add(optimiser.gaussians())
        if judge is not None and (step % settings.validate_every == 0 or step == steps):
            state = average.mean() or optimiser.snapshot()
            best.add(step, _score(capture, judge, frame, rasterizer, state), state)
            if best.worse >= settings.patience or step == steps:
                detail = f"{capture.cameras[judge].name} looks best after {best.step} steps: {best.psnr:.2f} dB"
                yield Progress(step, steps, math.nan, state, stage="optimise", detail=detail)
                break
        measure = settings.measure_every > 0 and step % settings.measure_every == 0
        if step < steps and (step % settings.report_every == 0 or measure):
            state = average.mean() or optimiser.snapshot()
            score = held_out_psnr(capture, frame, rasterizer, state) if measure else None
            yield Progress(step, steps, float(torch.stack(losses).mean()), state, score, colours=colours.affines() if colours else None)
            losses = []
    state = best.gaussians or average.mean() or optimiser.snapshot()
    state = _cleared(state, views, rasterizer, settings)
    score = held_out_psnr(capture, frame, rasterizer, state) if settings.measure_every > 0 else None
    loss = torch.stack(losses).mean() if losses else torch.tensor(math.nan)
    yield Progress(steps, steps, float(loss), state, score, colours=colours.affines() if colours else None)


def _cleared(state: Gaussians, views: TrainingViews, rasterizer: Rasterizer, settings: FirstFrameSettings) -> Gaussians:
    """Without giants, without what hardly shows and, of what shows, without bands that are hardly more than noise."""
    state = state[~giants(state, views.cameras)]
    culls = settings.cull_sh > 0 and state.sh_degree > 0
    if settings.prune <= 0 and not culls:
        return state
    seen = seen_by(state, views, rasterizer)
    if settings.prune > 0:
        keep = weighty(seen.weights, settings.prune)
        state, seen = state[keep], seen[keep]
    return without_faint_bands(state, seen, settings.cull_sh) if culls else state


@dataclass
class _Best:
    """The state that the validation camera likes best so far."""

    step: int = 0
    psnr: float = -math.inf
    gaussians: Gaussians | None = None
    worse: int = 0  # measurements since

    def add(self, step: int, score: float, gaussians: Gaussians) -> None:
        if score > self.psnr:
            self.step, self.psnr, self.gaussians, self.worse = step, score, gaussians, 0
        else:
            self.worse += 1


def _judge(capture: Capture, name: str | None) -> int | None:
    """The index of the camera to validate with. Raises InputError if it is held out or too few are left without it."""
    if name is None:
        return None
    index = capture.camera_index(name)
    if index not in capture.training_cameras:
        raise InputError(f"{capture.name}: {name} is held out, so it cannot decide when to stop; name a training camera to validate with.")
    if len(capture.training_cameras) < 3:
        raise InputError(f"{capture.name} has too few training cameras to leave {name} out of the fit; validate needs 3.")
    return index


@torch.no_grad()
def held_out_psnr(capture: Capture, frame: int, rasterizer: Rasterizer, gaussians: Gaussians) -> float | None:
    """Mean PSNR over the held-out cameras in dB; None if there are none."""
    scores = [_score(capture, index, frame, rasterizer, gaussians) for index in capture.held_out_cameras]
    return sum(scores) / len(scores) if scores else None


@torch.no_grad()
def _score(capture: Capture, index: int, frame: int, rasterizer: Rasterizer, gaussians: Gaussians) -> float:
    return psnr(rasterizer.render(gaussians, [capture.cameras[index]]).color[0], capture.image(index, frame))


def _nothing(sh_degree: int) -> Gaussians:
    return Gaussians(
        torch.zeros((0, 3)), torch.zeros((0, 4)), torch.zeros((0, 3)), torch.zeros(0), torch.zeros((0, (sh_degree + 1) ** 2, 3))
    )
