"""The Triton rasteriser against the brute force: on CUDA, or where Triton interprets its kernels on the CPU (TRITON_INTERPRET=1)."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import brute_force_render as brute
import gaussian_cloud
import pytest
import torch
from gaussian_cloud import EYE, RAW, assert_close, cloud, leaves

from trackersplat.gaussians.gaussians import Gaussians, concatenate
from trackersplat.rendering.backends import cuda
from trackersplat.rendering.lift import lift
from trackersplat.rendering.rasterizer import Rasterizer

pytestmark = [pytest.mark.cuda, pytest.mark.timeout(600)]  # the interpreter is slow
WIDTH, HEIGHT = 21, 13  # neither is a multiple of the tile
ASIDE = (2.0, 2.0, 0.5)
BACKGROUND = (0.2, 0.5, 0.9)


looking = partial(gaussian_cloud.looking, width=WIDTH, height=HEIGHT)


@pytest.fixture(scope="module")
def rasterizer(device: torch.device) -> Rasterizer:
    from trackersplat.rendering.backends.triton import TritonRasterizer

    return TritonRasterizer(device)


def scene(degree: int = 3) -> Gaussians:
    """Also Gaussians behind the camera, far outside, across the border, in the camera, too faint to see, and without meaning."""
    far = cloud(6, degree, seed=5, spread=4.0)
    faint = replace(cloud(2, degree, seed=6), opacity_logits=torch.tensor([-5.6, -9.0]))
    inside = replace(cloud(1, degree, seed=7), means=torch.tensor([[2.497, -1.499, 1.001]]))
    opaque = replace(cloud(4, degree, seed=8, spread=0.3), opacity_logits=torch.tensor([4.0, 5.0, 6.0, 9.0]))
    return concatenate([cloud(22, degree), far, faint, inside, opaque])


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_images_equal_the_brute_force(rasterizer: Rasterizer, degree: int) -> None:
    gaussians, camera, background = scene(), looking(EYE), torch.tensor(BACKGROUND)
    channels = torch.randn(len(gaussians), 7, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        rendering = rasterizer.render(
            gaussians.to(rasterizer.device), [camera], channels=channels.to(rasterizer.device), sh_degree=degree,
            background=background.to(rasterizer.device),
        )  # fmt: skip
        expected = brute.render(brute.double(gaussians), camera, channels.double(), degree, background)
    assert float(expected.alpha.max()) > 0.99
    assert float(expected.alpha.min()) < 0.2
    for name in ("color", "alpha", "depth", "channels"):
        assert_close(getattr(rendering, name)[0], getattr(expected, name), 3e-5)


@pytest.mark.parametrize(("degree", "channel_count"), [(0, 1), (1, 0), (2, 3), (3, 19)])
def test_all_gradients_of_two_cameras_equal_those_of_the_brute_force(rasterizer: Rasterizer, degree: int, channel_count: int) -> None:
    gaussians, cameras, generator = scene(), [looking(EYE), looking(ASIDE)], torch.Generator().manual_seed(2)
    moving = leaves(gaussians, rasterizer.device)
    shape = (2, len(gaussians), channel_count) if degree == 2 else (len(gaussians), channel_count)  # for each camera its own
    values = torch.randn(shape, generator=generator)
    channels = values.clone().to(rasterizer.device).requires_grad_()
    background = torch.tensor(BACKGROUND, device=rasterizer.device, requires_grad=True)
    rendering = rasterizer.render(moving, cameras, channels=channels, sh_degree=degree, background=background)
    raw, raw_values = brute.double(gaussians), values.double().requires_grad_()
    raw_background = torch.tensor(BACKGROUND, dtype=torch.float64, requires_grad=True)
    loss, expected_loss = torch.zeros((), device=rasterizer.device), torch.zeros((), dtype=torch.float64)
    for view, camera in enumerate(cameras):
        own = raw_values[view] if values.ndim == 3 else raw_values
        expected = brute.render(raw, camera, own, degree, raw_background)
        for name in ("color", "alpha", "depth", "channels"):
            actual, other = getattr(rendering, name)[view], getattr(expected, name)
            factor = torch.randn(actual.shape, generator=generator)
            loss = loss + (actual * factor.to(rasterizer.device)).sum()
            expected_loss = expected_loss + (other * factor.double()).sum()
    loss.backward()
    expected_loss.backward()
    for name in RAW:
        assert raw[name].grad.any()
        assert_close(getattr(moving, name).grad, raw[name].grad, 2e-4)
    assert_close(background.grad, raw_background.grad, 1e-4)
    if channel_count:
        assert_close(channels.grad, raw_values.grad, 1e-4)


@pytest.mark.parametrize("output", ["color", "alpha", "depth", "channels"])
def test_a_loss_on_one_output_alone_has_the_right_gradient(rasterizer: Rasterizer, output: str) -> None:
    gaussians, camera = cloud(20, degree=1), looking(EYE)
    moving, channels = leaves(gaussians, rasterizer.device), torch.rand(20, 2)
    (getattr(rasterizer.render(moving, [camera], channels=channels.to(rasterizer.device)), output) ** 2).sum().backward()
    raw = brute.double(gaussians)
    (getattr(brute.render(raw, camera, channels.double()), output) ** 2).sum().backward()
    for name in RAW:
        expected = raw[name].grad
        if expected is None or not expected.any():
            assert not getattr(moving, name).grad.any()
        else:
            assert_close(getattr(moving, name).grad, expected, 2e-4)


@pytest.mark.parametrize("background", [None, BACKGROUND])
def test_colours_alone_and_their_gradients_equal_the_brute_force(rasterizer: Rasterizer, background: tuple[float, ...] | None) -> None:
    gaussians, camera = scene(degree=2), looking(EYE)
    moving, raw = leaves(gaussians, rasterizer.device), brute.double(gaussians)
    behind = None if background is None else torch.tensor(background, device=rasterizer.device, requires_grad=True)
    raw_behind = None if background is None else torch.tensor(background, dtype=torch.float64, requires_grad=True)
    fused = rasterizer.fused_color()
    assert fused is not None
    color = fused(moving, camera, background=behind, sh_degree=1)
    expected = brute.render(raw, camera, sh_degree=1, background=raw_behind).color
    assert_close(color[0], expected, 3e-5)
    color.square().sum().backward()
    expected.square().sum().backward()
    for name in RAW:
        assert_close(getattr(moving, name).grad, raw[name].grad, 2e-4)
    assert not moving.sh.grad[:, 4:].any()
    if behind is not None:
        assert_close(behind.grad, raw_behind.grad, 1e-4)


def test_lift_equals_the_brute_force_sum(rasterizer: Rasterizer) -> None:
    gaussians, cameras = scene(degree=0), [looking(EYE), looking(ASIDE)]
    features = torch.randn(2, HEIGHT, WIDTH, 5, generator=torch.Generator().manual_seed(3))
    lifted = lift(rasterizer, gaussians.to(rasterizer.device), cameras, features.to(rasterizer.device))
    for view, camera in enumerate(cameras):
        weights = brute.render(brute.double(gaussians), camera).weights.detach()
        assert_close(lifted[view], torch.einsum("hwn,hwf->nf", weights, features[view].double()), 3e-5)


def test_nothing_nearer_than_the_near_plane_is_drawn(rasterizer: Rasterizer) -> None:
    gaussians, camera = cloud(20, degree=0), looking(EYE, near=3.0)
    with torch.no_grad():
        shown = rasterizer.render(gaussians.to(rasterizer.device), [camera]).color[0]
        expected = brute.render(brute.double(gaussians), camera).color
        all_of_it = brute.render(brute.double(gaussians), looking(EYE)).color
    assert_close(shown, expected, 3e-5)
    assert not torch.allclose(expected, all_of_it)


def test_values_that_are_not_finite_hide_their_gaussian_and_leave_the_others(rasterizer: Rasterizer) -> None:
    good, camera = cloud(12, degree=1), looking(EYE)
    bad = cloud(5, degree=1, seed=9)
    bad.means[0, 1] = float("nan")
    bad.quats[1] = 0.0
    bad.log_scales[2, 0] = float("nan")
    bad.opacity_logits[3] = float("nan")
    bad.means[4] = float("inf")
    both, alone = (leaves(gaussians, rasterizer.device) for gaussians in (concatenate([bad, good]), good))
    pictures = [rasterizer.render(gaussians, [camera]).color for gaussians in (both, alone)]
    assert torch.equal(*pictures)
    for picture in pictures:
        picture.square().sum().backward()
    for name in RAW:
        assert not getattr(both, name).grad[:5].any()
        assert_close(getattr(both, name).grad[5:], getattr(alone, name).grad.cpu().double(), 1e-5)


def test_nothing_renders_the_background(rasterizer: Rasterizer) -> None:
    background = torch.tensor(BACKGROUND, device=rasterizer.device)
    beside = replace(cloud(3, degree=0), means=torch.tensor([[5.0, -3.0, 2.0]]).repeat(3, 1))  # behind the camera
    for gaussians in (beside[:0], beside):
        rendering = rasterizer.render(gaussians.to(rasterizer.device), [looking(EYE)], background=background)
        assert torch.equal(rendering.color, background.expand(1, HEIGHT, WIDTH, 3))
        assert not rendering.alpha.any()


def test_a_step_with_room_renders_the_camera_that_is_asked_for(rasterizer: Rasterizer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without recording, which needs CUDA (see test_cuda_backends)."""
    if rasterizer.device.type == "cpu":
        monkeypatch.setattr(cuda, "Recorder", lambda device: None)
    gaussians, cameras = leaves(scene(degree=1), rasterizer.device), [looking(EYE), looking(ASIDE)]
    repeated, fused = rasterizer.repeated_color(gaussians, cameras), rasterizer.fused_color()
    assert repeated is not None
    assert fused is not None
    for index in (1, 0):
        color = repeated(gaussians, torch.tensor([index], device=rasterizer.device))
        expected = fused(gaussians, cameras[index])
        assert torch.equal(color, expected)
        slopes = [torch.autograd.grad(picture.square().sum(), gaussians.means)[0] for picture in (color, expected)]
        assert_close(slopes[0], slopes[1].cpu().double(), 1e-5)
    assert repeated.is_complete()


