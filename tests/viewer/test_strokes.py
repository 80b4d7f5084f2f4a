"""Lines and dots in a picture: where they are, what hides them."""

from __future__ import annotations

import numpy as np

from viewer.stage.picture import page_camera, photo_in_space
from viewer.stage.strokes import BEHIND, Dots, Lines, Polylines, Stroke, draw, surface_depth

# Looks along +z from the origin; 100 pixels per unit at depth 1; the axis is at pixel (50, 40).
VIEW = page_camera(np.zeros(3), np.eye(3), 2 * np.arctan(0.4), 100, 80)


def lines(*segments: tuple[tuple[float, float, float], tuple[float, float, float]], width: float = 3.0, on_top: bool = False) -> Lines:
    points = np.array(segments, np.float32)
    return Lines(points, np.tile(np.array([200, 100, 0], np.uint8), (len(points), 1)), np.ones((len(points), 2), np.float32), width, on_top)


def dots(*points: tuple[float, float, float], hollow: bool = False, radius: float = 5.0) -> Dots:
    count = len(points)
    return Dots(
        np.array(points, np.float32), np.full((count, 3), 250, np.uint8), np.full(count, hollow), np.ones(count, np.float32), radius
    )


def drawn(*strokes: Stroke, depth: np.ndarray | None = None) -> np.ndarray:
    image = np.zeros((80, 100, 3), np.uint8)
    draw(image, list(strokes), VIEW, depth)
    return image


def test_a_line_is_drawn_where_its_ends_are_seen() -> None:
    image = drawn(lines(((-0.2, 0.1, 1.0), (0.2, 0.1, 1.0))))
    assert (image[50, 32:69] == (200, 100, 0)).all()  # pixel row 50 holds y = 0.1 at depth 1, up to the edge of row 49
    assert not image[:47].any()
    assert not image[53:].any()
    assert not image[:, :27].any()
    assert not image[:, 73:].any()


def test_a_steep_line_has_no_holes_and_keeps_its_width() -> None:
    image = drawn(lines(((0.0, -0.3, 1.0), (0.05, 0.3, 1.0)), width=2.0))
    covered = (image[..., 0] > 60).sum(axis=1)
    assert (covered[12:68] >= 2).all()
    assert (covered <= 4).all()


def test_what_has_no_place_or_is_behind_the_viewer_is_not_drawn() -> None:
    nan = float("nan")
    assert not drawn(lines(((nan, nan, nan), (0, 0, 1)), ((0, 0, -1), (0.1, 0, 1)), ((0, 0, 2), (0, 0, 2)))).any()
    assert not drawn(dots((nan, nan, nan), (0, 0, -1), (9, 0, 1))).any()
    assert not drawn(Dots(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8), np.zeros(0, bool), np.zeros(0, np.float32))).any()


def test_a_surface_in_front_dims_a_line_and_one_behind_does_not() -> None:
    depth = np.full((80, 100), np.inf, np.float32)
    depth[:, 50:] = 0.5
    line = lines(((-0.3, 0.0, 1.0), (0.3, 0.0, 1.0)), width=4.0)
    image = drawn(line, depth=depth)
    assert image[40, 40, 0] == 200
    assert abs(int(image[40, 60, 0]) - 200 * BEHIND) <= 1
    depth[:] = 1.0  # on the surface
    assert (drawn(line, depth=depth)[40, 25:75, 0] == 200).all()
    assert (drawn(lines(((-0.3, 0, 1), (0.3, 0, 1)), width=4.0, on_top=True), depth=depth / 2)[40, 25:75, 0] == 200).all()


def test_a_hollow_dot_is_a_ring() -> None:
    solid, ring = drawn(dots((0.005, 0.005, 1.0))), drawn(dots((0.005, 0.005, 1.0), hollow=True))
    assert solid[40, 50, 0] == 250
    assert ring[40, 50, 0] == 0
    assert ring[40, 54, 0] > 200


