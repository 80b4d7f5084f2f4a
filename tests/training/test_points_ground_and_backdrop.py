"""Cameras far apart: matches where they are more than chance, else the hull of what moves; the backdrop elsewhere."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from quad_scene import CARD, CARD_HALF, CastFrames, cast, look_at, quad_capture

from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import Capture
from trackersplat.training.points.backdrop import shown_at
from trackersplat.training.points.fusion import Surface, chance
from trackersplat.training.points.settings import PointSettings
from trackersplat.training.points.strategies.ground import Layers, layers
from trackersplat.training.points.sweep import View
from trackersplat.training.points.task import Matched, PointTask
from trackersplat.training.points.views import unproject


class CardMasks:
    """The card is the foreground."""

    def __init__(self, cameras: tuple[Camera, ...]) -> None:
        self._cameras = cameras

    def has(self, camera: int) -> bool:
        return True

    def read(self, camera: int, frame: int) -> np.ndarray:
        seen = self._cameras[camera]
        uv = np.stack(np.meshgrid(np.arange(seen.width) + 0.5, np.arange(seen.height) + 0.5), axis=-1).reshape(-1, 2)
        points = unproject(seen, uv, cast(seen)[1].ravel())
        on_card = (np.abs(points @ CARD[0] - CARD[1]) < 1e-6) & (np.abs(points[:, :2]) < CARD_HALF).all(axis=1)
        return on_card.reshape(seen.height, seen.width)

    def close(self) -> None:
        pass


SETTINGS = PointSettings(count=2000)  # a quarter of them on the hull


def _layers(capture: Capture, matched: Surface, chance: float) -> Layers:
    return layers(replace(PointTask.of(capture, range(4), 0, SETTINGS), matched=Matched(matched, chance)))


def _capture() -> tuple[Capture, list[View]]:
    places = [(-1.8, 0.1, 0.4), (0.0, -0.2, 0.0), (1.8, 0.3, 0.4), (0.3, -1.9, 0.3)]
    cameras = tuple(look_at(f"cam{i}", place, 80, 60, 80.0) for i, place in enumerate(places))
    capture = replace(quad_capture(), cameras=cameras, held_out=(), source=CastFrames(cameras), masks=CardMasks(cameras))
    return capture, [View(c, cv2.cvtColor(cast(c)[0], cv2.COLOR_RGB2GRAY).astype(np.float32)) for c in cameras]


def _matched(views: list[View]) -> Surface:
    """The true points of every 7th pixel of the first view's left half."""
    camera = views[0].camera
    row, column = (axis.ravel() for axis in np.mgrid[0:60:7, 0:40:7])
    depth = cast(camera)[1][row, column]
    xyz = unproject(camera, np.stack((column + 0.5, row + 0.5), axis=1), depth)
    count = len(xyz)
    return Surface(xyz, np.zeros(count, dtype=np.int64), np.stack((column, row), axis=1), depth, np.ones(count, dtype=np.int64))


def test_matches_are_kept_and_the_backdrop_fills_the_rest() -> None:
    capture, views = _capture()
    matched = _matched(views)
    found = _layers(capture, matched, 0.5 * SETTINGS.layers.chance)
    assert found.kept is matched
    assert len(found.movers.xyz) == 0
    for view, camera in enumerate(capture.cameras):
        column, row = found.behind.pixel[found.behind.view == view].T
        filled = np.zeros((60, 80), dtype=bool)
        filled[row, column] = True
        assert np.array_equal(filled, ~shown_at(matched.xyz, camera, SETTINGS.backdrop.beside))


def test_matches_that_are_chance_are_replaced_by_the_hull_of_what_moves() -> None:
    capture, views = _capture()
    found = _layers(capture, _matched(views), 2 * SETTINGS.layers.chance)
    assert len(found.kept.xyz) == 0
    assert 100 < len(found.movers.xyz) <= 500
    for view, camera in enumerate(capture.cameras):
        mask = capture.mask(view, 0)
        assert mask is not None
        uv, _ = camera.project(found.movers.xyz.astype(np.float64))
        near = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), dtype=np.uint8)) > 0
        inside = (uv >= 0).all(axis=1) & (uv[:, 0] < 80) & (uv[:, 1] < 60)
        column, row = uv[inside].astype(int).T
        assert near[row, column].mean() > 0.98
        column, row = found.behind.pixel[found.behind.view == view].T
        filled = np.zeros((60, 80), dtype=bool)
        filled[row, column] = True
        assert np.array_equal(filled, ~mask)


def test_true_depths_agree_by_more_than_chance_and_random_ones_by_no_more() -> None:
    _, views = _capture()
    cameras = [view.camera for view in views[:3]]
    truth = [cast(camera)[1] for camera in cameras]
    random = np.random.default_rng(0)
    guesses = [np.exp(random.uniform(np.log(1.5), np.log(7.0), depth.shape)) for depth in truth]
    assert chance(cameras, truth, 0.01) < 0.05
    assert chance(cameras, guesses, 0.01) == pytest.approx(1.0, abs=0.1)
    nothing = [np.zeros_like(depth) for depth in truth]
    assert chance(cameras, nothing, 0.01) == 1.0
    # of two views' depths that agree, a few are chance: one in three is true, so one pair in nine, where both see the same
    mixed = [np.where(random.random(depth.shape) < 1 / 3, depth, guess) for depth, guess in zip(truth, guesses, strict=True)]
    assert 0.05 < chance(cameras, mixed, 0.01) < 0.5
