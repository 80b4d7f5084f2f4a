"""Which Gaussians get a trail, and what the trails are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from viewer.scene.trails import Paths, births, choose, related, segments


def test_only_visible_gaussians_that_move_get_a_trail() -> None:
    means = np.zeros((3, 4, 3))
    means[2, :, 0] = (0.0, 1.0, 0.001, 1.0)
    opacity = np.array([1.0, 0.9, 1.0, 0.1])
    assert choose(means, opacity, extent=1.0).tolist() == [1]


def test_one_that_returns_to_its_start_moved_all_the_same() -> None:
    means = np.zeros((3, 2, 3))
    means[1, 1, 2] = 1.0
    assert choose(means, np.ones(2), extent=1.0).tolist() == [1]


def test_one_born_later_moves_from_where_it_was_born() -> None:
    means = np.zeros((3, 3, 3))
    means[:, 0] = (5.0, 0.0, 0.0)
    means[0, :2] = np.nan
    means[1:, 1, 0] = (7.0, 8.0)
    means[:2, 2] = np.nan
    assert choose(means, np.ones(3), extent=1.0).tolist() == [1]


def test_a_row_has_another_gaussian_from_a_birth_on() -> None:
    born = {0: np.array([], int), 1: np.array([2]), 2: np.array([0, 2, 9]), 3: np.array([1])}
    found = births((0, 1, 2, 3), {0: None, 1: 0, 2: 1, 3: 1}, born, 4)
    assert {frame: since.tolist() for frame, since in found.items()} == {
        0: [-1, -1, -1, -1],
        1: [-1, -1, 1, -1],
        2: [2, -1, 2, -1],  # nobody is in row 9
        3: [-1, 3, 1, -1],  # moved from frame 1, too
    }


def test_too_many_are_thinned_evenly_in_space_and_the_fastest_of_a_place_stays() -> None:
    means = np.zeros((2, 1000, 3))
    means[0, 900:, 1] = 10.0  # a small group far from the large one
    means[1] = means[0]
    means[1, :, 0] = np.linspace(0.5, 1.5, 1000)
    chosen = choose(means, np.ones(1000), 1.0, most=50)
    assert chosen.tolist() == [*range(875, 900), *range(975, 1000)]


def test_trails_join_only_frames_whose_gaussians_are_the_same() -> None:
    assert related((0, 1, 2), {0: None, 1: 0, 2: 1}) == (0, 1, 2)
    assert related((0, 1, 2, 3, 4), {0: None, 1: 0, 2: None, 3: 2, 4: 2}) == (2, 3, 4)  # fitted anew in frame 3
    assert related((1, 2, 5), {1: 0, 2: 1, 5: None}) == (1, 2)  # their first frame is gone
    assert related((0, 1, 2), {}) == (0, 1, 2)  # a run without records
    assert related((0, 1), {0: 1, 1: 0}) == (0,)  # broken records end
    assert related((), {}) == ()


def paths() -> Paths:
    positions = np.zeros((6, 2, 3), np.float32)
    positions[:, 0, 0] = np.arange(6)
    positions[:, 1, 1] = 2 * np.arange(6)
    return Paths(np.array([7, 9]), positions, fastest=2.0)


def drawn(points: np.ndarray) -> list[list[list[float]]]:
    """The segments with a length, oldest last."""
    return [s.tolist() for s in points if not np.array_equal(s[0], s[1])]


def test_a_trail_leads_back_through_the_last_frames() -> None:
    points, colours = segments(paths(), frame=4, length=2, colour="speed")
    assert points.shape == colours.shape == (2 * 2, 2, 3)
    assert drawn(points) == [[[4, 0, 0], [3, 0, 0]], [[0, 8, 0], [0, 6, 0]], [[3, 0, 0], [2, 0, 0]], [[0, 6, 0], [0, 4, 0]]]


def test_a_trail_never_leaves_the_clip_or_crosses_a_gap() -> None:
    assert drawn(segments(paths(), 0, 5, "speed")[0]) == []
    assert len(drawn(segments(paths(), 1, 5, "speed")[0])) == 2
    gap = paths()
    gap.positions[2] = np.nan
    assert drawn(segments(gap, 5, 5, "speed")[0]) == [
        [[5, 0, 0], [4, 0, 0]],
        [[0, 10, 0], [0, 8, 0]],
        [[4, 0, 0], [3, 0, 0]],
        [[0, 8, 0], [0, 6, 0]],
    ]
    assert drawn(segments(gap, 2, 5, "speed")[0]) == []


def test_a_trail_fades_and_its_colour_by_track_does_not_depend_on_the_frame() -> None:
    first = segments(paths(), 5, 3, "track")[1].reshape(3, 2, 2, 3).astype(int)
    second = segments(paths(), 4, 3, "track")[1].reshape(3, 2, 2, 3).astype(int)
    assert np.array_equal(first, second)
    assert (first[0, :, 0].sum(axis=1) > first[0, :, 1].sum(axis=1)).all()
    assert np.array_equal(first[0, :, 1], first[1, :, 0])  # no jump between segments
    assert not np.array_equal(first[0, 0], first[0, 1])


def test_speed_colours_the_faster_one_hotter() -> None:
    colours = segments(replace(paths(), fastest=4.0), 5, 5, "speed")[1].reshape(5, 2, 2, 3).astype(int)
    assert colours[0, 1, 0, 0] > colours[0, 0, 0, 0]  # more red
    assert colours[0, 1, 0, 2] < colours[0, 0, 0, 2]  # less blue
