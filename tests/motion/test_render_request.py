from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.motion.render_request import predict, predict_views
from trackersplat.rendering.backends.portable import PortableRasterizer
from trackersplat.rendering.rasterizer import Rendering

Weights = Callable[[Gaussians, Camera], Tensor]


def moved(gaussians: Gaussians, shift: np.ndarray) -> Gaussians:
    return replace(gaussians, means=gaussians.means + torch.tensor(shift, dtype=torch.float32))


def projected_motion(camera: Camera, before: Gaussians, after: Gaussians) -> np.ndarray:
    """(N, 2) float64 px."""
    start, end = (camera.project(state.means.double().numpy())[0] for state in (before, after))
    return end - start


@pytest.fixture
def camera(cameras: list[Camera]) -> Camera:
    return cameras[0]


@pytest.fixture
def crowd(make_gaussians: Callable[..., Gaussians]) -> Gaussians:
    """60 Gaussians over each other, some so faint that they hide little."""
    rng = np.random.default_rng(3)
    gaussians = make_gaussians(rng.uniform(-0.6, 0.6, (60, 3)), scale=0.12, degree=1)
    return replace(gaussians, opacity_logits=torch.tensor(rng.uniform(-3, 3, 60), dtype=torch.float32))


def test_a_pixel_moves_as_the_only_gaussian_that_it_shows(camera: Camera, make_gaussians: Callable[..., Gaussians]) -> None:
    before = make_gaussians(np.array([(0.0, -0.5, 0.3), (0.1, 0.4, -0.2)]), scale=0.03)
    after = moved(before, np.array([(0.1, 0.06, -0.11), (-0.2, -0.13, 0.04)]))
    (prediction,) = predict(PortableRasterizer(), before, [after], camera)
    expected = projected_motion(camera, before, after)
    assert np.abs(expected).min() > 1  # so that no axis or sign can be mistaken
    for state, field, way in ((before, prediction.forward, expected), (after, prediction.backward, -expected)):
        for place, displacement in zip(camera.project(state.means.double().numpy())[0].astype(int), way, strict=True):
            np.testing.assert_allclose(field[place[1], place[0]], displacement, atol=1e-4)
    np.testing.assert_array_equal(prediction.forward[0], 0)  # where nothing is seen
    np.testing.assert_array_equal(prediction.backward[0], 0)
    np.testing.assert_array_equal(prediction.image[0], 0)


def test_where_gaussians_overlap_a_pixel_moves_as_the_mean_of_what_it_shows(
    camera: Camera, crowd: Gaussians, brute_force_weights: Weights
) -> None:
    after = moved(crowd, np.random.default_rng(4).uniform(-0.2, 0.2, (60, 3)))
    (prediction,) = predict(PortableRasterizer(), crowd, [after], camera)
    way = projected_motion(camera, crowd, after)
    for state, field, ways in ((crowd, prediction.forward, way), (after, prediction.backward, -way)):
        weights = brute_force_weights(state, camera).numpy()
        alpha = weights.sum(0)
        assert (alpha[alpha > 0] < 0.05).any()
        expected = np.einsum("nhw,nc->hwc", weights, ways) / np.maximum(alpha, 1e-3)[..., None]
        # A Gaussian at the limit of what is drawn may be drawn by one of the two.
        agree = np.abs(field.numpy() - expected).max(-1) < 1e-3
        assert agree.mean() > 0.99
        assert agree[alpha > 0.2].all()


def test_the_image_is_the_moved_scene_in_the_colours_of_the_camera(camera: Camera, crowd: Gaussians) -> None:
    after = moved(crowd, np.full((60, 3), 0.1))
    gain, offset = torch.tensor((3.0, 1.0, 0.9)), torch.tensor((-0.4, 0.001, 0.25))
    (prediction,) = predict(PortableRasterizer(), crowd, [after], camera, lambda color: color * gain + offset)
    with torch.no_grad():
        color = PortableRasterizer().render(after, [camera]).color[0]
    corrected = (color * gain + offset).numpy()
    assert corrected.min() < 0
    assert corrected.max() > 1
    expected = np.rint(255 * np.clip(corrected, 0, 1)).astype(np.uint8)
    assert prediction.image.dtype == torch.uint8
    np.testing.assert_array_equal(prediction.image, expected)
    assert prediction.image[0, 0].tolist() == [0, 0, 64]  # black as this camera shows it: 0.25 * 255 is rounded up
    (plain,) = predict(PortableRasterizer(), crowd, [after], camera)
    np.testing.assert_array_equal(plain.image, np.rint(255 * np.clip(color.numpy(), 0, 1)))


