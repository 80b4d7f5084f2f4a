"""What is added to the loss, what is averaged, and what is left out at the end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from quad_scene import cast, quad_capture, with_swept_points

from trackersplat.captures.capture import PointCloud
from trackersplat.errors import InputError
from trackersplat.events import Event, Stage, StepDone
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.rendering.backends.portable import PortableRasterizer
from trackersplat.rendering.rasterizer import Rendering
from trackersplat.training.averaging import MovingAverage
from trackersplat.training.first_frame.capacity import MEMORY_SHARE, bytes_needed, most_gaussians
from trackersplat.training.first_frame.densify.settings import DensifySettings
from trackersplat.training.first_frame.fit import fit_first_frame
from trackersplat.training.first_frame.floaters import FloaterSettings
from trackersplat.training.first_frame.initialise import InitialiseSettings, gaussians_from_points
from trackersplat.training.first_frame.regularise import Penalties, RandomBackground, Regularisation, depth_error, seen_depths
from trackersplat.training.first_frame.settings import FirstFrameSettings
from trackersplat.training.fit import FitDone, FitState
from trackersplat.training.memory import free_memory
from trackersplat.training.optimiser import TrainingViews
from trackersplat.training.points.settings import PointSettings
from trackersplat.training.points.views import unproject

SETTINGS = FirstFrameSettings(steps=60, points=PointSettings(count=800), densify=DensifySettings(every=20, cap=1000))


def _gaussians(n: int = 6) -> Gaussians:
    random = torch.Generator().manual_seed(0)
    means = torch.rand(n, 3, generator=random) + torch.tensor([-0.5, -0.5, 2.5])
    return Gaussians(
        means,
        torch.nn.functional.normalize(torch.randn(n, 4, generator=random), dim=1),
        torch.rand(n, 3, generator=random) - 3.0,
        torch.randn(n, generator=random),
        torch.randn(n, 1, 3, generator=random),
    )


def _wall_points() -> PointCloud:
    """Every second pixel of the scene's first camera, at its exact depth."""
    camera = quad_capture().cameras[0]
    image, depth = cast(camera)
    row, column = np.mgrid[0 : camera.height : 2, 0 : camera.width : 2].reshape(2, -1)
    uv = np.stack((column + 0.5, row + 0.5), axis=1)
    return PointCloud(unproject(camera, uv, depth[row, column]).astype(np.float32), image[row, column])


def _penalty(regularisation: Regularisation, gaussians: Gaussians, extent: float = 2.0) -> float:
    nothing = Rendering(torch.zeros(1, 2, 2, 3), torch.zeros(1, 2, 2), torch.zeros(1, 2, 2))
    points = PointCloud(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8))
    return float(Penalties(regularisation, extent, points, [], torch.device("cpu"))(0, gaussians, nothing))


def test_each_term_is_what_it_says() -> None:
    gaussians = _gaussians()
    assert _penalty(Regularisation(opacity=0.3), gaussians) == pytest.approx(0.3 * gaussians.opacities.mean().item())
    assert _penalty(Regularisation(scale=0.3), gaussians) == pytest.approx(0.3 * gaussians.scales.mean().item() / 2)


def test_every_term_has_a_gradient_that_lowers_it() -> None:
    camera = quad_capture().cameras[0]
    for regularisation in (Regularisation(opacity=1.0), Regularisation(scale=1.0), Regularisation(depth=1.0)):
        points = _wall_points()
        start = gaussians_from_points(points, 0, InitialiseSettings())
        start = replace(start, means=start.means * 1.03)
        parameters = {name: tensor.clone().requires_grad_() for name, tensor in start.tensors().items()}
        gaussians, penalties = Gaussians(**parameters), Penalties(regularisation, 1.0, points, [camera], torch.device("cpu"))
        before = penalties(0, gaussians, PortableRasterizer().render(gaussians, [camera]))
        before.backward()
        moved = {
            n: p.detach() - 1e-3 * (p.grad / p.grad.abs().max() if p.grad is not None and p.grad.any() else 0)
            for n, p in parameters.items()
        }
        after = penalties(0, Gaussians(**moved), PortableRasterizer().render(Gaussians(**moved), [camera]))
        assert after < before


def test_depths_of_first_points_are_those_of_the_surfaces_that_a_camera_sees() -> None:
    capture = quad_capture()
    for camera, (pixels, depths) in zip(capture.cameras, seen_depths(_wall_points(), capture.cameras, torch.device("cpu"), 8), strict=True):
        _, truth = cast(camera)
        assert len(pixels) > 400
        # a point lies anywhere in its pixel, so edges of the card and the slope of the wall make small differences
        error = np.abs(depths.numpy() - truth.reshape(-1)[pixels.numpy()]) / depths.numpy()
        assert np.median(error) < 0.003
        assert (error > 0.05).mean() < 0.03


