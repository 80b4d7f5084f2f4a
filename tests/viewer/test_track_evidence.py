"""What is said about one track, which cameras show it best, its filmstrip, and residuals by camera and time."""

from __future__ import annotations

import base64
from dataclasses import replace

import cv2
import numpy as np
import pytest
from made_diagnosis import made_diagnosis
from tiny_capture import FRAMES, HEIGHT, WIDTH, cameras

from trackersplat.captures.capture import Capture
from trackersplat.diagnosis.categories import Category, TrackState
from viewer.views import evidence, filmstrip
from viewer.views.best_views import best_other, neighbours, others_by_worth
from viewer.views.heatmap import available, camera_time, scale
from viewer.views.table import TrackList


@pytest.fixture
def tracks() -> TrackList:
    return TrackList(made_diagnosis(cameras(), FRAMES, 10))


def with_scores(tracks: TrackList, row: int, scores: list[float]) -> TrackList:
    score, category = tracks.diagnosis.score.copy(), tracks.diagnosis.category.copy()
    score[:, row] = scores
    category[:, row] = np.where(np.array(scores) >= 0.5, Category.DRIFT, Category.NONE)
    state = tracks.diagnosis.state.copy()
    state[:, row] = TrackState.VISIBLE
    return TrackList(replace(tracks.diagnosis, score=score, category=category, state=state))


def test_evidence_has_units_and_the_share_of_tracks_it_is_worse_than(tracks: TrackList) -> None:
    piece = np.full((FRAMES, 40), np.nan, np.float32)
    piece[2, :5] = [1.0, 2.0, 12.345, 3.0, 0.5]
    views = np.full((FRAMES, 40), 5.0, np.float32)
    views[2, 2] = 1.0
    found = replace(tracks.diagnosis, evidence={"reprojection": piece, "views": views})
    residual, support = evidence.values(TrackList(found), 2, 2)
    assert (residual.title, residual.value, residual.unit, residual.rank, residual.unusual) == (
        "reprojection residual",
        "12.3",
        "px",
        1.0,
        True,
    )
    assert (support.value, support.unit, support.rank) == ("1", "", 1.0)  # few views speak against a track
    assert [(value.value, value.rank) for value in evidence.values(TrackList(found), 30, 2)] == [(None, None), ("5", 0.0)]
    assert evidence.values(TrackList(found), 2, FRAMES) == ()


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (123.4, "123"), (12.34, "12.3"), (1.234, "1.23"), (0.0123, "0.012"), (0.00012, "0.0001"), (-2.5, "-2.50")],
)
def test_numbers_keep_about_three_digits(value: float, text: str) -> None:
    assert evidence.number(value) == text


def test_the_reason_is_that_of_the_frame_or_else_of_the_worst_frame(tracks: TrackList) -> None:
    failing = with_scores(tracks, 4, [0.0, 0.1, 0.6, 0.9, 0.2, 0.1])
    category, text = evidence.reason(failing, 4, 2)
    assert category == Category.DRIFT
    assert text == "In frame 3: drift, with a failure score of 0.60. The track moved away from its point little by little."
    assert evidence.reason(failing, 4, 5)[1].startswith("In its worst frame, 4: drift, with a failure score of 0.90.")
    good = with_scores(tracks, 4, [0.0, 0.1, 0.2, 0.1, 0.1, 0.1])
    assert evidence.reason(good, 4, 2) == (Category.NONE, "Nothing speaks against the track: its highest failure score is 0.20.")


def test_the_failing_span_is_the_one_around_the_frame_and_the_last_good_frame_is_before_it(tracks: TrackList) -> None:
    failing = with_scores(tracks, 4, [0.7, 0.1, 0.6, 0.9, 0.2, 0.1])
    assert evidence.failing_span(failing, 4, 2) == (2, 3)
    assert evidence.failing_span(failing, 4, 0) == (0, 0)
    assert evidence.failing_span(failing, 4, 5) == (2, 3)  # does not fail there: the worst
    assert evidence.last_good(failing, 4, 3) == 1
    assert evidence.last_good(failing, 4, 0) == 0  # none before: its first frame


