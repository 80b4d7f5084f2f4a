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