def test_ten_thousand_trails_change_only_what_they_cover_and_their_order_does_not_show() -> None:
    rng = np.random.default_rng(0)
    start = rng.uniform((-0.4, -0.3, 1.0), (0.4, 0.3, 1.0), (10_000, 3))
    points = np.stack((start, start + rng.normal(0, 0.01, start.shape)), axis=1).astype(np.float32)
    colours = rng.integers(0, 255, (10_000, 3)).astype(np.uint8)
    opacity = np.ones((10_000, 2), np.float32)
    first, second = np.zeros((80, 100, 3), np.uint8), np.zeros((80, 100, 3), np.uint8)
    draw(first, [Lines(points, colours, opacity)], VIEW)
    order = rng.permutation(10_000)
    draw(second, [Lines(points[order], colours[order], opacity)], VIEW)
    assert np.abs(first.astype(int) - second.astype(int)).max() <= 1


def polyline(*places: tuple[float, float, float], faint: tuple[int, ...] = (), gap: int | None = None, width: float = 3.0) -> Polylines:
    count = len(places)
    joined = np.arange(count - 1) != (-1 if gap is None else gap)
    return Polylines(
        np.array(places, np.float32)[:, None], joined, np.isin(np.arange(count), faint)[:, None], np.array([[200, 100, 0]], np.uint8),
        np.ones(count, np.float32), share=0.5, width=width,
    )  # fmt: skip


def test_a_polyline_is_drawn_as_the_lines_between_its_places() -> None:
    places = ((-0.3, -0.2, 1.0), (0.1, 0.2, 1.0), (0.4, -0.1, 1.5))
    expected = drawn(lines((places[0], places[1]), (places[1], places[2])))
    assert expected.any()
    assert np.array_equal(drawn(polyline(*places)), expected)


def test_a_polyline_is_broken_where_a_place_is_unknown_behind_the_viewer_or_not_joined() -> None:
    row = [(-0.4, 0.0, 1.0), (-0.2, 0.0, 1.0), (0.2, 0.0, 1.0), (0.4, 0.0, 1.0)]
    expected = drawn(lines((row[0], row[1]), (row[2], row[3])))
    assert not expected[:, 35:65].any()
    assert np.array_equal(drawn(polyline(*row, gap=1)), expected)
    for hole in ((float("nan"), 0.0, 1.0), (0.0, 0.0, -1.0)):
        assert np.array_equal(drawn(polyline(*row[:2], hole, *row[2:])), expected)


def test_a_polyline_is_fainter_next_to_a_faint_place() -> None:
    image = drawn(polyline((-0.4, 0.0, 1.0), (0.0, 0.0, 1.0), (0.4, 0.0, 1.0), faint=(0,)))
    assert image[40, 25, 0] == 100
    assert image[40, 75, 0] == 200


def test_places_closer_than_a_pixel_are_left_out_and_the_line_still_reaches_its_end() -> None:
    places = [(0.001 * i, 0.0, 1.0) for i in range(200)]  # a tenth of a pixel each
    many = drawn(polyline(*places))
    assert (many[40, 50:70] == (200, 100, 0)).all()
    assert many[40, 70, 0] > 0
    assert not many[:, 73:].any()


def test_the_depth_of_a_surface_is_the_blended_depth_over_alpha_where_it_is_solid() -> None:
    depth = surface_depth(np.array([[1.6, 0.3]]), np.array([[0.8, 0.1]]))
    assert depth.tolist() == [[2.0, np.inf]]


def test_the_photograph_of_a_camera_fills_its_own_view_dimmed_and_moves_with_the_viewpoint() -> None:
    photo = np.zeros((80, 100, 3), np.uint8)
    photo[:, 50:] = 250
    seen = photo_in_space(photo, VIEW, 2.0, VIEW)
    assert (seen[:, 52:] == 100).all()
    assert not seen[:, :48].any()
    right = page_camera(np.array([0.5, 0, 0]), np.eye(3), VIEW.fov_y, 100, 80)  # 25 pixels at depth 2
    moved = photo_in_space(photo, VIEW, 2.0, right)
    assert (moved[:, 27:74] == 100).all()
    assert not moved[:, :23].any()
    behind = page_camera(np.array([0, 0, 5.0]), np.eye(3), VIEW.fov_y, 100, 80)
    assert len(np.unique(photo_in_space(photo, VIEW, 2.0, behind).reshape(-1, 3), axis=0)) == 1
