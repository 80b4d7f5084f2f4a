"""Chooses among candidates for the first points: by short fits, each without one training camera, on which it is then scored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch

from trackersplat.captures.capture import Capture, FrameSource, PointCloud
from trackersplat.events import Event, Note, Stage
from trackersplat.metrics.image import psnr, ssim
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.training.first_frame.optimise import optimise_points
from trackersplat.training.first_frame.settings import FirstFrameSettings
from trackersplat.training.fit import FitDone
from trackersplat.training.photometric import exposed_alike
from trackersplat.training.points.task import Candidate


@dataclass(frozen=True, eq=False)
class CandidateChosen(Event):
    """The last event of `try_candidates`: its result."""

    frame: int
    points: PointCloud


def try_candidates(
    capture: Capture, frame: int, rasterizer: Rasterizer, settings: FirstFrameSettings, candidates: Sequence[Candidate]
) -> Iterator[Event]:
    """Yields events.Stage, then events.Note with the scores, last CandidateChosen. Nothing if there are fewer than two candidates, or
    too few cameras to leave one out.

    Each candidate is fitted to small images of all training cameras but one, and scored by the picture of the one left out: its PSNR plus
    ``trial.structure`` times its SSIM, as fog costs structure before it costs PSNR. Points that this camera's own image proposed are left
    out too. Once ``trial.cameras`` were left out, one after the other, candidates drop out that are
    worse than the best one by ``trial.sure`` standard errors of their difference; more cameras are left out while more than one candidate
    stays. Chosen is the first of those that stay whose mean over the cameras left out is within ``tie`` of the best.
    """
    trial, count = settings.trial, len(capture.training_cameras)
    fewest = min(trial.cameras, count - 2)
    if len(candidates) < 2 or fewest < 1:
        return
    fits = _ShortFits(capture, frame, rasterizer, settings)
    turns = spread_order(count, fewest)[: max(fewest, trial.most)]
    racing, measured = list(candidates), np.zeros((len(candidates), 0, 2))  # PSNR and SSIM (C, T, 2) of those in the race
    weights = np.array([1.0, trial.structure])
    told: dict[str, str] = {candidate.name: "" for candidate in candidates}
    for turn, place in enumerate(turns, start=1):
        yield Stage(frame, "points", f"trial of {len(racing)} candidates, camera {turn} of at most {len(turns)}")
        measured = np.concatenate((measured, np.array([fits.measured(candidate, place) for candidate in racing])[:, None]), axis=1)
        for candidate, (decibels, structure) in zip(racing, measured.mean(axis=1), strict=True):
            on = f" on {turn} cameras" if turn > fewest else ""
            told[candidate.name] = f"{candidate.name} {decibels:.1f} dB, SSIM {structure:.3f}{on}"
        stays = ~clearly_worse(measured @ weights, trial.sure) if turn >= fewest else np.ones(len(racing), dtype=bool)
        racing, measured = [candidate for candidate, stay in zip(racing, stays, strict=True) if stay], measured[stays]
        if len(racing) == 1:
            break
    means = (measured @ weights).mean(axis=1)
    best = racing[int(np.argmax(means >= means.max() - trial.tie))]
    yield Note(frame, f"first points: {best.name}, by {fewest} or more training cameras left out ({'; '.join(told.values())})")
    yield CandidateChosen(frame, best.points)


class _ShortFits:
    """Fits of few steps to small images of all training cameras but one."""

    def __init__(self, capture: Capture, frame: int, rasterizer: Rasterizer, settings: FirstFrameSettings) -> None:
        self._frame, self._rasterizer, self._cameras = frame, rasterizer, capture.training_cameras
        self._small = _small(capture, settings.trial.side)
        steps = settings.trial.steps
        self._settings = replace(settings, steps=steps, drop=0.0, measure_every=0, average=0.0, report_every=steps + 1)

    def measured(self, candidate: Candidate, place: int) -> tuple[float, float]:
        """PSNR in dB and SSIM of the training camera at this place, which is left out; both 0 if too few points remain without its own.

        Its exposure is not known either, so `exposed_alike` colours are compared: what cameras differ by would else weigh more than
        what candidates differ by.
        """
        left_out, small = self._cameras[place], self._small
        others = [index for index in self._cameras if index != left_out]
        fold = replace(small, held_out=tuple(camera.name for index, camera in enumerate(small.cameras) if index not in others))
        settings = self._settings.for_pixels(sum(small.cameras[index].width * small.cameras[index].height for index in others))
        points = _without(candidate, place, settings.points.count, settings.seed)
        if len(points.xyz) <= settings.initialise.neighbours:
            return 0.0, 0.0
        *_, last = optimise_points(fold, self._frame, self._rasterizer, settings, points)
        assert isinstance(last, FitDone)
        image = torch.as_tensor(np.array(small.image(left_out, self._frame)), device=self._rasterizer.device).float() / 255
        with torch.no_grad():
            color = self._rasterizer.render(last.gaussians, [small.cameras[left_out]]).color[0]
        shown = exposed_alike(color, image)
        return psnr(shown, image), ssim(shown, image)


def clearly_worse(scores: np.ndarray, sure: float) -> np.ndarray:
    """(C,) bool: whose scores (C, T) are below those of the best row by ``sure`` standard errors of the mean difference.

    The differences are taken turn by turn, as some cameras are harder than others for every candidate. After one turn nothing is clear.
    """
    turns = scores.shape[1]
    if turns < 2:
        return np.zeros(len(scores), dtype=bool)
    behind = scores[scores.mean(axis=1).argmax()] - scores
    error = behind.std(axis=1, ddof=1) / np.sqrt(turns)
    return (behind.mean(axis=1) > sure * error) & (behind.mean(axis=1) > 0)


def spread_order(count: int, first: int) -> list[int]:
    """All of ``count`` places in a row: ``first`` that are evenly spread, then always one as far as possible from those before it."""
    order = spread(count, first)
    while len(order) < count:
        rest = [place for place in range(count) if place not in order]
        order.append(max(rest, key=lambda place: min((abs(place - other) for other in order), default=0)))
    return order


def spread(count: int, wanted: int) -> list[int]:
    """``wanted`` of ``count`` places in a row, evenly spread and away from the ends; empty if none are wanted."""
    if wanted < 1:
        return []
    return sorted({int((i + 0.5) * count / wanted) for i in range(wanted)})


def _without(candidate: Candidate, place: int, count: int, seed: int) -> PointCloud:
    """At most ``count`` points of a candidate, without those that the camera at this place proposed."""
    chosen = np.flatnonzero(candidate.view != place)
    if len(chosen) > count:
        chosen = np.sort(np.random.default_rng(seed).choice(chosen, count, replace=False))
    return PointCloud(candidate.points.xyz[chosen], candidate.points.rgb[chosen])


class _SmallFrames:
    """A FrameSource of smaller images."""

    def __init__(self, source: FrameSource, sizes: Sequence[tuple[int, int]]) -> None:
        self._source, self._sizes = source, sizes

    def read(self, camera: int, frame: int) -> np.ndarray:
        image = self._source.read(camera, frame)
        size = self._sizes[camera]
        return image if size == (image.shape[1], image.shape[0]) else cv2.resize(image, size, interpolation=cv2.INTER_AREA)

    def prefetch(self, wanted: Iterable[tuple[int, int]]) -> None:
        self._source.prefetch(wanted)

    def close(self) -> None:
        """The source belongs to the capture, which closes it."""


def _small(capture: Capture, side: int) -> Capture:
    cameras = []
    for camera in capture.cameras:
        scale = min(1.0, side / max(camera.width, camera.height))
        cameras.append(camera.resized(max(1, round(scale * camera.width)), max(1, round(scale * camera.height))))
    return replace(capture, cameras=tuple(cameras), source=_SmallFrames(capture.source, [(c.width, c.height) for c in cameras]))
