"""lift() is sum_p w_ip f_p, exactly."""

from __future__ import annotations

from dataclasses import replace

import brute_force_render as brute
import numpy as np
import pytest
import torch

from trackersplat.benchmarks.rendering import scene_camera, surface_scene
from trackersplat.captures.camera import Camera
from trackersplat.errors import ShapeError
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.rendering.backends.portable import PortableRasterizer
from trackersplat.rendering.lift import lift
from trackersplat.rendering.registry import BACKENDS, choose_rasterizer
from trackersplat.rendering.rules import ALPHA_MAX, GSPLAT_ALPHA_MAX


def on_cuda(backend: str) -> tuple[pytest.MarkDecorator, ...]:
    missing = BACKENDS.why_unavailable(backend)
    return pytest.mark.cuda, pytest.mark.timeout(600), pytest.mark.skipif(missing is not None, reason=f"{backend}: {missing}")


def small_scene(n: int = 50) -> tuple[Gaussians, Camera]:
    generator = torch.Generator().manual_seed(0)
    gaussians = Gaussians(
        torch.randn(n, 3, generator=generator) * torch.tensor([1.0, 1.0, 0.5]) + torch.tensor([0.0, 0.0, 4.0]),
        torch.randn(n, 4, generator=generator),
        torch.randn(n, 3, generator=generator) * 0.4 - 1.6,
        torch.randn(n, generator=generator),
        torch.randn(n, 4, 3, generator=generator),
    )
    return gaussians, Camera("lift", 23, 18, np.array([[20.0, 0, 12.3], [0, 19, 8.1], [0, 0, 1]]), np.eye(4))


@pytest.mark.parametrize("count", [1, 12, 16, 70])
def test_lift_equals_the_brute_force_sum(count: int) -> None:
    gaussians, camera = small_scene()
    features = torch.randn(camera.height, camera.width, count, generator=torch.Generator().manual_seed(count))
    weights = brute.render(brute.double(gaussians), camera).weights.detach()
    expected = torch.einsum("hwn,hwf->nf", weights, features.double())
    assert expected.abs().max() > 1
    actual = lift(PortableRasterizer(), gaussians, [camera], features[None])[0]
    np.testing.assert_allclose(actual.numpy(), expected.numpy(), atol=2e-5 * float(expected.abs().max()))


def test_lifting_ones_gives_the_weights_of_the_image() -> None:
    scene, camera = surface_scene(2000), scene_camera(96, 72)
    with torch.no_grad():
        rasterizer = PortableRasterizer()
        total = lift(rasterizer, scene, [camera], torch.ones(1, 72, 96, 1))[0]
        alpha = rasterizer.render(scene, [camera]).alpha
    assert total.shape == (2000, 1)
    assert float(total.sum()) == pytest.approx(float(alpha.sum()), rel=1e-5)
    assert float(total.min()) >= 0


def test_lift_leaves_no_gradient_on_the_scene() -> None:
    gaussians, camera = small_scene()
    moving = Gaussians(**{name: tensor.requires_grad_() for name, tensor in gaussians.tensors().items()})
    result = lift(PortableRasterizer(), moving, [camera], torch.rand(1, 18, 23, 2))
    assert not result.requires_grad
    assert moving.means.grad is None


def test_the_gradient_is_asked_for_so_that_torch_imports_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    real, asked = torch.autograd.grad, []

    def grad(outputs: torch.Tensor, inputs: torch.Tensor, grad_outputs: torch.Tensor | None = None) -> tuple[torch.Tensor, ...]:
        asked.append((outputs.ndim, grad_outputs))
        return real(outputs, inputs, grad_outputs)

    monkeypatch.setattr(torch.autograd, "grad", grad)
    gaussians, camera = small_scene()
    plain = PortableRasterizer()
    monkeypatch.setattr(plain, "fused_lift", lambda: None)
    lift(plain, gaussians, [camera], torch.ones(1, camera.height, camera.width, 1))
    assert asked == [(0, None)]  # with a gradient of its own, torch imports sympy first: seconds, at the first selection


