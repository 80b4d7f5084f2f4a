"""Composing what is seen through a camera, and the score of exactly the pixels shown."""

from __future__ import annotations

import numpy as np
import pytest

from viewer.scene.compare import ERROR_SCALE, Placement, compose, draw_seam, error_map, heat, letterbox


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    return rng.integers(0, 256, (6, 10, 3), np.uint8), rng.integers(0, 256, (6, 10, 3), np.uint8)


def test_render_and_photo_are_shown_untouched(pair: tuple[np.ndarray, np.ndarray]) -> None:
    render, photo = pair
    shown = compose("render", render, photo, 0.3)
    assert np.array_equal(shown.image, render)
    assert shown.columns == slice(0, 10)
    shown = compose("photo", render, photo, 0.3)
    assert np.array_equal(shown.image, photo)
    assert shown.columns is None


@pytest.mark.parametrize(("wipe", "edge"), [(0.0, 0), (0.3, 3), (0.99, 10), (1.0, 10), (-1.0, 0), (2.0, 10)])
def test_the_wipe_shows_the_photo_left_of_its_edge_and_scores_the_rest(pair: tuple[np.ndarray, np.ndarray], wipe: float, edge: int) -> None:
    render, photo = pair
    shown = compose("wipe", render, photo, wipe)
    assert np.array_equal(shown.image[:, :edge], photo[:, :edge])
    assert np.array_equal(shown.image[:, edge:], render[:, edge:])
    assert shown.columns == (slice(edge, 10) if edge < 10 else None)


def test_the_error_map_depends_on_the_difference_alone_and_saturates() -> None:
    black = np.zeros((1, 4, 3), np.uint8)
    photo = black.copy()
    photo[0, 1] = (30, 0, 0)  # mean 10
    photo[0, 2] = (ERROR_SCALE,) * 3
    photo[0, 3] = 255
    image = error_map(black, photo)
    assert np.array_equal(image, error_map(photo, black))
    assert np.array_equal(image[0, 0], heat(np.array([0.0]))[0])
    assert np.array_equal(image[0, 1], heat(np.array([10 / ERROR_SCALE]))[0])
    assert np.array_equal(image[0, 2], image[0, 3])


def test_heat_runs_from_blue_to_red_and_clips() -> None:
    colours = heat(np.array([-1.0, 0.0, 0.2, 0.8, 1.0, 7.0])).astype(int)
    assert np.array_equal(colours[0], colours[1])
    assert np.array_equal(colours[4], colours[5])
    assert colours[2, 2] > colours[2, 0]  # blue wins
    assert colours[3, 0] > colours[3, 2]  # red wins


@pytest.mark.parametrize(
    ("canvas", "margin", "expected"),
    [
        ((40, 20), 0, (4.0, 0, 0, 40, 20)),
        ((60, 20), 0, (4.0, 10, 0, 40, 20)),
        ((40, 60), 0, (4.0, 0, 20, 40, 20)),
        ((60, 40), 20, (4.0, 10, 0, 40, 20)),
    ],
)
def test_an_image_fits_evenly_above_the_margin(canvas: tuple[int, int], margin: int, expected: tuple[float, int, int, int, int]) -> None:
    placement = Placement.fit((10, 5), canvas, margin)
    assert (placement.scale, placement.left, placement.top, placement.width, placement.height) == expected


def test_letterboxing_by_a_whole_factor_keeps_the_picture_in_place() -> None:
    image = np.zeros((5, 10, 3), np.uint8)
    image[1, 7] = 255
    placement = Placement.fit((10, 5), (60, 20))
    page = letterbox(image, (60, 20), placement)
    assert page.shape == (20, 60, 3)
    x, y = placement.to_part(np.array([[7.5, 1.5]]))[0] + (placement.left, placement.top)
    assert np.shares_memory(placement.part(page), page)
    assert placement.part(page).shape == (20, 40, 3)
    weights = page[..., 0].astype(float)
    weights[:, :10] = weights[:, 50:] = 0
    rows, columns = np.mgrid[:20, :60] + 0.5
    assert (weights * columns).sum() / weights.sum() == pytest.approx(x, abs=0.05)
    assert (weights * rows).sum() / weights.sum() == pytest.approx(y, abs=0.05)


def test_the_seam_is_where_the_photo_ends() -> None:
    image = np.zeros((5, 10, 3), np.uint8)
    placement = Placement.fit((10, 5), (60, 20))
    page = letterbox(image, (60, 20), placement)
    draw_seam(page, placement, 0.5)
    assert np.flatnonzero(page[10, :, 0] == 255).tolist() == [30]
    draw_seam(page, placement, 1.0)
    assert np.flatnonzero(page[10, :, 0] == 255).tolist() == [30, 49]  # not beside the picture


@pytest.mark.filterwarnings("error")
def test_what_is_no_number_gets_the_lowest_colour_without_a_warning() -> None:
    found = heat(np.array([np.nan, 0.0, np.inf, 1.0, -np.inf, 1e300]))
    assert found[[1, 3, 1, 3]].tolist() == found[[0, 2, 4, 5]].tolist()
    assert np.array_equal(heat(np.array([np.nan], np.float32)), found[:1])
