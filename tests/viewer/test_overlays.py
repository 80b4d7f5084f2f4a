"""Marks over a camera's picture."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from made_diagnosis import made_diagnosis
from pane_page import CATEGORIES, HELD_OUT, RECONSTRUCTED, diagnosis
from pane_page import cameras as page_cameras
from tiny_capture import cameras

from trackersplat.captures.camera import Camera
from trackersplat.tracking.tracks import Provenance, TrackEnd, Tracks
from viewer.views import overlays
from viewer.views.overlays import FIELDS, Overlay, epipolar_segment, join_id, mark_colours, pane_overlay, split_id, track_line

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


def overlay(frame: int, *history: Tracks, **more: object) -> Overlay:
    return pane_overlay("a", frame, held_out=False, reconstructed=(0, 1, 2, 3), history=history, **more)  # type: ignore[arg-type]


def test_nothing_drawn_is_always_explained() -> None:
    assert pane_overlay("b", 2, held_out=True, reconstructed=(0, 1, 2)).note == "b is held out: held-out cameras are not tracked."
    assert overlay(5).note == "Frame 6 is not reconstructed: it has no tracks."
    assert overlay(0).note == "Frame 1: the tracks begin here; the next frame shows where they go."
    assert overlay(2).note == "The run kept no tracks of a in frame 3."
    assert overlay(2, tracks(2, {0: NAN})).note == "No track of a has a position in frame 3."


def test_where_tracks_begin_their_first_places_are_marked() -> None:
    following = tracks(1, {4: (3.0, 4.0), 9: (5.0, 6.0)}, begins=0)
    begun = overlay(0, following=following)
    assert begun.ids().tolist() == [4, 9]
    assert begun.column("x").tolist() == [4.0, 9.0]
    assert begun.note == "Frame 1: the tracks begin here."


def test_a_track_is_followed_by_its_id_whatever_its_place_in_the_frame_and_gaps_stay_gaps() -> None:
    found = overlay(2, tracks(2, {7: (3, 3), 5: (4, 4)}), tracks(1, {5: (2, 2), 9: (8, 8), 7: (1, 1)}), tracks(0, {9: (0, 0), 5: (6, 6)}))
    assert np.array_equal(found.trails, np.array([[(1, 1), (2, 2)], [NAN, (6, 6)]], np.float32), equal_nan=True)
    assert np.allclose(found.column("speed"), 8**0.5)


def test_a_chain_that_starts_anew_does_not_go_on_with_the_ids_of_the_one_before() -> None:
    found = overlay(2, tracks(2, {0: (3, 3)}, begins=2), tracks(1, {0: (20, 20)}, begins=0))
    assert np.isnan(found.trails).all()


def test_a_track_that_ended_is_marked_where_it_was_last() -> None:
    found = overlay(1, tracks(1, {0: NAN}, 0.5, 0.25, ends=TrackEnd.LEFT_IMAGE), tracks(0, {0: (30.5, 20.5)}))
    assert (found.column("x")[0], found.column("y")[0], found.column("ended")[0]) == (30.5, 20.5, 1.0)
    assert (found.column("visibility")[0], found.column("confidence")[0]) == (0.5, 0.25)


def test_trails_are_as_long_as_asked_for() -> None:
    history = [tracks(frame, {0: (frame, 0)}) for frame in (3, 2, 1, 0)]
    assert len(overlay(3, *history, trail_length=2).trails) == 2
    assert len(overlay(3, *history, trail_length=0).trails) == 0


@pytest.mark.parametrize("index", [1, 2, 3])
def test_a_diagnosis_gives_its_measured_reprojected_and_rendered_places_and_its_verdict(index: int) -> None:
    known, name = diagnosis(), page_cameras()[index].name
    found = pane_overlay(name, 3, held_out=False, reconstructed=RECONSTRUCTED, diagnosis=known, trail_length=2)
    mine = known.camera == index
    assert found.ids().tolist() == known.ids[mine].tolist()
    assert np.array_equal(np.stack((found.column("x"), found.column("y")), axis=1), known.position[3, mine])
    assert np.array_equal(np.stack((found.column("reprojected_x"), found.column("reprojected_y")), axis=1), known.reprojected[3, mine])
    assert np.array_equal(np.stack((found.column("rendered_x"), found.column("rendered_y")), axis=1), known.rendered[3, mine])
    assert np.array_equal(found.column("score"), known.score[3, mine])
    assert np.array_equal(found.column("category"), known.category[3, mine])
    assert np.array_equal(found.column("visibility") == 1, known.state[3, mine] == 1)
    assert np.array_equal(found.trails, known.position[[2, 1]][:, mine], equal_nan=True)
    assert np.isnan(found.trails[0]).any(), "the scene has a gap in frame 3"


def test_a_held_out_camera_has_no_marks_of_a_diagnosis() -> None:
    assert not len(pane_overlay(HELD_OUT[0], 3, held_out=True, reconstructed=RECONSTRUCTED, diagnosis=diagnosis()))


def test_too_many_marks_are_thinned_worst_first_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlays, "MOST_MARKS", 5)
    found = pane_overlay(page_cameras()[1].name, 4, held_out=False, reconstructed=RECONSTRUCTED, diagnosis=diagnosis())
    scores = diagnosis().score[4, diagnosis().camera == 1]
    assert sorted(found.column("score").tolist()) == sorted(np.sort(scores)[-5:].tolist())
    assert found.note == "5 of 60 tracks are drawn, those with the highest scores."


def test_the_payload_is_row_by_row_with_the_trails_at_the_end() -> None:
    found = overlay(1, tracks(1, {7: (3, 4)}), tracks(0, {7: (1, 2)}))
    numbers = np.frombuffer(found.payload(), "<f4").reshape(-1, 1)
    assert len(numbers) == len(FIELDS) + 2
    assert numbers[[0, 1, -2, -1], 0].tolist() == [3, 4, 1, 2]
    assert len(np.frombuffer(found.payload(trails=False), "<f4")) == len(FIELDS)
    assert overlays.nothing(0, "why").payload() == b""


@given(st.integers(0, (1 << 63) - 1))
def test_ids_survive_as_three_numbers_of_a_float32(track: int) -> None:
    assert join_id([int(np.float32(part)) for part in split_id(track)]) == track


@pytest.mark.parametrize(("a", "b"), [(0, 1), (1, 2), (2, 3), (3, 0)])
def test_the_epipolar_line_passes_through_whatever_the_other_camera_may_see(a: int, b: int) -> None:
    source, target = cameras()[a], cameras()[b]
    point = (20.3, 31.8)
    segment = epipolar_segment(source, point, target)
    assert segment is not None
    start, end = np.array(segment[:2]), np.array(segment[2:])
    assert (np.array([start, end]) >= -1e-6).all()
    assert (np.array([start, end]) <= np.array([target.width, target.height]) + 1e-6).all()
    ray = np.array([(point[0] - source.cx) / source.fx, (point[1] - source.cy) / source.fy, 1.0]) @ source.rotation
    seen, depth = target.project(source.center + np.geomspace(source.near, 1e4, 400)[:, None] * ray)
    inside = (depth > target.near) & (seen >= 0).all(axis=1) & (seen[:, 0] <= target.width) & (seen[:, 1] <= target.height)
    assert inside.sum() > 3
    along = (end - start) / np.linalg.norm(end - start)
    offsets = seen[inside] - start
    assert np.abs(offsets @ [-along[1], along[0]]).max() < 1e-6
    assert (offsets @ along).min() > -1e-6
    assert (offsets @ along).max() < np.linalg.norm(end - start) + 1e-6
    assert np.all(np.diff(offsets @ along) > 0), "it goes from near to far"


def test_there_is_no_epipolar_line_behind_or_beside_a_camera() -> None:
    source = cameras()[0]
    turned = np.diag([-1.0, 1, -1, 1]) @ source.world_to_camera  # looks the other way
    assert epipolar_segment(source, (32, 24), Camera("back", 64, 48, source.K, turned)) is None
    beside, lower = source.world_to_camera.copy(), source.K.copy()
    beside[0, 3] += 0.5
    assert epipolar_segment(source, (32, 24), Camera("beside", 64, 48, source.K, beside)) == pytest.approx((62.0, 24.0, 32.0, 24.0), abs=3)
    lower[1, 2] += 100  # the line is in row 124
    assert epipolar_segment(source, (32, 24), Camera("lower", 64, 48, lower, beside)) is None


def test_colours_of_marks_are_sent_as_numbers() -> None:
    category = mark_colours("category", categories=CATEGORIES).to_json()
    assert category["field"] == "category"
    assert category["palette"] == [list(colour) for _, colour in CATEGORIES]
    score = mark_colours("score").to_json()
    assert (score["field"], score["low"], score["high"], len(score["stops"])) == ("score", 0.0, 1.0, 16)  # type: ignore[arg-type]
    assert mark_colours("id").to_json()["palette"]


def test_a_tracks_line_is_as_the_camera_pointed_at_sees_it() -> None:
    views = cameras()
    made = made_diagnosis(views, 6, 8)
    row = 8  # the first track of the second camera
    track, frame = int(made.ids[row]), 3
    name, own = track_line(made, views, track, frame, 2, None)
    assert name == views[1].name
    assert own == epipolar_segment(views[1], tuple(map(float, made.position[frame, row])), views[2])
    name, pointed = track_line(made, views, track, frame, 2, 0)
    assert name == views[0].name
    assert pointed is not None
    # The triangulated point lies on the line that another camera gives.
    (at,), _ = views[2].project(made.world[frame, row][None].astype(np.float64))
    start, end = np.array(pointed[:2]), np.array(pointed[2:])
    along = (end - start) / np.linalg.norm(end - start)
    assert abs(along[0] * (at - start)[1] - along[1] * (at - start)[0]) < 1e-3
    assert track_line(made, views, track, frame, 1, None) == ("", None)  # no line in the camera that gives it
    assert track_line(made, views, -5, frame, 2, None) == ("", None)
    assert track_line(made, views, track, 99, 2, None) == ("", None)