def test_the_depth_error_is_relative_and_asks_nothing_of_empty_pixels() -> None:
    alpha = torch.tensor([[[1.0, 0.5], [0.0, 1.0]]])
    depth = torch.tensor([[[3.0, 1.0], [0.0, 4.0]]])
    rendering = Rendering(torch.zeros(1, 2, 2, 3), alpha, depth)
    pixels, depths = torch.tensor([0, 1, 2]), torch.tensor([2.0, 4.0, 5.0])
    assert float(depth_error(rendering, pixels, depths)) == pytest.approx((1 / 2 + 1 / 4 + 0) / 3)


def test_a_random_background_makes_the_dark_opaque() -> None:
    """The scene fills every image; with a black background its dark parts may stay transparent, with a changing one nothing may."""
    alpha = []
    for changing in (False, True):
        gaussians = _result(_fit(replace(SETTINGS, steps=150, regularisation=Regularisation(random_background=changing))))
        views = TrainingViews(quad_capture(forbid_held_out=True), 0, torch.device("cpu"), 0)
        alpha.append(np.mean([float(PortableRasterizer().render(gaussians, [camera]).alpha.mean()) for camera in views.cameras]))
    assert alpha[1] > alpha[0] + 0.01
    draw, again = RandomBackground(4, torch.device("cpu")), RandomBackground(4, torch.device("cpu"))
    colours = torch.stack([draw() for _ in range(300)])
    assert torch.equal(colours, torch.stack([again() for _ in range(300)]))
    assert colours.min() >= 0
    assert colours.max() <= 1
    assert colours.mean(dim=0).tolist() == pytest.approx([0.5] * 3, abs=0.06)


def test_no_state_before_the_last_densification_is_averaged() -> None:
    """Up to then Gaussians are exchanged at constant number: the mean of two of them is neither."""
    settings = FirstFrameSettings(steps=100, densify=DensifySettings(until=0.7))
    for average, first in ((0.2, 81), (0.3, 71), (0.6, 71), (1.0, 71)):
        taken = [step for step in range(1, 101) if replace(settings, average=average).averages(step)]
        assert taken == list(range(first, 101))
    assert not any(settings.averages(step) for step in range(1, 101))
    undensified = replace(settings, average=1.0, densify=DensifySettings(until=0.0))
    assert all(undensified.averages(step) for step in range(1, 101))


def test_the_average_is_the_mean_of_the_states_of_one_number_of_gaussians() -> None:
    average = MovingAverage()
    assert average.mean() is None
    average.add(_gaussians(9))
    states = [_gaussians(6), replace(_gaussians(6), means=torch.ones(6, 3)), replace(_gaussians(6), means=torch.full((6, 3), -3.0))]
    for state in states:
        average.add(state)
    mean = average.mean()
    assert mean is not None
    assert torch.allclose(mean.means, (states[0].means - 2.0) / 3, atol=1e-6)
    assert torch.allclose(mean.quats, states[0].quats)
    kept = mean.means.clone()
    average.add(states[2])
    assert torch.equal(mean.means, kept)
    assert torch.equal(states[0].means, _gaussians(6).means)


def test_the_result_is_the_mean_over_the_last_part_of_the_steps() -> None:
    settings = replace(SETTINGS, steps=20, report_every=1, densify=replace(SETTINGS.densify, every=1000), prune=0.0)
    states = [event.gaussians.means for event in _fit(settings) if isinstance(event, (FitState, FitDone))]
    assert len(states) == 20
    averaged = _result(_fit(replace(settings, average=0.25))).means
    assert torch.allclose(averaged, torch.stack(states[15:]).mean(dim=0), atol=1e-6)
    assert not torch.allclose(averaged, states[-1], atol=1e-5)


def test_the_largest_count_is_the_last_that_fits_into_its_share_of_the_memory() -> None:
    free, degree, pixels = 8 * 2**30, 1, 640 * 360
    most = most_gaussians(free, degree, pixels, 27 * pixels)
    assert bytes_needed(most, degree, pixels, 27 * pixels) <= MEMORY_SHARE * free < bytes_needed(most + 1, degree, pixels, 27 * pixels)
    # 59 floats at degree 3, in eight copies, and 1200 bytes beside
    assert bytes_needed(1000, 3, 0, 0) == 1000 * (59 * 4 * 8 + 1200)
    # and of images 400 bytes per pixel of the largest, which is rendered, and three of each, which stay
    assert bytes_needed(0, 3, 1000, 0) == 400_000
    assert bytes_needed(0, 3, 0, 1000) == 3000
    assert most_gaussians(2**20, degree, pixels, pixels) == 0
    assert free_memory(torch.device("cpu")) is None


