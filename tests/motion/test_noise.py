from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.motion.noise import noise_shares, squared_residuals, usual_shares
from trackersplat.motion.ops.results import Triangulation
from trackersplat.motion.ops.triangulate import Observations, triangulate
from trackersplat.motion.settings import NoiseSettings, TriangulateSettings

SETTINGS = NoiseSettings()
FIRST = 0.3  # px, the noise that the variances assume


def noisy(
    cameras: list[Camera], noise: float, count: int = 3000, seed: int = 0, roughness: float = 0.0, wrong: float = 0.0
) -> tuple[Triangulation, Tensor, Tensor]:
    """Solved from tracks of known noise and roughness in px, some of them wrong, with the variances (V, N) and the rough part."""
    rng = np.random.default_rng(seed)
    means = rng.uniform(-0.4, 0.4, (count, 3))
    moves = rng.normal(size=(count, 3)) * 0.1
    exact = np.stack([camera.project(means + moves)[0] - camera.project(means)[0] for camera in cameras])
    gain, spread = rng.uniform(1.0, 2.0, exact.shape[:2]), rng.uniform(0.0, 2.0 * roughness, exact.shape[:2])
    off = rng.normal(size=exact.shape) * np.sqrt((noise**2 + spread**2) * gain)[..., None]
    jumps = rng.uniform(size=exact.shape[:2]) < wrong
    off += 30.0 * rng.normal(size=exact.shape) * jumps[..., None]
    rough = torch.tensor(spread**2 * gain)
    variances = torch.tensor(FIRST**2 * gain) + rough
    solved = triangulate(cameras, torch.tensor(means), Observations(torch.tensor(exact + off), variances), TriangulateSettings())
    return solved, variances, rough


def usual(solved: Triangulation, variances: Tensor, rough: Tensor, targets: int = 1) -> Tensor:
    found = torch.arange(len(solved.views))
    squares = squared_residuals(solved.residual_px, solved.views, variances, rough)
    return usual_shares(squares, solved.views, found, targets, len(found) // targets, SETTINGS)


def shares(solved: Triangulation, variances: Tensor, rough: Tensor, targets: int = 1) -> Tensor:
    found = torch.arange(len(solved.views))
    return noise_shares(solved.residual_px, solved.views, variances, rough, found, targets, len(found) // targets, SETTINGS)


@pytest.mark.parametrize(("noise", "off"), [(0.03, 0.03), (0.1, 0.03), (0.25, 0.1)])
def test_the_noise_of_tracks_is_found_to_a_few_percent(cameras: list[Camera], noise: float, off: float) -> None:
    """Somewhat less well near what was assumed: robust weights hold the largest residuals for wrong tracks then."""
    assert FIRST * float(usual(*noisy(cameras, noise)).sqrt()) == pytest.approx(noise, rel=off)


@pytest.mark.parametrize(("roughness", "off"), [(0.05, 0.1), (0.2, 0.2)])
def test_roughness_within_footprints_is_not_taken_for_noise(cameras: list[Camera], roughness: float, off: float) -> None:
    """Twice as much of it as of noise, on the average, would otherwise more than double the noise."""
    assert FIRST * float(usual(*noisy(cameras, 0.1, roughness=roughness)).sqrt()) == pytest.approx(0.1, rel=off)


def test_a_few_wrong_tracks_do_not_matter(cameras: list[Camera]) -> None:
    assert FIRST * float(usual(*noisy(cameras, 0.1, wrong=0.05)).sqrt()) == pytest.approx(0.1, rel=0.1)


def test_pixels_of_another_size_change_nothing(cameras: list[Camera]) -> None:
    solved, variances, rough = noisy(cameras, 0.1, 200, roughness=0.1)
    found = torch.arange(200)
    expected = noise_shares(solved.residual_px, solved.views, variances, rough, found, 1, 200, SETTINGS)
    for size in (0.01, 7.0):
        scaled = noise_shares(size * solved.residual_px, solved.views, size**2 * variances, size**2 * rough, found, 1, 200, SETTINGS)
        torch.testing.assert_close(scaled, expected)


def test_noise_is_at_least_a_fiftieth_of_a_pixel_and_at_most_what_was_assumed(cameras: list[Camera]) -> None:
    assert FIRST * shares(*noisy(cameras, 0.0)).sqrt().unique().numpy() == pytest.approx([0.0212], abs=1e-4)
    much = shares(*noisy(cameras, 1.0))
    assert much.median() > 0.9
    assert much.max() == 1.0


def test_each_target_has_its_own_noise(cameras: list[Camera]) -> None:
    parts = [noisy(cameras, noise, 1000) for noise in (0.05, 0.15, 0.1)]
    residual, views = (torch.cat([getattr(solved, name) for solved, _, _ in parts]) for name in ("residual_px", "views"))
    variances, rough = torch.cat([v for _, v, _ in parts], dim=1), torch.cat([r for _, _, r in parts], dim=1)
    found = torch.arange(3000)[torch.arange(3000) % 1000 < 900]  # not all of them move
    kept = residual[found], views[found], variances[:, found], rough[:, found], found
    assert (FIRST * usual_shares(squared_residuals(*kept[:4]), views[found], found, 3, 1000, SETTINGS).sqrt()).tolist() == pytest.approx(
        [0.05, 0.15, 0.1], rel=0.08
    )
    for target in range(3):
        own = found[found // 1000 == target]
        alone = noise_shares(residual[own], views[own], variances[:, own], rough[:, own], own - 1000 * target, 1, 1000, SETTINGS)
        torch.testing.assert_close(noise_shares(*kept, 3, 1000, SETTINGS)[found // 1000 == target], alone)


def test_a_gaussian_whose_views_agree_less_than_others_do_has_more_noise(cameras: list[Camera]) -> None:
    """In closed form: 40 of one noise, each with the median of chi^2, and one that is off by half of what was assumed."""
    variances, rough = torch.full((6, 41), 0.09).double(), torch.zeros(6, 41).double()
    views = torch.full((41,), 6)
    median = (1 - 2 / 81) ** 3  # of nine degrees of freedom
    residual = torch.full((41,), 0.1 * np.sqrt(9 * median / 6)).double()
    residual[7] = 0.15
    found = torch.arange(41)
    assert float(usual_shares(squared_residuals(residual, views, variances, rough), views, found, 1, 41, SETTINGS)) == pytest.approx(1 / 9)
    result = noise_shares(residual, views, variances, rough, found, 1, 41, SETTINGS)
    assert float(result[0]) == pytest.approx((4 / 9 + 9 * median / 9) / 13)
    assert float(result[7]) == pytest.approx((4 / 9 + 0.15**2 * 6 / 0.09) / 13)


def test_few_gaussians_or_few_views_tell_nothing_of_all(cameras: list[Camera]) -> None:
    for count, views in ((29, 5), (1000, 3)):
        solved, variances, rough = noisy(cameras[:views], 0.1, count)
        assert usual(solved, variances, rough).tolist() == [1.0]
        freedom = 2 * views - 3
        assert shares(solved, variances, rough).min() >= 4 / (4 + freedom)
    nothing = torch.zeros(0, dtype=torch.int64)
    assert noise_shares(torch.zeros(0).double(), nothing, torch.zeros(5, 0), torch.zeros(5, 0), nothing, 1, 0, SETTINGS).shape == (0,)
