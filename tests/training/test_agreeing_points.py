"""The kernels that find what appears, against the plain code that they stand in for."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from quad_scene import look_at

from trackersplat.training.refine.agreeing_points import agreeing_points, wrong_pixels
from trackersplat.training.refine.compared_views import ComparedViews, colour_errors
from trackersplat.training.refine.settings import ReplaceFaintSettings


def _views(device: torch.device | None = None) -> ComparedViews:
    """Five cameras of two sizes before a bumpy wall that they see in colours of its points; three see something else in its middle."""
    places = [(-0.6, 0.0, 0.1), (-0.3, -0.2, 0.0), (0.0, 0.1, 0.0), (0.3, -0.1, -0.1), (0.6, 0.2, 0.0)]
    cameras = tuple(look_at(f"cam{i}", place, *((23, 17, 24) if i % 2 else (20, 15, 22))) for i, place in enumerate(places))
    random = torch.Generator().manual_seed(3)
    count = sum(camera.width * camera.height for camera in cameras)
    images = (110 + 40 * torch.rand(count, 3, generator=random)).byte()
    depths = 3.5 + 0.2 * torch.rand(count, generator=random)
    errors = 0.25 * torch.rand(count, generator=random)
    views = ComparedViews(cameras, images, depths, errors)
    if device is None:
        return views
    return ComparedViews(cameras, *(tensor.to(device) for tensor in (images, depths, errors)))


SETTINGS = ReplaceFaintSettings(views=3, agree=0.3)


def test_wrong_pixels_are_all_where_they_are_few() -> None:
    views = _views()
    found = wrong_pixels(views, 0.12, 5000, torch.Generator().manual_seed(0))
    assert torch.equal(found, torch.nonzero(views.errors > 0.12)[:, 0])
    assert len(wrong_pixels(views, 0.3, 5000, torch.Generator().manual_seed(0))) == 0


def test_of_many_wrong_pixels_each_is_drawn_as_often() -> None:
    views = _views()
    wrong = torch.nonzero(views.errors > 0.12)[:, 0]
    times = torch.zeros(len(views.errors))
    for seed in range(400):
        found = wrong_pixels(views, 0.12, 100, torch.Generator().manual_seed(seed))
        assert len(found) == 100
        assert (found.diff() >= 0).all()
        times[found] += 1
    assert times.sum() == times[wrong].sum()
    expected = 400 * 100 / len(wrong)
    assert (times[wrong] - expected).abs().max() < 6 * expected**0.5


@pytest.mark.cuda
def test_the_errors_of_colours_are_those_of_the_pooled_differences(device: torch.device) -> None:
    from trackersplat.training.refine.compared_views_triton import colour_errors as fused

    random = torch.Generator().manual_seed(1)
    color = torch.rand(2, 13, 21, 3, generator=random)
    images = (255 * torch.rand(2, 13, 21, 3, generator=random)).byte()
    torch.testing.assert_close(fused(color.to(device), images.to(device)).cpu(), colour_errors(color, images), rtol=1e-5, atol=1e-6)


@pytest.mark.cuda
@pytest.mark.parametrize(("depths", "alike"), [(11, 0.035), (1, 0.05)])
def test_the_points_of_the_rays_are_those_of_the_plain_search(device: torch.device, depths: int, alike: float) -> None:
    from trackersplat.training.refine.agreeing_points_triton import agreeing_points as fused

    settings = replace(SETTINGS, depths=depths, alike=alike)
    views = _views()
    pixels = wrong_pixels(views, 0.12, 160, torch.Generator().manual_seed(0))
    expected = agreeing_points(views, pixels, settings)
    beyond = torch.cat((pixels, torch.full((5,), -1)))  # a GPU is given more than there are
    means, colours, costs, sizes = fused(_views(device), beyond.to(device), settings).cpu().split((3, 3, 1, 1), dim=1)
    exists = expected.costs < torch.inf
    assert 30 < exists.sum() < len(pixels) - 30
    assert torch.isinf(costs[len(pixels) :]).all()
    means, colours, costs, sizes = (values[: len(pixels)] for values in (means, colours, costs[:, 0], sizes[:, 0]))
    # Where a point is at the border of a pixel, rounding decides what it shows.
    same = torch.isclose(costs, expected.costs, rtol=1e-4, atol=1e-6)
    assert same.double().mean() > 0.98
    chosen = same & exists
    near = (means - expected.means).norm(dim=1) < 1e-4
    assert near[chosen].double().mean() > 0.98
    chosen &= near
    torch.testing.assert_close(colours[chosen], expected.colours[chosen], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(sizes[chosen], expected.sizes[chosen], rtol=1e-4, atol=1e-6)


@pytest.mark.cuda
def test_on_a_gpu_what_is_left_over_of_the_rays_has_no_pixel(device: torch.device) -> None:
    found = wrong_pixels(_views(device), 0.2, 5000, torch.Generator(device).manual_seed(0)).cpu()
    assert len(found) == (5000 if device.type == "cuda" else int((found >= 0).sum()))
    assert torch.equal(found[found >= 0], torch.nonzero(_views().errors > 0.2)[:, 0])