def test_what_the_process_holds_and_does_not_use_is_free_memory_too(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("memory_reserved", 700), ("memory_allocated", 500), ("mem_get_info", (3000, 9000))):
        monkeypatch.setattr(torch.cuda, name, lambda device, value=value: value)
    assert free_memory(torch.device("cuda")) == 3200


def test_the_memory_bounds_points_and_gaussians_and_too_little_is_said() -> None:
    settings = FirstFrameSettings.for_device("cuda").for_memory(2**30, 10_000, 100_000)
    most = most_gaussians(2**30, 1, 10_000, 100_000)
    assert (settings.densify.cap, settings.points.count) == (most, 2 * most // 3)
    assert FirstFrameSettings().for_memory(2**40, 10_000, 100_000).densify.cap == FirstFrameSettings().densify.cap
    with pytest.raises(InputError, match=r"0\.5 GiB free, too little for images of 2,000,000,000 pixels"):
        FirstFrameSettings().for_memory(2**29, 2_000_000_000, 2_000_000_000)


def test_bands_of_the_colours_join_one_after_the_other() -> None:
    settings = FirstFrameSettings(steps=100, sh_degree=2, sh_raise=0.25)
    assert [settings.degree(step) for step in (0, 24, 25, 49, 50, 99)] == [0, 0, 1, 1, 2, 2]
    assert replace(settings, sh_raise=0.0).degree(0) == 2
    late = _result(_fit(replace(SETTINGS, sh_raise=1.0, cull_sh=0.0)))
    assert late.sh_degree == 1
    assert not late.sh[:, 1:].any()
    assert _result(_fit(replace(SETTINGS, sh_raise=0.5, cull_sh=0.0))).sh[:, 1:].any()


def _result(events: list[Event]) -> Gaussians:
    assert isinstance(events[-1], FitDone)
    return events[-1].gaussians


def _fit(settings: FirstFrameSettings, forbid_held_out: bool = True) -> list[Event]:
    capture, points = with_swept_points(quad_capture(forbid_held_out), settings.points)
    return list(fit_first_frame(capture, 0, PortableRasterizer(), replace(settings, points=points)))


def test_a_fit_with_every_switch_on_ends_as_it_should() -> None:
    every = Regularisation(opacity=0.01, scale=0.01, depth=0.01, random_background=True)
    floaters = FloaterSettings(every=5, magnification=1.2, views=9.0, farther=(1.01,))  # many, of which some go
    settings = replace(SETTINGS, regularisation=every, average=0.2, prune=0.02, sh_raise=0.2, floaters=floaters)
    one, two = _result(_fit(settings)), _result(_fit(settings))
    assert 300 < len(one) < 1000
    assert all(torch.equal(a, b) for a, b in zip(one.tensors().values(), two.tensors().values(), strict=True))


def test_the_validation_camera_stops_the_fit_and_is_not_fitted() -> None:
    """With a rate at which everything flies apart, the state after the first measurement is the best one."""
    wild = replace(SETTINGS, rates=replace(SETTINGS.rates, means=0.05, means_end=0.5), validate="cam1", validate_every=5, patience=2)
    events = _fit(replace(wild, report_every=1))
    index, said = next((i, e) for i, e in enumerate(events) if isinstance(e, Stage) and "looks best after" in e.detail)
    best = int(said.detail.split("after ")[1].split()[0])
    stopped, end = events[index - 2], events[index + 1]
    assert isinstance(stopped, StepDone)
    assert isinstance(end, StepDone)
    assert stopped.step == best + 9 < 60  # the step that decides has no event of its own
    assert end.step == end.steps == 60
    assert len(events) == index + 3
    fixed = _result(_fit(replace(wild, patience=1000)))
    assert all(torch.equal(a, b) for a, b in zip(_result(events).tensors().values(), fixed.tensors().values(), strict=True))


def test_only_a_training_camera_can_validate() -> None:
    with pytest.raises(InputError, match="cam3 is held out, so it cannot decide when to stop"):
        _fit(replace(SETTINGS, validate="cam3"))
    with pytest.raises(InputError, match="cam99"):
        _fit(replace(SETTINGS, validate="cam99"))
