from __future__ import annotations

import numpy as np
import plate_clip as clip
import pytest

from trackersplat.diagnosis.cameras import fit_displacements
from trackersplat.diagnosis.settings import CameraSettings
from trackersplat.diagnosis.walk import Displaced

CAMERA = clip.CAMERAS[1]


def grid() -> np.ndarray:
    x, y = np.meshgrid(np.arange(2.0, CAMERA.width, 4), np.arange(2.0, CAMERA.height, 4))
    return np.stack((x, y), axis=-1).reshape(-1, 2)


def seen_by_turned(axis: int, degrees: float) -> np.ndarray:
    """(M, 2) px from where a point is rendered to where a camera that is turned about one of its axes shows it."""
    angle = np.radians(degrees)
    a, b = (axis + 1) % 3, (axis + 2) % 3
    turn = np.eye(3)
    turn[a, a] = turn[b, b] = np.cos(angle)
    turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
    rays = np.concatenate((grid(), np.ones((len(grid()), 1))), axis=1) @ np.linalg.inv(CAMERA.K).T
    there = rays @ turn.T @ CAMERA.K.T
    return there[:, :2] / there[:, 2:] - grid()


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("degrees", [1.0, -2.0])
def test_a_turn_about_any_axis_is_measured(axis: int, degrees: float) -> None:
    offset = seen_by_turned(axis, degrees)
    offset[::9] += 30  # a tenth is nonsense
    fit = fit_displacements(CAMERA, Displaced(grid(), offset, np.full_like(offset, np.nan)), CameraSettings())
    assert fit.turn == pytest.approx(abs(degrees), rel=0.05)
    assert fit.turn_explains > 0.95


@pytest.mark.parametrize("frames", [2.0, -2.0, 1.0])
def test_a_shift_in_time_is_measured_where_something_moves(frames: float) -> None:
    random = np.random.default_rng(0)
    motion = np.where((np.arange(len(grid())) % 3 == 0)[:, None], random.normal(0, 3, grid().shape), 0.0)
    offset = -frames * motion + random.normal(0, 0.2, motion.shape)
    fit = fit_displacements(CAMERA, Displaced(grid(), offset, motion), CameraSettings())
    assert fit.frames == pytest.approx(frames, rel=0.05)
    assert fit.frames_explain > 0.9
    assert fit.turn < 0.1


def test_noise_is_neither_a_turn_nor_a_shift() -> None:
    random = np.random.default_rng(1)
    motion, offset = random.normal(0, 3, grid().shape), random.normal(0, 1, grid().shape)
    fit = fit_displacements(CAMERA, Displaced(grid(), offset, motion), CameraSettings())
    assert fit.turn_explains < 0.2
    assert fit.frames_explain < 0.2
