"""The first frame of a batch: Gaussians from the images of one instant alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from trackersplat.captures.capture import Capture
from trackersplat.errors import InputError
from trackersplat.events import Event
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.training.first_frame.optimise import optimise_points
from trackersplat.training.first_frame.settings import FirstFrameSettings
from trackersplat.training.first_frame.trial import CandidateChosen, try_candidates
from trackersplat.training.memory import free_memory
from trackersplat.training.points.find import find_points
from trackersplat.training.points.task import PointsFound, PointTask


def fit_first_frame(capture: Capture, frame: int, rasterizer: Rasterizer, settings: FirstFrameSettings) -> Iterator[Event]:
    """Finds first points, makes Gaussians of them and optimises these against the training images of ``frame``.

    If there are several candidates for the points, short fits choose: see `trial.try_candidates`.

    Yields events.Stage, events.StepDone and, after each of these but the last, fit.FitState; last fit.FitDone, which carries the result.
    Same seed, same machine, same result, as long as the device's memory is not what bounds the Gaussians.

    Held-out cameras are used only to measure, every ``measure_every`` steps; that does not change the result. If a fit stopped when their
    scores are best, these could not be compared with published ones. To stop early, ``validate`` names a
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
    for event in find_points(PointTask.of(capture, cameras, frame, settings.points, device)):
        if not isinstance(event, PointsFound):
            yield event
            continue
        points = event.points
        for tried in try_candidates(capture, frame, rasterizer, settings, event.candidates):
            if isinstance(tried, CandidateChosen):
                points = tried.points
            else:
                yield tried
        yield from optimise_points(capture, frame, rasterizer, settings, points, judge)


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
