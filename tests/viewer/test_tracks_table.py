"""Tracks as rows: order, filter, counts, names, and what a page gets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_diagnosis import made_diagnosis
from tiny_capture import cameras

from trackersplat.diagnosis.categories import Category, TrackState
from viewer.views.table import COLUMNS, TrackList, camera_numbers, next_after


@pytest.fixture
def tracks() -> TrackList:
    """Five tracks of two cameras over three frames, all numbers by hand."""
    whole = made_diagnosis(cameras()[:2], 3, 3, failing=0.0)
    made = replace(
        whole,
        ids=np.array([1, 2, 3, 10, 20, 30], np.int64),
        score=np.array([[0, 0, 0, 0, np.nan, 0], [0.2, 0.9, 0.1, 0.9, np.nan, 0.6], [0.1, 0.3, 0.05, 0.2, np.nan, 0.55]], np.float32),
        category=np.array([[0] * 6, [0, 3, 0, 2, 0, 3], [0, 0, 0, 0, 0, 3]], np.uint8),
        state=np.array([[1, 1, 1, 1, 0, 1], [1, 1, 2, 1, 0, 1], [1, 3, 2, 1, 0, 1]], np.uint8),
        evidence=whole.evidence
        | {
            "reprojection": np.array([[1, 1, 1, 1, np.nan, 1], [2, 8, np.nan, 5, np.nan, 3], [3, 1, np.nan, 1, np.nan, 2]], np.float32),
            "forward_backward": np.full((3, 6), 0.25, np.float32),
            "views": np.full((3, 6), 4.0, np.float32),
        },
    )
    return TrackList(made)


def test_the_worst_score_is_first_then_the_larger_residual_and_unknown_scores_are_last(tracks: TrackList) -> None:
    assert tracks.diagnosis.ids[tracks.worst_first].tolist() == [2, 10, 30, 1, 3, 20]


def test_a_row_has_the_columns_with_frames_from_1_and_none_where_nothing_is_known(tracks: TrackList) -> None:
    rows = tracks.rows()
    keys = [column.key for column in COLUMNS]
    assert dict(zip(keys, rows[0], strict=False)) == {
        "id": 2, "camera": "cam00", "score": 0.9, "category": int(Category.DRIFT), "worst": 2, "most": 8.0, "mean": 3.3, "backward": 0.2,
        "views": 4.0, "span": [1, 3], "state": "ended",
    }  # fmt: skip
    assert rows[0][-1] == "2"  # its name
    assert dict(zip(keys, rows[-1], strict=False)) | {"backward": 0, "views": 0} == {
        "id": 20, "camera": "cam01", "score": None, "category": 0, "worst": 1, "most": None, "mean": None, "backward": 0, "views": 0,
        "span": [1, 3], "state": "absent",
    }  # fmt: skip


def test_only_the_worst_rows_go_to_the_page(tracks: TrackList) -> None:
    assert [row[0] for row in tracks.rows(most=2)] == [2, 10]


@pytest.mark.parametrize(
    ("text", "categories", "ids"),
    [
        ("", (), [2, 10, 30, 1, 3, 20]),
        ("cam01", (), [10, 30, 20]),
        ("DRIFT cam00", (), [2]),
        ("occluded", (), [3]),
        ("", (Category.DRIFT,), [2, 30]),
        ("cam01", (Category.DRIFT, Category.OCCLUSION), [10, 30]),
        ("nowhere", (), []),
    ],
)
def test_every_word_must_occur_and_the_category_be_chosen(
    tracks: TrackList, text: str, categories: tuple[Category, ...], ids: list[int]
) -> None:
    assert tracks.diagnosis.ids[tracks.matching(text, categories)].tolist() == ids


def test_failures_are_those_of_score_one_half_and_counted_by_category(tracks: TrackList) -> None:
    assert tracks.diagnosis.ids[tracks.failures()].tolist() == [2, 10, 30]
    assert tracks.counts() == {Category.DRIFT: 2, Category.OCCLUSION: 1}
    assert list(tracks.counts()) == [Category.DRIFT, Category.OCCLUSION]
    assert tracks.counts("cam01") == {Category.OCCLUSION: 1, Category.DRIFT: 1}


def test_ids_of_runs_are_named_by_camera_first_frame_and_cell_small_ones_as_they_are(tracks: TrackList) -> None:
    assert tracks.names == ("1", "2", "3", "10", "20", "30")
    ids = np.array([3, (7 << 20) + 12, 2, (1 << 40) + 1, (1 << 40) + 2, (1 << 40) + (1 << 20)], np.int64)
    far = replace(tracks.diagnosis, ids=ids, cameras=("cam00", "cam10"))
    assert TrackList(far).names == ("0.1.3", "0.8.12", "0.1.2", "10.1.1", "10.1.2", "10.2.0")
    assert [TrackList(far).number_of(name) for name in (*far.cameras, "elsewhere")] == [0, 10, None]
    assert tracks.number_of(far.cameras[0]) is None


def test_cameras_without_numbers_of_their_own_are_counted() -> None:
    assert camera_numbers(["cam00", "cam10", "07"]) == [0, 10, 7]
    assert camera_numbers(["left", "right"]) == [0, 1]
    assert camera_numbers(["a1", "b1"]) == [0, 1]


def test_the_next_failure_goes_round_in_both_directions() -> None:
    rows = np.array([4, 2, 9])
    assert [next_after(rows, row, 1) for row in (None, 4, 2, 9, 7)] == [4, 2, 9, 4, 4]
    assert [next_after(rows, row, -1) for row in (None, 4, 2, 9)] == [9, 9, 4, 2]
    assert next_after(np.array([], np.int64), 4, 1) is None


def test_ten_thousand_tracks_keep_ids_and_states_apart() -> None:
    tracks = TrackList(made_diagnosis(cameras(), 4, 2500))
    rows = tracks.rows()
    assert len(rows) == len({row[0] for row in rows}) == 10_000
    assert [row[2] for row in rows] == sorted((row[2] for row in rows), reverse=True)
    assert {row[10] for row in rows} <= {"visible", "occluded", "ended"}
    assert set(np.unique(tracks.diagnosis.state)) <= set(TrackState)
