"""2D tracks: joined by their ids, and drawn over a picture."""

from __future__ import annotations

import math

import numpy as np
import torch

from trackersplat.tracking.tracks import Provenance, TrackEnd, Tracks
from viewer.scene.compare import Placement
from viewer.scene.tracks2d import FAINTEST, Ways, draw_tracks

PLACEMENT = Placement.fit((60, 40), (60, 40))
NAN = (math.nan, math.nan)


def tracks(
    frame: int,
    points: dict[int, tuple[float, float]],  # by the id
    visibility: float = 1.0,
    confidence: float = 1.0,
    ends: TrackEnd = TrackEnd.ALIVE,
    begins: int = 0,
) -> Tracks:
    count = len(points)
    return Tracks(
        camera="a",
        ids=torch.tensor(list(points), dtype=torch.int64),
        query=torch.tensor([[float(begins), float(index), 0.0] for index in points]).reshape(-1, 3),
        frames=(frame,),
        positions=torch.tensor(list(points.values()), dtype=torch.float32).reshape(1, count, 2),
        visibility=torch.full((1, count), visibility),
        confidence=torch.full((1, count), confidence),
        ends=torch.full((1, count), ends, dtype=torch.uint8),
        provenance=Provenance("test"),
    )


def picture(*history: Tracks) -> np.ndarray:
    page = np.zeros((40, 60, 3), np.uint8)
    draw_tracks(page, Ways.of(history), PLACEMENT)
    return page


def lit(page: np.ndarray) -> set[tuple[int, int]]:
    """(row, column) of what was drawn."""
    return {(int(row), int(column)) for row, column in np.argwhere(page.any(axis=2))}


def test_a_track_is_followed_by_its_id_whatever_its_place_in_the_frame() -> None:
    ways = Ways.of([tracks(2, {7: (3, 3), 5: (4, 4)}), tracks(1, {5: (2, 2), 9: (8, 8), 7: (1, 1)}), tracks(0, {9: (0, 0), 5: (6, 6)})])
    expected = [[(3, 3), (4, 4)], [(1, 1), (2, 2)], [NAN, (6, 6)]]
    assert np.array_equal(ways.positions, np.array(expected, np.float32), equal_nan=True)
    assert np.allclose(ways.steps(), 8**0.5)


def test_a_chain_that_starts_anew_does_not_go_on_with_the_ids_of_the_one_before() -> None:
    ways = Ways.of([tracks(2, {0: (3, 3), 1: (4, 4)}, begins=2), tracks(1, {0: (20, 20), 1: (30, 30)}, begins=0)])
    assert np.isnan(ways.positions[1]).all()
    assert np.isnan(ways.steps()).all()


def test_the_strength_is_visibility_times_confidence_of_the_newest_frame() -> None:
    ways = Ways.of([tracks(1, {0: (3, 3)}, 0.5, 0.25, TrackEnd.OCCLUDED), tracks(0, {0: (3, 3)})])
    assert ways.strength.tolist() == [0.125]
    assert ways.ended.tolist() == [True]


def test_the_whole_way_is_drawn_and_fades_with_age() -> None:
    page = picture(tracks(2, {0: (50.5, 20.5)}), tracks(1, {0: (30.5, 20.5)}), tracks(0, {0: (10.5, 20.5)}))
    row = page[20].sum(axis=1).astype(int)
    assert (row[12:48] > 0).all()
    assert (row[:8] == 0).all()
    assert 0 < row[20] < row[40]
    assert {r for r, _ in lit(page)} <= {17, 18, 19, 20, 21, 22, 23}


def test_a_gap_in_a_track_is_not_bridged() -> None:
    page = picture(tracks(3, {0: (50.5, 20.5)}), tracks(2, {0: (40.5, 20.5)}), tracks(1, {0: NAN}), tracks(0, {0: (10.5, 20.5)}))
    columns = {column for _, column in lit(page)}
    assert min(columns) >= 38


def test_a_track_without_a_position_in_this_frame_is_not_drawn() -> None:
    assert not lit(picture(tracks(1, {0: NAN}), tracks(0, {0: (10.5, 20.5)})))
    assert not lit(picture(tracks(0, {})))


def test_a_track_that_ended_gets_a_cross_where_it_was_last() -> None:
    for ended in (tracks(1, {0: (30.5, 20.5)}, ends=TrackEnd.OCCLUDED), tracks(1, {0: NAN}, ends=TrackEnd.LEFT_IMAGE)):
        pixels = lit(picture(ended, tracks(0, {0: (30.5, 20.5)})))
        assert {(20, 30), (18, 28), (18, 32), (22, 28), (22, 32)} <= pixels
        assert (20, 27) not in pixels  # a cross, not a dot
        assert (18, 30) not in pixels


def test_what_is_hidden_or_uncertain_is_darker_and_never_black() -> None:
    sure, hidden, vague, neither = (
        picture(tracks(0, {0: (30.5, 20.5)}, *weights)).max() for weights in ((1.0, 1.0), (0.5, 1.0), (1.0, 0.5), (0.0, 0.0))
    )
    assert sure > hidden
    assert hidden == vague
    assert 0 < neither <= FAINTEST * sure


def test_a_longer_step_has_a_hotter_colour() -> None:
    page = picture(tracks(1, {0: (30.5, 10.5), 1: (30.5, 30.5)}), tracks(0, {0: (29.5, 10.5), 1: (20.5, 30.5)})).astype(int)
    slow, fast = page[10, 30], page[30, 30]
    assert fast[0] > slow[0]
    assert fast[2] < slow[2]


def test_points_far_outside_are_left_out() -> None:
    assert not lit(picture(tracks(1, {0: (1e9, 20.5)}), tracks(0, {0: (10.5, 20.5)})))