def test_the_curve_tells_failing_occluded_and_absent_frames_apart(tracks: TrackList) -> None:
    failing = with_scores(tracks, 4, [0.0, 0.1, 0.6, 0.9, 0.2, np.nan])
    state = failing.diagnosis.state
    state[4, 4], state[5, 4] = TrackState.HIDDEN, TrackState.ABSENT
    found = evidence.curve(failing, 4)
    assert found.states == "vvffoa"
    assert found.score == (0.0, pytest.approx(0.1), pytest.approx(0.6), pytest.approx(0.9), pytest.approx(0.2), None)
    assert evidence.state_at(failing, 4, 4) == "occluded"
    assert evidence.state_at(failing, 4, FRAMES) == "not diagnosed"


def test_the_best_other_view_sees_the_point_from_another_side(tracks: TrackList) -> None:
    world = tracks.diagnosis.world.copy()
    world[0] = (0.0, 0.0, 0.2)
    there = TrackList(replace(tracks.diagnosis, world=world, state=np.full_like(tracks.diagnosis.state, TrackState.VISIBLE)))
    best = best_other(there, cameras(), 0, 0)
    angle = {index: np.degrees(np.arccos(_ray(index) @ _ray(0))) for index in (1, 2, 3)}
    assert best in (1, 2, 3)
    assert angle[best] == max(angle.values())
    world[0, 0] = np.nan  # the views agree on nothing: the nearest camera
    nearest = min((1, 2, 3), key=lambda index: float(np.linalg.norm(cameras()[index].center - cameras()[0].center)))
    assert others_by_worth(there, cameras(), 0, 0)[0] == nearest
    assert best_other(there, cameras()[:1], 0, 0) is None


def _ray(index: int) -> np.ndarray:
    ray = np.array([0.0, 0.0, 0.2]) - cameras()[index].center
    return ray / np.linalg.norm(ray)


def test_growing_adds_the_nearest_tracks_of_the_same_camera_and_keeps_the_main_one_last(tracks: TrackList) -> None:
    position = tracks.diagnosis.position
    position[0, :10, 0], position[0, :10, 1] = np.arange(10) * 3.0, 0.0
    position[0, 9] = np.nan
    assert neighbours(tracks, [4], 0, 2) == [3, 5, 4]
    assert neighbours(tracks, [9], 0, 2) == [9]  # it is nowhere in this frame
    assert neighbours(tracks, [4], FRAMES, 2) == [4]


def test_a_strip_has_all_frames_of_a_short_life_and_a_page_of_a_long_one(tracks: TrackList) -> None:
    assert filmstrip.strip_frames(tracks, 0, 3) == tuple(range(FRAMES))
    assert filmstrip.strip_frames(tracks, 0, 0, most=4) == (0, 1, 2, 3)
    assert filmstrip.strip_frames(tracks, 0, 5, most=4) == (2, 3, 4, 5)
    assert filmstrip.strip_frames(tracks, 0, 2, most=4) == (2, 3, 4, 5)


def test_a_patch_is_centred_on_the_position_and_shows_what_is_outside_as_such() -> None:
    image = np.zeros((8, 8, 3), np.uint8)
    image[3, 5] = 255
    patch = filmstrip.cut_patch(image, np.array([5.5, 3.5]), 3.0, 9)
    expected = np.zeros((9, 9), np.uint8)
    expected[3:6, 3:6] = 255
    np.testing.assert_array_equal(patch[..., 0], expected)
    corner = filmstrip.cut_patch(image, np.array([0.0, 0.0]), 4.0, 4)
    assert corner[0, 0].tolist() == list(filmstrip.OUTSIDE)
    assert corner[3, 3].tolist() == [0, 0, 0]


