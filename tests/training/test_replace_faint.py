"""What appears in front of a wall replaces Gaussians that nobody sees."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from quad_scene import look_at
from torch import Tensor

from trackersplat.captures.capture import Capture
from trackersplat.gaussians.gaussians import SH_C0, Gaussians, concatenate
from trackersplat.rendering.backends.portable import PortableRasterizer
from trackersplat.training.first_frame.optimise import held_out_psnr
from trackersplat.training.fit import FitDone
from trackersplat.training.optimiser import TrainingViews
from trackersplat.training.refine.adam import refine
from trackersplat.training.refine.replace_faint import appearing, replace_faint
from trackersplat.training.refine.settings import RefineSettings, ReplaceFaintSettings
from trackersplat.training.refine.task import RefineTask

RASTERIZER = PortableRasterizer()
SETTINGS = ReplaceFaintSettings(share=0.1)
BALL, RADIUS, RED = (0.1, -0.2, 3.3), 0.15, (0.8, 0.15, 0.15)
FAINT = (3, 5, 40, 41, 500, 900)  # of the wall, the first ones faintest


class _Stored:
    """Images that are there already; the held-out one, the last, must not be looked at unless that is allowed."""

    def __init__(self, images: list[np.ndarray], secret: bool) -> None:
        self._images, self._secret = images, secret

    def read(self, camera: int, frame: int) -> np.ndarray:
        assert not (self._secret and camera == len(self._images) - 1), "the held-out camera was looked at"
        return self._images[camera]

    def prefetch(self, wanted: Iterable[tuple[int, int]]) -> None:
        pass

    def close(self) -> None:
        pass


def _round(means: Tensor, size: float, opacity: Tensor, colours: Tensor) -> Gaussians:
    n = len(means)
    quats = torch.tensor([[1.0, 0, 0, 0]]).repeat(n, 1)
    return Gaussians(means, quats, torch.full((n, 3), size).log(), torch.logit(opacity), ((colours - 0.5) / SH_C0)[:, None])


def _wall() -> Gaussians:
    across, down = torch.meshgrid(torch.linspace(-2.4, 2.4, 40), torch.linspace(-1.8, 1.8, 30), indexing="xy")
    means = torch.stack((across.flatten(), down.flatten(), torch.full((1200,), 3.6)), dim=1)
    colours = torch.rand((1200, 3), generator=torch.Generator().manual_seed(1)) * 0.3 + torch.tensor((0.1, 0.3, 0.4))
    opacity = torch.full((1200,), 0.95)
    opacity[list(FAINT)] = torch.linspace(0.001, 0.003, len(FAINT))
    return _round(means, 0.09, opacity, colours)


def _ball() -> Gaussians:
    directions = torch.nn.functional.normalize(torch.randn((300, 3), generator=torch.Generator().manual_seed(2)), dim=1)
    colours = torch.tensor(RED) + 0.3 * (torch.sin(directions * 7).prod(dim=1, keepdim=True))
    return _round(torch.tensor(BALL) + RADIUS * directions, 0.02, torch.full((300,), 0.9), colours)


def _film(shown: Gaussians, secret: bool = False, only: tuple[int, ...] | None = None) -> Capture:
    """Six training views of what is ``shown``, in views other than ``only`` of the wall alone, and a held-out one between them."""
    places = [(-0.9, 0.0, 0.1), (-0.6, -0.3, 0.0), (-0.3, 0.2, 0.0), (0.3, -0.2, 0.0), (0.6, 0.3, 0.0), (0.9, 0.0, 0.1), (0.0, 0.0, 0.0)]
    cameras = tuple(look_at(f"cam{i}", place, 80, 60, 88) for i, place in enumerate(places))
    images = []
    for index, camera in enumerate(cameras):
        scene = shown if only is None or index in only else _wall()
        images.append((255 * RASTERIZER.render(scene, [camera]).color[0].clamp(0, 1) + 0.5).byte().numpy())
    return Capture("ball", Path("ball"), "test", cameras, 1, 30.0, _Stored(images, secret), ("cam6",))


def _views(capture: Capture) -> TrainingViews:
    return TrainingViews(capture, 0, torch.device("cpu"), 0)


def _refined(start: Gaussians, static: Tensor, film: Capture, settings: RefineSettings) -> FitDone:
    *_, last = refine(RefineTask(start, static, film, 0, RASTERIZER, None, settings))
    assert isinstance(last, FitDone)
    return last


def _from_the_ball(means: Tensor) -> float:
    """How far nine tenths of the means are from its surface or less; a pixel spans 0.04 there."""
    return float(((means - torch.tensor(BALL)).norm(dim=1) - RADIUS).abs().quantile(0.9))


@pytest.mark.parametrize("at_once", [2, 6, 10])
def test_views_that_are_compared_together_find_what_they_find_one_by_one(at_once: int) -> None:
    film = _film(concatenate([_wall(), _ball()]), only=(0, 1, 3, 4, 5))
    alone = appearing(_wall(), _views(film), RASTERIZER, SETTINGS, 0, at_once=1)
    together = appearing(_wall(), _views(film), RASTERIZER, SETTINGS, 0, at_once=at_once)
    assert len(alone) > 30
    assert abs(len(alone) - len(together)) <= 2
    # Points next to each other on a ray often show the same pixels: sums of another order decide between them.
    distance, place = torch.cdist(alone.means, together.means).min(dim=1)
    assert (distance < 0.04).double().mean() > 0.99
    assert (distance < 1e-5).double().mean() > 0.8
    assert (alone.sh - together.sh[place]).abs().median() < 1e-5


def test_what_appears_is_found_where_it_is_and_in_its_colour() -> None:
    found = appearing(_wall(), _views(_film(concatenate([_wall(), _ball()]), secret=True)), RASTERIZER, SETTINGS, 0)
    assert len(found) > 30
    assert _from_the_ball(found.means) < 0.12
    assert (found.means.mean(dim=0) - torch.tensor(BALL)).abs().max() < 0.08
    colours = 0.5 + SH_C0 * found.sh[:, 0]
    assert (colours.median(dim=0).values - torch.tensor(RED)).abs().max() < 0.1


def test_the_faintest_are_replaced_by_what_views_agree_on_best() -> None:
    views = _views(_film(concatenate([_wall(), _ball()])))
    replaced, added = replace_faint(_wall(), views, RASTERIZER, replace(SETTINGS, share=4 / 1200), 0)
    assert replaced.tolist() == list(FAINT[:4])
    assert torch.equal(added.means, appearing(_wall(), views, RASTERIZER, SETTINGS, 0).means[:4])


def test_nothing_that_can_be_seen_is_replaced() -> None:
    views = _views(_film(concatenate([_wall(), _ball()])))
    replaced, added = replace_faint(_wall(), views, RASTERIZER, SETTINGS, 0)
    assert replaced.tolist() == list(FAINT)
    assert len(added) == len(FAINT)
    solid = _wall()[torch.from_numpy(np.setdiff1d(np.arange(1200), FAINT))]
    replaced, added = replace_faint(solid, views, RASTERIZER, SETTINGS, 0)
    assert len(replaced) == len(added) == 0


@pytest.mark.parametrize("only", [(), (0, 3), (0, 2, 4)])
def test_where_nothing_appears_or_few_views_show_it_nothing_is_replaced(only: tuple[int, ...]) -> None:
    views = _views(_film(concatenate([_wall(), _ball()]), only=only))
    assert len(appearing(_wall(), views, RASTERIZER, SETTINGS, 0)) == 0
    replaced, _ = replace_faint(_wall(), views, RASTERIZER, SETTINGS, 0)
    assert len(replaced) == 0


def test_a_refinement_adds_what_appears_and_keeps_the_indices_of_all_others() -> None:
    shown = concatenate([_wall(), _ball()])
    start = concatenate(
        [_wall(), _round(torch.tensor([[0.0, 0.0, 9.0]]).repeat(200, 1), 0.01, torch.full((200,), 1e-3), torch.zeros(200, 3))]
    )
    static = torch.arange(len(start)) % 3 == 0
    settings = RefineSettings(steps=60, replace_faint=SETTINGS)
    last = _refined(start, static, _film(shown, secret=True), settings)
    without = _refined(start, static, _film(shown), replace(settings, replace_faint=ReplaceFaintSettings(share=0)))
    assert len(without.replaced) == 0
    assert 30 < len(last.replaced) <= 0.1 * len(start)
    assert (start.opacities[last.replaced] < 0.02).all()
    assert len(last.gaussians) == len(start)
    others = torch.ones(len(start), dtype=torch.bool)
    others[last.replaced] = False
    assert (last.gaussians.means - start.means)[others].norm(dim=1).max() < 0.1
    assert _from_the_ball(last.gaussians.means[last.replaced]) < 0.12
    scores = [held_out_psnr(_film(shown), 0, RASTERIZER, state) or 0.0 for state in (last.gaussians, without.gaussians)]
    assert scores[0] > scores[1] + 1
    again = _refined(start, static, _film(shown), settings)
    assert torch.equal(again.gaussians.means, last.gaussians.means)
    assert torch.equal(again.replaced, last.replaced)


def test_where_nothing_appears_a_refinement_has_the_same_bits_as_without() -> None:
    film, static = _film(_wall()), torch.zeros(1200, dtype=torch.bool)
    results = []
    for share in (0.0, 0.1):
        settings = RefineSettings(steps=10, replace_faint=ReplaceFaintSettings(share=share))
        results.append(_refined(_wall(), static, film, settings).gaussians.tensors())
    assert all(torch.equal(results[0][name], results[1][name]) for name in results[0])