def test_room_is_counted_once_for_a_scene_until_it_needs_other_room(rasterizer: Rasterizer, monkeypatch: pytest.MonkeyPatch) -> None:
    if rasterizer.device.type == "cpu":
        monkeypatch.setattr(cuda, "Recorder", lambda device: None)
    monkeypatch.setattr(cuda, "_LEAST_ROOM", 0)
    counted: list[int] = []
    count = type(rasterizer)._entries

    def entries(self: Rasterizer, gaussians: Gaussians, views: cuda.CameraTensors) -> int:
        counted.append(len(views.pose))
        return count(self, gaussians, views)  # type: ignore[arg-type]

    monkeypatch.setattr(type(rasterizer), "_entries", entries)
    gaussians, cameras = scene(degree=1).to(rasterizer.device), [looking(EYE), looking(ASIDE)]
    larger = replace(gaussians, log_scales=gaussians.log_scales + 1.5)
    for shown, views, complete, expected in (
        (gaussians, cameras, True, [2]),
        (gaussians, cameras, True, [2]),
        (gaussians, cameras[:1], True, [2, 1]),
        (larger, cameras[:1], False, [2, 1]),  # in room for the smaller ones
        (larger, cameras[:1], True, [2, 1, 1]),
        (gaussians[:-1], cameras[:1], True, [2, 1, 1, 1]),
    ):
        repeated = rasterizer.repeated_color(shown, views)
        assert repeated is not None
        for index in range(len(views)):
            repeated(shown, torch.tensor([index], device=rasterizer.device))
        assert repeated.is_complete() == complete
        assert counted == expected


def test_preparing_reports_progress(rasterizer: Rasterizer) -> None:
    seen: list[tuple[int, int]] = []
    rasterizer.prepare(lambda what, done, total: seen.append((done, total)))
    assert seen == [(0, 1), (1, 1)]
