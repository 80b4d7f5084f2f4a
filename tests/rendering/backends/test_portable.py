"""The portable rasteriser against the brute force, finite differences and closed forms."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import brute_force_render as brute
import gaussian_cloud
import numpy as np
import pytest
import torch
from gaussian_cloud import EYE, RAW, assert_close, cloud, leaves
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.errors import ShapeError
from trackersplat.gaussians.gaussians import SH_C0, Gaussians, concatenate
from trackersplat.rendering.backends.portable import PortableRasterizer

WIDTH, HEIGHT = 45, 37  # neither is a multiple of the tile


looking = partial(gaussian_cloud.looking, width=WIDTH, height=HEIGHT)


def wide() -> Gaussians:
    """Adds Gaussians behind the camera, far outside, across the border, in the camera, and one too faint to see."""
    far = cloud(12, seed=5, spread=4.0)
    faint = replace(cloud(2, seed=6), opacity_logits=torch.tensor([-5.6, -9.0]))
    inside = replace(cloud(1, seed=7), means=torch.tensor([[2.497, -1.499, 1.001]]))
    return concatenate([cloud(40), far, faint, inside])


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_images_equal_the_brute_force(degree: int) -> None:
    gaussians = wide()
    channels = torch.randn(len(gaussians), 7, generator=torch.Generator().manual_seed(1))
    background = torch.tensor([0.2, 0.5, 0.9])
    camera = looking(EYE)
    with torch.no_grad():
        rendering = PortableRasterizer().render(gaussians, [camera], channels=channels, sh_degree=degree, background=background)
        expected = brute.render(brute.double(gaussians), camera, channels.double(), degree, background)
    assert rendering.channels is not None
    assert float(expected.alpha.max()) > 0.9
    assert float(expected.alpha.min()) < 0.2
    assert_close(rendering.color[0], expected.color, 2e-5)
    assert_close(rendering.alpha[0], expected.alpha, 2e-5)
    assert_close(rendering.depth[0], expected.depth, 2e-5)
    assert_close(rendering.channels[0], expected.channels, 2e-5)


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
@pytest.mark.parametrize("channel_count", [0, 1, 16, 19])
def test_all_gradients_equal_those_of_the_brute_force(degree: int, channel_count: int) -> None:
    gaussians = leaves(wide())
    generator = torch.Generator().manual_seed(2)
    channels = torch.randn(len(gaussians), channel_count, generator=generator).requires_grad_()
    background = torch.tensor([0.2, 0.5, 0.9], requires_grad=True)
    camera = looking(EYE)
    rendering = PortableRasterizer().render(gaussians, [camera], channels=channels, sh_degree=degree, background=background)
    raw = brute.double(gaussians)
    raw_channels, raw_background = channels.detach().double().requires_grad_(), background.detach().double().requires_grad_()
    expected = brute.render(raw, camera, raw_channels, degree, raw_background)
    assert rendering.channels is not None
    loss, expected_loss = torch.zeros(()), torch.zeros((), dtype=torch.float64)
    for actual, other in (
        (rendering.color, expected.color),
        (rendering.alpha, expected.alpha),
        (rendering.depth, expected.depth),
        (rendering.channels, expected.channels),
    ):
        factor = torch.randn(actual.shape[1:], generator=generator)
        loss = loss + (actual[0] * factor).sum()
        expected_loss = expected_loss + (other * factor.double()).sum()
    loss.backward()
    expected_loss.backward()
    for name in RAW:
        assert_close(getattr(gaussians, name).grad, raw[name].grad, 2e-4)
    assert background.grad is not None
    assert raw_background.grad is not None
    assert_close(background.grad, raw_background.grad, 1e-4)
    if channel_count:
        assert channels.grad is not None
        assert raw_channels.grad is not None
        assert_close(channels.grad, raw_channels.grad, 1e-4)


@pytest.mark.parametrize("output", ["color", "alpha", "depth", "channels"])
def test_a_loss_on_one_output_alone_has_the_right_gradient(output: str) -> None:
    gaussians, camera = leaves(cloud(30, degree=1)), looking(EYE)
    channels = torch.rand(30, 2)
    (getattr(PortableRasterizer().render(gaussians, [camera], channels=channels), output) ** 2).sum().backward()
    raw = brute.double(gaussians)
    (getattr(brute.render(raw, camera, channels.double()), output) ** 2).sum().backward()
    for name in RAW:
        expected = raw[name].grad
        if expected is None or not expected.any():
            assert not getattr(gaussians, name).grad.any()
        else:
            assert_close(getattr(gaussians, name).grad, expected, 2e-4)


def test_gradients_equal_finite_differences() -> None:
    # large and half transparent: no pixel comes near a threshold, where the loss jumps
    gaussians, camera = cloud(8, degree=2, seed=3, spread=0.3), looking(EYE)
    gaussians = leaves(replace(gaussians, log_scales=gaussians.log_scales * 0.3 + 1.0, opacity_logits=gaussians.opacity_logits * 0.2))
    factor = torch.randn(1, HEIGHT, WIDTH, 3, generator=torch.Generator().manual_seed(4))

    def loss(scene: Gaussians) -> Tensor:
        return (PortableRasterizer().render(scene, [camera]).color.double() * factor).sum()

    loss(gaussians).backward()
    step = 1e-2
    for name in RAW:
        tensor = getattr(gaussians, name)
        flat = tensor.grad.view(-1)
        for entry in flat.abs().argsort(descending=True)[:3].tolist():  # the largest: there the noise of float32 is small
            values = []
            for sign in (1, -1):
                moved = tensor.detach().clone()
                moved.view(-1)[entry] += sign * step
                with torch.no_grad():
                    values.append(loss(replace(gaussians.detach(), **{name: moved})))
            estimate = float(values[0] - values[1]) / (2 * step)
            assert float(flat[entry]) == pytest.approx(estimate, rel=0.01, abs=2e-3), (name, entry)


def test_several_cameras_are_the_single_ones_and_their_gradients_add_up() -> None:
    cameras = [looking(eye) for eye in (EYE, (-2.0, -2.0, 0.5), (0.5, 2.5, -1.0))]
    together, alone = leaves(cloud()), leaves(cloud())
    channels = torch.rand(60, 5)
    channels_together, channels_alone = channels.clone().requires_grad_(), channels.clone().requires_grad_()
    rasterizer = PortableRasterizer()
    rendering = rasterizer.render(together, cameras, channels=channels_together)
    assert rendering.channels is not None
    (rendering.color.square().sum() + rendering.channels.square().sum()).backward()
    for i, camera in enumerate(cameras):
        single = rasterizer.render(alone, [camera], channels=channels_alone)
        assert single.channels is not None
        assert torch.equal(single.color[0], rendering.color[i])
        assert torch.equal(single.channels[0], rendering.channels[i])
        (single.color.square().sum() + single.channels.square().sum()).backward()
    for name in RAW:
        torch.testing.assert_close(getattr(together, name).grad, getattr(alone, name).grad, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(channels_together.grad, channels_alone.grad, rtol=1e-5, atol=1e-4)


def test_an_opaque_pile_stops_early_and_hides_what_is_behind() -> None:
    n = 200
    depths = torch.linspace(2.0, 3.0, n)[torch.randperm(n, generator=torch.Generator().manual_seed(0))]
    means = torch.stack([torch.zeros(n), torch.zeros(n), depths], 1)
    pile = leaves(
        Gaussians(means, torch.tensor([[1.0, 0, 0, 0]]).repeat(n, 1), torch.full((n, 3), 0.5), torch.full((n,), 1.0), torch.randn(n, 1, 3))
    )
    camera = Camera("pile", WIDTH, HEIGHT, np.array([[30.0, 0, 22], [0, 30, 18], [0, 0, 1]]), np.eye(4))
    rendering = PortableRasterizer().render(pile, [camera])
    raw = brute.double(pile)
    expected = brute.render(raw, camera)
    # the last splat before the stop can be decided the other way by rounding: a weight of at most a few 1e-4
    assert float((rendering.color[0] - expected.color).detach().abs().max()) < 2e-3
    assert float(rendering.alpha.detach().min()) > 0.999
    rendering.color.sum().backward()
    expected.color.sum().backward()
    hidden = depths > 2.2
    assert not pile.sh.grad[hidden].any()  # type: ignore[index]
    assert not pile.means.grad[hidden].any()  # type: ignore[index]
    assert_close(pile.sh.grad, raw["sh"].grad, 2e-3)  # type: ignore[arg-type]


def test_one_gaussian_has_the_closed_form() -> None:
    camera = Camera("one", 21, 21, np.array([[20.0, 0, 10.5], [0, 20, 10.5], [0, 0, 1]]), np.eye(4))
    sigma, depth, opacity = 0.3, 4.0, 0.8
    one = Gaussians(
        torch.tensor([[0.0, 0.0, depth]]),
        torch.tensor([[2.0, 0, 0, 0]]),
        torch.full((1, 3), float(np.log(sigma))),
        torch.logit(torch.tensor([opacity])),
        torch.tensor([[[0.2, -0.1, 0.4]]]),
    )
    rendering = PortableRasterizer().render(one, [camera])
    variance = (20 * sigma / depth) ** 2 + 0.3
    for offset in (0, 2, 4):
        alpha = opacity * np.exp(-(offset**2) / 2 / variance)
        assert float(rendering.alpha[0, 10, 10 + offset]) == pytest.approx(alpha, rel=1e-5)
        assert float(rendering.depth[0, 10 - offset, 10]) == pytest.approx(alpha * depth, rel=1e-5)
        expected = alpha * (0.5 + SH_C0 * np.array([0.2, -0.1, 0.4]))
        np.testing.assert_allclose(rendering.color[0, 10 + offset, 10].numpy(), expected, rtol=1e-5)
    assert float(rendering.alpha[0, 0, 0]) == 0.0


def test_nothing_nearer_than_the_cameras_near_plane_is_drawn() -> None:
    scene = cloud(200)
    camera = looking(EYE)
    depth = scene.means.detach() @ torch.tensor(camera.rotation[2].tolist()) + float(camera.translation[2])
    near = float(depth.median())
    clipped = PortableRasterizer().render(scene, [replace(camera, near=near)])
    without = PortableRasterizer().render(scene[torch.nonzero(depth > near)[:, 0]], [camera])
    assert torch.equal(clipped.color, without.color)
    assert not torch.equal(clipped.color, PortableRasterizer().render(scene, [camera]).color)


def test_the_same_inputs_give_the_same_bits_with_any_number_of_threads() -> None:
    import numba

    results = []
    before = numba.get_num_threads()
    for threads in (before, 1, before):
        numba.set_num_threads(threads)
        try:
            gaussians = leaves(cloud(3000))
            channels = torch.rand(3000, 20, generator=torch.Generator().manual_seed(1)).requires_grad_()
            rendering = PortableRasterizer().render(gaussians, [looking(EYE, width=200, height=150)], channels=channels)
            assert rendering.channels is not None
            (rendering.color.square().sum() + rendering.depth.sum() + rendering.channels.square().sum()).backward()
        finally:
            numba.set_num_threads(before)
        results.append([rendering.color, *[getattr(gaussians, name).grad for name in RAW], channels.grad])
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_threads_can_render_at_the_same_time() -> None:
    gaussians, camera = cloud(2000), looking(EYE, width=160, height=120)
    rasterizer = PortableRasterizer()
    with torch.no_grad():
        expected = rasterizer.render(gaussians, [camera]).color

    def draw(_: int) -> Tensor:
        with torch.no_grad():
            return rasterizer.render(gaussians, [camera]).color

    with ThreadPoolExecutor(4) as pool:
        assert all(torch.equal(color, expected) for color in pool.map(draw, range(40)))


def test_a_channel_of_zeros_is_blended_to_zeros_but_has_a_gradient() -> None:
    channels = torch.zeros(60, 2, requires_grad=True)
    blended = PortableRasterizer().render(cloud(), [looking(EYE)], channels=channels).channels
    assert blended is not None
    assert not blended.any()
    blended.sum().backward()
    assert channels.grad is not None
    assert float(channels.grad.sum()) > 100


def test_nothing_in_view_renders_the_background() -> None:
    background = torch.tensor([0.1, 0.2, 0.3])
    behind = replace(cloud(4), means=torch.tensor([[5.0, -3.0, 2.0]]).repeat(4, 1))
    for gaussians in (cloud(0), behind):
        moving = leaves(gaussians)
        rendering = PortableRasterizer().render(moving, [looking(EYE)], channels=torch.ones(len(gaussians), 2), background=background)
        assert rendering.channels is not None
        assert torch.equal(rendering.color, background.expand(1, HEIGHT, WIDTH, 3))
        for output in (rendering.alpha, rendering.depth, rendering.channels):
            assert not output.any()
        rendering.color.sum().backward()
        assert moving.means.grad is not None
        assert not moving.means.grad.any()


def test_broken_gaussians_are_not_drawn_and_do_not_spoil_the_others() -> None:
    good = cloud(20)
    bad = cloud(6, seed=9)
    bad.means[0] = torch.nan
    bad.means[1, 2] = torch.inf
    bad.log_scales[2] = torch.nan
    bad.log_scales[3] = 1e4
    bad.quats[4] = 0.0
    bad.opacity_logits[5] = torch.nan
    expected = PortableRasterizer().render(good, [looking(EYE)])
    mixed = leaves(concatenate([good, bad]))
    rendering = PortableRasterizer().render(mixed, [looking(EYE)])
    assert torch.equal(rendering.color, expected.color)
    rendering.color.square().sum().backward()
    for name in RAW:
        assert torch.isfinite(getattr(mixed, name).grad[:20]).all()


def test_channels_alone_ask_for_no_gradient_of_the_gaussians() -> None:
    gaussians, channels = cloud(), torch.rand(60, 3, requires_grad=True)
    rendering = PortableRasterizer().render(gaussians, [looking(EYE)], channels=channels)
    assert rendering.channels is not None
    rendering.channels.sum().backward()
    expected = brute.render(brute.double(gaussians), looking(EYE)).weights.sum((0, 1))
    assert channels.grad is not None
    for column in range(3):
        assert_close(channels.grad[:, column], expected.detach(), 2e-5)


def test_wrong_shapes_are_refused_in_one_sentence() -> None:
    rasterizer, gaussians = PortableRasterizer(), cloud(5)
    camera = looking(EYE)
    with pytest.raises(ShapeError, match="at least one camera"):
        rasterizer.render(gaussians, [])
    with pytest.raises(ShapeError, match="one size"):
        rasterizer.render(gaussians, [camera, camera.resized(20, 20)])
    with pytest.raises(ShapeError, match="one near plane"):
        rasterizer.render(gaussians, [camera, replace(camera, near=0.5)])
    with pytest.raises(ShapeError, match="channels"):
        rasterizer.render(gaussians, [camera], channels=torch.zeros(4, 2))
    with pytest.raises(ShapeError, match="channels"):
        rasterizer.render(gaussians, [camera], channels=torch.zeros(5))
    with pytest.raises(ShapeError, match="channels"):
        rasterizer.render(gaussians, [camera], channels=torch.zeros(5, 2, dtype=torch.float64))
    with pytest.raises(ShapeError, match="background"):
        rasterizer.render(gaussians, [camera], background=torch.zeros(4))
    with pytest.raises(ShapeError, match="sh_degree"):
        rasterizer.render(gaussians, [camera], sh_degree=-1)