def test_several_targets_in_one_call_are_the_single_ones(camera: Camera, crowd: Gaussians) -> None:
    rng = np.random.default_rng(5)
    states = [moved(crowd, rng.uniform(-0.2, 0.2, (60, 3))) for _ in range(3)]
    together = predict(PortableRasterizer(), crowd, states, camera)
    assert len(together) == 3
    for state, one in zip(states, together, strict=True):
        (alone,) = predict(PortableRasterizer(), crowd, [state], camera)
        for name in ("image", "forward", "backward"):
            ours, theirs = getattr(one, name), getattr(alone, name)
            np.testing.assert_allclose(ours, theirs, atol=1e-5)
            assert ours.dtype == theirs.dtype
            assert ours.is_contiguous()
        assert one.forward.dtype == one.backward.dtype == torch.float32


def test_several_cameras_in_one_call_are_the_single_ones_each_in_its_colours(cameras: list[Camera], crowd: Gaussians) -> None:
    states = [moved(crowd, np.full((60, 3), shift)) for shift in (0.1, -0.05)]
    colours: list[Callable[[Tensor], Tensor]] = [lambda color, gain=gain: gain * color for gain in (1.0, 0.6, 0.3)]  # type: ignore[misc]
    together = predict_views(PortableRasterizer(), crowd, states, cameras[:3], colours)
    for camera, correct, of_camera in zip(cameras[:3], colours, together, strict=True):
        alone = predict(PortableRasterizer(), crowd, states, camera, correct)
        for ours, theirs in zip(of_camera, alone, strict=True):
            np.testing.assert_array_equal(ours.image, theirs.image)
            np.testing.assert_allclose(ours.forward, theirs.forward, atol=1e-5)
            np.testing.assert_allclose(ours.backward, theirs.backward, atol=1e-5)


class Watched(PortableRasterizer):
    """Keeps the channels that it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[Tensor] = []

    def render(
        self,
        gaussians: Gaussians,
        cameras: Sequence[Camera],
        *,
        channels: Tensor | None = None,
        sh_degree: int | None = None,
        background: Tensor | None = None,
    ) -> Rendering:
        assert channels is not None
        assert not torch.is_grad_enabled()
        self.given.append(channels)
        return super().render(gaussians, cameras, channels=channels, sh_degree=sh_degree, background=background)


def test_what_goes_behind_the_camera_has_finite_displacements(camera: Camera, crowd: Gaussians) -> None:
    axis = camera.rotation[2]
    shift = np.zeros((60, 3))
    shift[:20] = -8 * axis  # all is about 3.5 in front
    shift[20] = camera.center - crowd.means[20].double().numpy()
    before = replace(crowd, means=crowd.means.clone())
    before.means[21] = torch.tensor(camera.center - axis, dtype=torch.float32)
    before.means[22] = torch.tensor(1e32 * camera.rotation[0] - 1e32 * axis, dtype=torch.float32)
    after = moved(before, shift)
    after.means[23] = float("inf")
    rasterizer = Watched()
    (prediction,) = predict(rasterizer, before, [after], camera)
    for channels in rasterizer.given:
        assert torch.isfinite(channels).all()
    assert len(rasterizer.given) == 2
    for field in (prediction.forward, prediction.backward):
        assert torch.isfinite(field).all()
    rest = crowd[24:]
    (expected,) = predict(PortableRasterizer(), rest, [rest], camera)
    np.testing.assert_array_equal(expected.forward, 0)
    np.testing.assert_array_equal(prediction.backward, expected.backward)  # nothing that is still seen has moved
    np.testing.assert_array_equal(prediction.image, expected.image)
