"""Fitting a first frame from images alone."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from quad_scene import quad_capture, with_swept_points

from trackersplat.captures.capture import PointCloud
from trackersplat.captures.units import with_units_of_the_rig
from trackersplat.events import Event, Stage, StepDone
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.rendering.backends.portable import PortableRasterizer
from trackersplat.training.first_frame.densify.settings import DensifySettings
from trackersplat.training.first_frame.fit import fit_first_frame
from trackersplat.training.first_frame.initialise import gaussians_from_points
from trackersplat.training.first_frame.optimise import held_out_psnr
from trackersplat.training.first_frame.prune import seen_by, weighty, without_faint_bands
from trackersplat.training.first_frame.settings import FirstFrameSettings
from trackersplat.training.fit import FitDone, FitState
from trackersplat.training.optimiser import TrainingViews
from trackersplat.training.points.find import first_points
from trackersplat.training.points.settings import PointSettings

SETTINGS = FirstFrameSettings(steps=60, points=PointSettings(count=1200), densify=DensifySettings(every=20, cap=1500), report_every=20)


def _fit(settings: FirstFrameSettings, forbid_held_out: bool = True) -> list[Event]:
    """From points that a sweep has found before."""
    capture, points = with_swept_points(quad_capture(forbid_held_out), settings.points)
    return list(fit_first_frame(capture, 0, PortableRasterizer(), replace(settings, points=points)))


def _fit_from_images(settings: FirstFrameSettings = SETTINGS, forbid_held_out: bool = True) -> list[Event]:
    return list(fit_first_frame(quad_capture(forbid_held_out), 0, PortableRasterizer(), settings))


def _result(events: list[Event]) -> Gaussians:
    assert isinstance(events[-1], FitDone)
    return events[-1].gaussians


def _same(one: Gaussians, two: Gaussians) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.tensors().values(), two.tensors().values(), strict=True))


@pytest.fixture(scope="module")
def fitted() -> list[Event]:
    return _fit_from_images()


def test_the_events_tell_the_stages_then_the_steps_and_end_with_the_result(fitted: list[Event]) -> None:
    stages = [event.name for event in fitted if isinstance(event, Stage)]
    assert stages[0] == "points"
    assert stages[-1] == "optimise"
    steps = [event for event in fitted if isinstance(event, StepDone)]
    assert [event.step for event in steps] == [20, 40, 60]
    assert all(event.steps == 60 and math.isfinite(event.loss) and event.psnr is None for event in steps)
    after = fitted[fitted.index(steps[0]) :]
    assert [type(event) for event in after if not isinstance(event, Stage)] == [StepDone, FitState, StepDone, FitState, StepDone, FitDone]
    states = [event for event in fitted if isinstance(event, FitState)]
    assert [(event.step, len(event.gaussians)) for event in states] == [(event.step, event.gaussians) for event in steps[:-1]]
    assert steps[-1].gaussians == len(_result(fitted))
    assert isinstance(fitted[-1], FitDone)
    assert fitted[-1].replaced.shape == (0,)


def test_the_picture_from_a_view_never_looked_at_gets_better(fitted: list[Event]) -> None:
    capture = quad_capture(forbid_held_out=True)
    points = first_points(capture, capture.training_cameras, 0, SETTINGS.points)
    start = gaussians_from_points(points, SETTINGS.sh_degree, SETTINGS.initialise)
    before, after = (held_out_psnr(quad_capture(), 0, PortableRasterizer(), gaussians) or 0.0 for gaussians in (start, _result(fitted)))
    assert after > before + 3


@pytest.mark.parametrize("factor", [1e-4, 1e4])
def test_the_units_do_not_matter(fitted: list[Event], factor: float) -> None:
    cameras = []
    for camera in quad_capture().cameras:
        pose = np.array(camera.world_to_camera)
        pose[:3, 3] *= factor
        cameras.append(replace(camera, world_to_camera=pose))
    capture = quad_capture()
    bounds = None if capture.depth_bounds is None else factor * capture.depth_bounds
    points = None if capture.points is None else PointCloud(factor * capture.points.xyz, capture.points.rgb)
    capture = with_units_of_the_rig(replace(capture, cameras=tuple(cameras), depth_bounds=bounds, points=points))
    *_, last = fit_first_frame(capture, 0, PortableRasterizer(), SETTINGS)
    assert isinstance(last, FitDone)
    plain = held_out_psnr(quad_capture(), 0, PortableRasterizer(), _result(fitted)) or 0.0
    assert held_out_psnr(capture, 0, PortableRasterizer(), last.gaussians) == pytest.approx(plain, abs=0.7)


def test_the_cap_is_respected_and_reached(fitted: list[Event]) -> None:
    assert max(event.gaussians for event in fitted if isinstance(event, StepDone)) <= 1500
    assert len(_result(_fit(replace(SETTINGS, prune=0.0)))) == 1500


def test_what_hardly_shows_in_the_training_views_is_left_out_at_the_very_end() -> None:
    whole, kept = (_result(_fit(replace(SETTINGS, prune=prune, cull_sh=0.0))) for prune in (0.0, 1e-4))
    views = TrainingViews(quad_capture(), 0, torch.device("cpu"), 0)
    assert len(kept) < len(whole)
    assert _same(kept, whole[weighty(seen_by(whole, views, PortableRasterizer()).weights, 1e-4)])


@pytest.mark.parametrize("change", [{}, {"prune": 0.02}, {"prune": 0.0}, {"average": 0.2}, {"validate": "cam1", "validate_every": 20}])
def test_colours_that_hardly_vary_over_the_training_views_lose_their_bands_whatever_the_result_is(change: dict[str, Any]) -> None:
    """The state that ends the steps, their mean, or the one that a validation camera liked best."""
    fast = replace(SETTINGS, rates=replace(SETTINGS.rates, sh_rest=2e-2), **change)
    whole, culled = (_result(_fit(replace(fast, prune=prune, cull_sh=cull))) for prune, cull in ((0.0, 0.0), (fast.prune, 0.02)))
    capture = quad_capture()
    if fast.validate is not None:
        capture = replace(capture, held_out=("cam1", "cam3"))
    seen = seen_by(whole, TrainingViews(capture, 0, torch.device("cpu"), 0), PortableRasterizer())
    keep = weighty(seen.weights, fast.prune) if fast.prune > 0 else torch.ones(len(whole), dtype=torch.bool)
    assert _same(culled, without_faint_bands(whole[keep], seen[keep], 0.02))
    assert 0.05 < culled.sh[:, 1:].any(dim=2).any(dim=1).float().mean() < 0.95


def test_the_same_seed_gives_the_same_bits_and_measuring_changes_none_of_them(fitted: list[Event]) -> None:
    assert _same(_result(fitted), _result(_fit_from_images()))
    measured = _fit_from_images(replace(SETTINGS, measure_every=30), forbid_held_out=False)
    assert [event.step for event in measured if isinstance(event, StepDone) and event.psnr is not None] == [30, 60]
    assert _same(_result(fitted), _result(measured))


def test_another_seed_gives_another_result(fitted: list[Event]) -> None:
    assert not _same(_result(fitted), _result(_fit_from_images(replace(SETTINGS, seed=1))))


def test_closing_the_iterator_stops_the_fit_at_once() -> None:
    events = fit_first_frame(quad_capture(), 0, PortableRasterizer(), SETTINGS)
    first = next(iter(events))
    assert isinstance(first, Stage)
    assert first.name == "points"
    events.close()  # type: ignore[attr-defined]
    assert list(events) == []
