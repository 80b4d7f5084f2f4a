"""Chooses among candidates for the first points: by short fits, each without one training camera, on which it is then scored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from trackersplat.captures.capture import Capture, FrameSource, PointCloud
from trackersplat.events import Event, Note, Stage
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.training.first_frame.optimise import held_out_psnr, optimise_points
from trackersplat.training.first_frame.settings import FirstFrameSettings
from trackersplat.training.fit import FitDone
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

    Each candidate is fitted to small images of all training cameras but one, and scored by the PSNR of the one left out; points that this
    camera's own image proposed are left out too. Chosen is the first candidate whose mean over the cameras left out is within ``tie`` of
    the best.
    """
    trial = settings.trial
    cameras = capture.training_cameras
    left_out = spread(len(cameras), min(trial.cameras, len(cameras) - 2))
    if len(candidates) < 2 or not left_out:
        return
    small = _small(capture, trial.side)
    scores: list[list[float]] = [[] for _ in candidates]
    for turn, place in enumerate(left_out, start=1):
        camera = cameras[place]
        yield Stage(frame, "points", f"trial of {len(candidates)} candidates, {turn} of {len(left_out)}")
        fold = replace(small, held_out=tuple(c.name for i, c in enumerate(small.cameras) if i not in cameras or i == camera))
        alone = replace(small, held_out=(capture.cameras[camera].name,))
        pixels = sum(fold.cameras[i].width * fold.cameras[i].height for i in fold.training_cameras)
        short = replace(settings, steps=trial.steps, measure_every=0, average=0.0, report_every=trial.steps + 1).for_pixels(pixels)
        for candidate, found in zip(candidates, scores, strict=True):
            points = _without(candidate, place, short.points.count, settings.seed)
            if len(points.xyz) <= settings.initialise.neighbours:
                found.append(0.0)
                continue
            *_, last = optimise_points(fold, frame, rasterizer, short, points)
            assert isinstance(last, FitDone)
            found.append(held_out_psnr(alone, frame, rasterizer, last.gaussians) or 0.0)
    means = [float(np.mean(found)) for found in scores]
    best = next(i for i, mean in enumerate(means) if mean >= max(means) - trial.tie)
    listed = "; ".join(f"{c.name} {mean:.1f} dB" for c, mean in zip(candidates, means, strict=True))
    yield Note(frame, f"first points: {candidates[best].name}, by the PSNR of training cameras left out ({listed})")
    yield CandidateChosen(frame, candidates[best].points)


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