def test_strips_show_the_photographs_and_say_where_there_is_no_position(tracks: TrackList, small_capture: Capture) -> None:
    position = tracks.diagnosis.position
    position[:, 0] = (WIDTH / 2, HEIGHT / 2)
    position[1, 0] = np.nan
    tracks.diagnosis.state[1, 0] = TrackState.ABSENT
    frames = filmstrip.strip_frames(tracks, 0, 0)
    rows = filmstrip.strip_rows(tracks, small_capture.cameras, 0, frames, 0)
    assert rows[0].label == "cam00"
    assert rows[0].states[1] == "a"
    assert {row.camera for row in rows[1:]} <= {1, 2, 3}
    empty = filmstrip.empty_strip(rows[0], frames)
    assert empty.titles[1] == "cam00, frame 2: no position in this frame"
    source = filmstrip.cut_strip(rows[0], frames, small_capture.cameras[0], small_capture.image, lambda: False)
    assert source is not None
    assert source.startswith("data:image/jpeg;base64,")
    strip = cv2.imdecode(np.frombuffer(base64.b64decode(source.partition(",")[2]), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    size = filmstrip.CELL
    assert strip.shape == (size, size * FRAMES, 3)
    expected = filmstrip.cut_patch(small_capture.image(0, 2), np.array([WIDTH / 2, HEIGHT / 2]), filmstrip.LEAST_SIDE, size)
    assert np.abs(strip[:, 2 * size : 3 * size].astype(int) - expected).mean() < 8  # JPEG
    assert np.abs(strip[:, size : 2 * size].astype(int) - filmstrip.OUTSIDE).mean() < 4
    assert filmstrip.cut_strip(rows[0], frames, small_capture.cameras[0], small_capture.image, lambda: True) is None


def test_a_bad_camera_is_a_stripe_in_the_heat_map() -> None:
    heat = camera_time(made_diagnosis(cameras(), 8, 50, bad_camera=2, failing=0.0), "reprojection")
    assert heat.values.shape == (4, 8)
    others = np.delete(heat.values[:, :4], 2, axis=0)
    assert heat.values[2].min() > 3 * others.max()


def test_the_heat_map_is_the_mean_over_visible_tracks_and_nan_where_there_are_none(tracks: TrackList) -> None:
    piece = np.full((FRAMES, 40), np.nan, np.float32)
    piece[0, :3] = [1.0, 2.0, 30.0]
    state = np.full((FRAMES, 40), TrackState.VISIBLE, np.uint8)
    state[0, 2] = TrackState.HIDDEN
    heat = camera_time(replace(tracks.diagnosis, evidence={"reprojection": piece}, state=state), "reprojection")
    assert heat.values[0, 0] == 1.5
    assert heat.counts[0, 0] == 2
    assert np.isnan(heat.values[1:]).all()
    assert not heat.counts[1:].any()
    assert (heat.title, heat.unit, heat.high) == ("reprojection residual", "px", 2.0)
    assert available(replace(tracks.diagnosis, evidence={"reprojection": piece}, state=state)) == {
        "reprojection": "reprojection residual",
        "score": "failure score",
    }


def test_a_few_failed_tracks_make_no_stripe_in_the_heat_map() -> None:
    made = made_diagnosis(cameras(), 8, 60, failing=0.0)
    piece = made.evidence["reprojection"].copy()
    own = np.flatnonzero(made.camera == 1)
    piece[:, own[:2]] = 500.0  # px: two of sixty tracks are on something else
    heat = camera_time(replace(made, evidence=made.evidence | {"reprojection": piece}), "reprojection")
    others = np.delete(heat.values, 1, axis=0)
    assert np.nanmax(heat.values[1]) < 1.5 * np.nanmax(others)
    assert heat.counts[1].max() == 60  # they are counted, and the table has them


@pytest.mark.parametrize(("values", "end"), [([0.3], 0.5), ([7.0], 10.0), ([1.0], 1.0), ([], 1.0), ([0.0], 0.001), ([21.0], 50.0)])
def test_the_scale_ends_at_a_round_number(values: list[float], end: float) -> None:
    assert scale(np.array(values, np.float32)) == pytest.approx(end)
