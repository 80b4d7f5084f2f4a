"""Tracks of several views joined by the places of their points: a quad moves in front of a wall, all is known exactly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.scenes.quad_tracks import PIXELS, exact, hits, surface
from tests.scenes.tiny_capture import HEIGHT, WIDTH, cameras, quad_center
from trackersplat.captures.camera import Camera
from trackersplat.errors import ShapeError
from trackersplat.tracking.consistency.agreement import agree_on_pixels, agree_on_points
from trackersplat.tracking.consistency.settings import ConsistencySettings
from trackersplat.tracking.consistency.surfaces import Surface
from trackersplat.tracking.tracks import DenseTracks

VIEWS, TARGETS, SETTINGS = cameras(), (2, 5), ConsistencySettings()

SURFACES = [surface(view) for view in VIEWS]
MADE = [exact(view, 0, TARGETS) for view in VIEWS]
TRACKS = [tracks for tracks, _ in MADE]
ON_QUAD = [hits(view, PIXELS, 0)[1] for view in VIEWS]


def _inner(view: Camera) -> np.ndarray:
    """(H, W) bool: pixels of the quad, away from its border."""
    points, on_quad = hits(view, PIXELS, 0)
    found: np.ndarray = on_quad & (np.abs(points - quad_center(0))[..., :2].max(-1) < 0.28)
    return found


INNER = [_inner(view) for view in VIEWS]


def errors(found: DenseTracks, view: int) -> np.ndarray:
    """(F, H, W) px."""
    difference: np.ndarray = (found.positions - TRACKS[view].positions).norm(dim=-1).numpy()
    return difference


def test_tracks_that_agree_stay_where_they_are() -> None:
    for view, found in enumerate(agree_on_pixels(SURFACES, TRACKS, SETTINGS)):
        assert errors(found, view)[:, INNER[view]].max() < 0.05
        assert found.confidence[:, INNER[view]].min() > 0.8


def test_an_error_of_six_pixels_of_one_view_is_corrected_by_the_others() -> None:
    wrong = TRACKS[1].positions.clone()
    wrong[:, INNER[1]] += torch.tensor([5.0, -3.3])
    lost = replace(TRACKS[1], positions=wrong)
    found = list(agree_on_pixels(SURFACES, [TRACKS[0], lost, *TRACKS[2:]], SETTINGS))
    assert errors(lost, 1)[:, INNER[1]].min() > 5.9
    assert errors(found[1], 1)[:, INNER[1]].max() < 0.3
    assert errors(found[0], 0)[:, INNER[0]].max() < 0.3  # nor does it spoil another view


def test_a_point_is_hidden_while_something_is_in_front_of_it_and_found_again_after() -> None:
    view = 0
    truly = MADE[view][1]
    first, last = truly[0], truly[1]
    # The view itself has lost all of the wall in both frames: its tracks go with the quad and are not trusted.
    lost = replace(
        TRACKS[view],
        positions=torch.where(torch.from_numpy(ON_QUAD[view])[..., None], TRACKS[view].positions, TRACKS[view].positions + 9.0),
        confidence=torch.where(torch.from_numpy(ON_QUAD[view]), 1.0, 0.01).expand(2, -1, -1),
    )
    found = next(iter(agree_on_pixels(SURFACES, [lost, *TRACKS[1:]], SETTINGS)))
    wall = ~ON_QUAD[view]
    points = hits(VIEWS[view], PIXELS, 0)[0].reshape(-1, 3)
    others = np.sum([SURFACES[i].sees(*VIEWS[i].project(points), 0.01) for i in (1, 2, 3)], axis=0).reshape(HEIGHT, WIDTH)
    known = wall & (others >= 2)
    visible = found.visibility.numpy() >= 0.5
    again = known & ~first & last  # hidden in the one frame, seen in the other
    assert (known & ~last).sum() > 50
    assert again.sum() > 10
    assert visible[1][known & last].mean() > 0.9
    assert visible[1][known & ~last].mean() < 0.2
    assert visible[0][again].mean() < 0.3
    assert visible[1][again].mean() > 0.7
    assert errors(found, view)[1][again].max() < 0.3


def test_tracks_of_no_confidence_have_no_say() -> None:
    nothing = torch.zeros_like(TRACKS[0].confidence)
    wrong = [replace(TRACKS[i], positions=TRACKS[i].positions + torch.tensor([8.0, 3.0]), confidence=nothing) for i in (0, 1)]
    found = list(agree_on_pixels(SURFACES, [*wrong, *TRACKS[2:]], SETTINGS))
    assert errors(found[2], 2)[:, INNER[2]].max() < 0.1


def test_what_no_other_view_sees_or_whose_depth_is_unknown_stays_bit_identical() -> None:
    unknown = Surface(VIEWS[0], np.zeros((HEIGHT, WIDTH)))
    for surfaces, tracks in (([unknown, *SURFACES[1:]], TRACKS), (SURFACES[:1], TRACKS[:1])):
        found = next(iter(agree_on_pixels(surfaces, tracks, SETTINGS)))
        for name in ("visibility", "confidence"):
            assert torch.equal(getattr(found, name), getattr(TRACKS[0], name))
        assert (found.positions - TRACKS[0].positions).abs().max() < 1e-5


def test_chosen_points_get_what_their_pixels_get() -> None:
    queries = [torch.from_numpy(PIXELS[10:14, 20:26].reshape(-1, 2).astype(np.float32))] * len(VIEWS)
    dense = list(agree_on_pixels(SURFACES, TRACKS, SETTINGS))
    for view, points in enumerate(agree_on_points(SURFACES, TRACKS, queries, SETTINGS)):
        expected = dense[view].positions[:, 10:14, 20:26].reshape(1, len(TARGETS), -1, 2)
        assert torch.allclose(points.positions, expected, atol=1e-4)
        assert torch.allclose(points.visibility, dense[view].visibility[:, 10:14, 20:26].reshape(1, len(TARGETS), -1), atol=1e-5)


def test_views_without_points_get_none() -> None:
    found = agree_on_points(SURFACES, TRACKS, [torch.zeros(0, 2)] * len(VIEWS), SETTINGS)
    assert [tuple(motion.positions.shape) for motion in found] == [(1, len(TARGETS), 0, 2)] * len(VIEWS)


def test_tracks_and_surfaces_must_be_of_the_same_views() -> None:
    with pytest.raises(ShapeError, match="same views"):
        next(agree_on_pixels(SURFACES[:2], TRACKS, SETTINGS))
    with pytest.raises(ShapeError, match="same views"):
        next(agree_on_pixels(SURFACES, [replace(TRACKS[0], base=1), *TRACKS[1:]], SETTINGS))
    with pytest.raises(ShapeError, match="1 views"):
        agree_on_points(SURFACES, TRACKS, [torch.zeros(0, 2)], SETTINGS)
