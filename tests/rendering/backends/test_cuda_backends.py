"""The back ends for CUDA draw the same picture as portable and give the same gradients. Needs a CUDA GPU and gsplat or Triton."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from gaussian_cloud import RAW, leaves
from torch import Tensor

from trackersplat.benchmarks.rendering import scene_camera, surface_scene
from trackersplat.captures.camera import Camera
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.rendering.backends.portable import PortableRasterizer
from trackersplat.rendering.lift import lift
from trackersplat.rendering.rasterizer import Rasterizer, Rendering
from trackersplat.rendering.registry import BACKENDS, choose_rasterizer

pytestmark = [pytest.mark.cuda, pytest.mark.timeout(600)]  # the first use compiles kernels

# the two cap alpha differently (see rendering/rules.py), and single pixels stop one Gaussian earlier or later
MEAN, WORST = 2e-4, 2e-2


@pytest.fixture(scope="module", params=[facts.name for facts in BACKENDS if facts.device == "cuda"])
def rasterizer(request: pytest.FixtureRequest) -> Rasterizer:
    if (missing := BACKENDS.why_unavailable(request.param)) is not None:
        pytest.skip(f"{request.param} cannot run here: {missing}")
    return choose_rasterizer(backend=request.param)


def capped_scene(count: int = 5000, degree: int = 3) -> Gaussians:
    """No opacity above 0.97, so that neither cap is reached."""
    scene = surface_scene(count, degree)
    return Gaussians(**(scene.tensors() | {"opacity_logits": scene.opacity_logits.clamp(max=3.4)}))


def rendered(
    rasterizer: Rasterizer, scene: Gaussians, channel_count: int, degree: int = 3, background: Tensor | None = None
) -> tuple[Rendering, Gaussians, Tensor]:
    camera = scene_camera(160, 120)
    other = replace(camera, K=camera.K + np.array([[20.0, 0, 13.0], [0, 0, -9.0], [0, 0, 0]]))
    moving = leaves(scene, rasterizer.device)
    channels = torch.randn(len(scene), channel_count, generator=torch.Generator().manual_seed(1)).to(rasterizer.device).requires_grad_()
    background = None if background is None else background.to(rasterizer.device)
    result = rasterizer.render(moving, [camera, other], channels=channels, sh_degree=degree, background=background)
    return result, moving, channels


def assert_near(actual: Tensor, expected: Tensor, mean: float = MEAN, worst: float = WORST) -> None:
    """Mean and largest difference, relative to the largest expected value."""
    difference = (actual.detach().cpu() - expected.detach()).abs() / float(expected.detach().abs().max())
    assert float(difference.mean()) < mean, f"mean difference {float(difference.mean()):.2e}"
    assert float(difference.max()) < worst, f"largest difference {float(difference.max()):.2e}"


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
@pytest.mark.parametrize("channel_count", [1, 12, 60])
def test_images_agree(rasterizer: Rasterizer, degree: int, channel_count: int) -> None:
    background = torch.tensor([0.3, 0.6, 0.1])
    ours, _, _ = rendered(PortableRasterizer(), capped_scene(), channel_count, degree, background)
    theirs, _, _ = rendered(rasterizer, capped_scene(), channel_count, degree, background)
    for name in ("color", "alpha", "depth", "channels"):
        assert getattr(theirs, name).shape == getattr(ours, name).shape
        assert_near(getattr(theirs, name), getattr(ours, name))


@pytest.mark.parametrize("channel_count", [1, 12])
def test_gradients_agree(rasterizer: Rasterizer, channel_count: int) -> None:
    results = []
    for one in (PortableRasterizer(), rasterizer):
        rendering, moving, channels = rendered(one, capped_scene(), channel_count)
        assert rendering.channels is not None
        generator, loss = torch.Generator().manual_seed(2), torch.zeros((), device=one.device)
        for output in (rendering.color, rendering.alpha, rendering.depth, rendering.channels):
            loss = loss + (output * torch.randn(output.shape, generator=generator).to(one.device)).sum()
        loss.backward()
        results.append([getattr(moving, name).grad for name in RAW] + [channels.grad])
    for ours, theirs in zip(*results, strict=True):
        assert_near(theirs, ours, mean=1e-3, worst=5e-2)


def test_without_channels_and_background_the_image_is_the_same(rasterizer: Rasterizer) -> None:
    scene, camera = capped_scene(), scene_camera(160, 120)
    with torch.no_grad():
        ours = PortableRasterizer().render(scene, [camera])
        theirs = rasterizer.render(scene.to("cuda"), [camera])
    assert theirs.channels is None
    assert_near(theirs.color, ours.color)
    assert_near(theirs.depth, ours.depth)


@pytest.mark.parametrize("background", [None, (0.3, 0.6, 0.1)])
def test_colours_alone_and_their_gradients_are_those_of_the_whole_rendering(
    rasterizer: Rasterizer, background: tuple[float, float, float] | None
) -> None:
    camera = scene_camera(160, 120)
    behind = None if background is None else torch.tensor(background, device=rasterizer.device)
    weights = torch.randn(1, 120, 160, 3, generator=torch.Generator().manual_seed(4)).to(rasterizer.device)
    fused = rasterizer.fused_color()
    assert fused is not None
    found = []
    for alone in (True, False):
        scene = leaves(capped_scene(degree=2), rasterizer.device)
        if alone:
            color = fused(scene, camera, background=behind, sh_degree=1)
        else:
            color = rasterizer.render(scene, [camera], background=behind, sh_degree=1).color
        (color * weights).sum().backward()
        found.append([color, *(tensor.grad for tensor in scene.tensors().values())])
    for one, other in zip(*found, strict=True):
        assert_near(one, other.cpu(), mean=1e-4, worst=5e-3)


def test_lift_agrees(rasterizer: Rasterizer) -> None:
    scene, camera = capped_scene(), scene_camera(160, 120)
    pose = camera.world_to_camera.copy()
    pose[:3, 3] += (0.2, -0.1, 0.3)
    pair = [camera, replace(camera, world_to_camera=pose)]
    features = torch.randn(2, 120, 160, 70, generator=torch.Generator().manual_seed(3))
    ours = lift(PortableRasterizer(), scene, pair, features)
    theirs = lift(rasterizer, scene.to("cuda"), pair, features.to("cuda"))
    assert not torch.allclose(ours[0], ours[1])
    assert_near(theirs, ours)


def test_nothing_renders_the_background(rasterizer: Rasterizer) -> None:
    empty = surface_scene(10)[:0].to("cuda")
    background = torch.tensor([0.1, 0.2, 0.3], device="cuda")
    rendering = rasterizer.render(empty, [scene_camera(32, 16)], background=background)
    assert torch.equal(rendering.color, background.expand(1, 16, 32, 3))
    assert not rendering.alpha.any()


def test_the_near_plane_is_the_same(rasterizer: Rasterizer) -> None:
    scene, camera = capped_scene(), scene_camera(160, 120)
    depth = scene.means @ torch.tensor(camera.rotation[2].tolist()) + float(camera.translation[2])
    middle = depth.sort().values[len(depth) // 2 :][:2]
    camera = replace(camera, near=float(middle.mean()))  # between two Gaussians, so that rounding decides nothing
    with torch.no_grad():
        ours = PortableRasterizer().render(scene, [camera])
        theirs = rasterizer.render(scene.to("cuda"), [camera])
    assert_near(theirs.color, ours.color)


def _cameras() -> list[Camera]:
    camera = scene_camera(160, 120)
    pose = camera.world_to_camera.copy()
    pose[:3, 3] += (0.2, -0.1, 0.3)
    return [camera, replace(camera, world_to_camera=pose)]


def test_a_recorded_step_renders_the_camera_that_is_asked_for_and_its_gradients(rasterizer: Rasterizer) -> None:
    cameras = _cameras()
    scene, beside = (leaves(capped_scene(degree=1), rasterizer.device) for _ in range(2))
    wanted = torch.zeros(1, dtype=torch.long, device=rasterizer.device)
    repeated, fused = rasterizer.repeated_color(scene, cameras), rasterizer.fused_color()
    assert repeated is not None
    assert fused is not None
    shown, slope = torch.zeros(1, 120, 160, 3, device=rasterizer.device), torch.zeros_like(scene.means)

    def work() -> None:
        color = repeated(scene, wanted)
        shown.copy_(color.detach())
        slope.copy_(torch.autograd.grad(color.square().sum(), scene.means)[0])

    again = repeated.repeatable(work)
    for index in (0, 1, 0, 1, 1, 0):  # from the third on it is recorded
        wanted.fill_(index)
        again()
        expected = fused(beside, cameras[index])
        assert torch.equal(shown, expected)
        assert_near(slope, torch.autograd.grad(expected.square().sum(), beside.means)[0].cpu(), mean=1e-5, worst=1e-3)
    assert repeated.is_complete()


def test_gaussians_that_grow_beyond_their_room_are_told(rasterizer: Rasterizer) -> None:
    cameras = _cameras()
    scene = capped_scene().to("cuda")
    repeated = rasterizer.repeated_color(scene, cameras)
    assert repeated is not None
    larger = replace(scene, log_scales=scene.log_scales + 1.5)
    repeated(larger, torch.zeros(1, dtype=torch.long, device="cuda"))
    assert not repeated.is_complete()


def test_cameras_of_two_sizes_are_not_recorded(rasterizer: Rasterizer) -> None:
    assert rasterizer.repeated_color(capped_scene().to("cuda"), [scene_camera(160, 120), scene_camera(80, 60)]) is None