def test_features_of_another_size_are_refused() -> None:
    gaussians, camera = small_scene()
    for wrong in (torch.zeros(1, 23, 18, 2), torch.zeros(18, 23, 2), torch.zeros(2, 18, 23, 2), torch.zeros(1, 18, 23, 2).double()):
        with pytest.raises(ShapeError, match=r"lift\(\) needs features of shape \(1, 18, 23, F\) float32"):
            lift(PortableRasterizer(), gaussians, [camera], wrong)


def test_every_camera_lifts_its_own() -> None:
    gaussians, camera = small_scene()
    pose = np.eye(4)
    pose[0, 3] = 0.5
    pair = [camera, replace(camera, name="beside", world_to_camera=pose)]
    features = torch.randn(2, camera.height, camera.width, 3, generator=torch.Generator().manual_seed(4))
    together = lift(PortableRasterizer(), gaussians, pair, features)
    for view in range(2):
        alone = lift(PortableRasterizer(), gaussians, pair[view : view + 1], features[view : view + 1])[0]
        torch.testing.assert_close(together[view], alone)


def opaque_piles(n: int = 60) -> Gaussians:
    """Nearly opaque Gaussians on a few lines of sight, several behind each other: opacities from 0.98 to 0.9999."""
    generator = torch.Generator().manual_seed(1)
    depth = 3 + 2 * torch.rand(n, generator=generator)
    slopes = (torch.rand(12, 2, generator=generator) - 0.5)[torch.arange(n) % 12]
    means = torch.cat([slopes * depth[:, None], depth[:, None]], 1)
    opacities = 1 - 10 ** (-4 + 2.3 * torch.rand(n, generator=generator))
    quats = torch.tensor([1.0, 0.0, 0.0, 0.0]).repeat(n, 1)
    return Gaussians(means, quats, torch.full((n, 3), -1.5), torch.logit(opacities), torch.zeros(n, 1, 3))


@pytest.mark.parametrize(
    ("backend", "alpha_max"),
    [
        pytest.param("portable", ALPHA_MAX),
        pytest.param("gsplat", GSPLAT_ALPHA_MAX, marks=on_cuda("gsplat")),
        pytest.param("triton", ALPHA_MAX, marks=on_cuda("triton")),
    ],
)
def test_nearly_opaque_gaussians_lift_as_the_gradient_of_the_same_back_ends_render(backend: str, alpha_max: float) -> None:
    rasterizer = choose_rasterizer(backend=backend)
    scene, camera = opaque_piles(), small_scene()[1]
    features = torch.randn(1, camera.height, camera.width, 3, generator=torch.Generator().manual_seed(2))
    moved = scene.to(rasterizer.device)
    channels = torch.zeros(len(scene), 3, device=rasterizer.device, requires_grad=True)
    blended = rasterizer.render(moved, [camera], channels=channels).channels
    assert blended is not None
    (gradient,) = torch.autograd.grad(blended, channels, features.to(rasterizer.device))
    lifted = lift(rasterizer, moved, [camera], features.to(rasterizer.device))[0]
    scale = float(gradient.abs().max())
    np.testing.assert_allclose(lifted.cpu().numpy(), gradient.cpu().numpy(), atol=2e-4 * scale)
    # and both blend with the cap that rules.py names for this back end, and would not pass with the other
    for cap, fits in ((alpha_max, True), (ALPHA_MAX + GSPLAT_ALPHA_MAX - alpha_max, False)):
        weights = brute.render(brute.double(scene), camera, alpha_cap=float(np.float32(cap))).weights.detach()
        expected = torch.einsum("hwn,hwf->nf", weights, features[0].double())
        assert bool((lifted.cpu() - expected).abs().max() < 1e-3 * scale) == fits


def test_a_mask_is_lifted_to_the_same_bits_alone_and_beside_another_feature() -> None:
    gaussians, camera = small_scene()
    mask = torch.zeros(1, camera.height, camera.width, 1)
    mask[:, :10, 2:9] = 1
    both = lift(PortableRasterizer(), gaussians, [camera], torch.cat((mask, torch.ones_like(mask)), 3))
    alone = lift(PortableRasterizer(), gaussians, [camera], mask)
    assert alone.any()
    assert torch.equal(alone[..., 0], both[..., 0])
