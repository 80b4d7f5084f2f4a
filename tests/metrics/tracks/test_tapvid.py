"""Each number is counted by hand in the comments."""

from __future__ import annotations

import numpy as np
import pytest

from trackersplat.errors import ShapeError
from trackersplat.metrics.tracks.compared import ComparedTracks
from trackersplat.metrics.tracks.tapvid import TapVid


def case() -> ComparedTracks:
    """Two tracks over four frames. Distances: track 0: -, 0.5, 3, 1 (exactly); track 1: 20, -, 0, 5."""
    truth = np.zeros((4, 2, 2))
    truth[:, 0] = [[10, 20], [11, 20], [12, 20], [13, 20]]
    truth[:, 1] = [[50, 60], [50, 70], [50, 80], [50, 90]]
    found = truth.copy()
    found[:, 0] += [[0, 0], [0.5, 0], [0, 3], [0, 1]]
    found[:, 1] += [[20, 0], [0, 0], [0, 0], [3, 4]]
    seen = np.array([[1, 1], [1, 1], [1, 0], [1, 1]], bool)
    said = np.array([[1, 0], [1, 1], [0, 1], [1, 1]], bool)
    return ComparedTracks(np.array([0, 1]), truth, seen, found, said)


def test_query_first_counts_the_frames_after_the_query_and_pools_all_points() -> None:
    # Evaluated: track 0 frames 1, 2, 3; track 1 frames 2, 3. Visible truth: 4 (all but track 1 frame 2).
    values = TapVid("first").scores(case()).values
    # Within: 0.5 | 3 | 1 | 5. Strictly below 1: one of 4; below 2: two; below 4: three; below 8 and 16: four.
    assert [values[f"delta_{k}"] for k in (1, 2, 4, 8, 16)] == [25, 50, 75, 100, 100]
    assert values["delta_avg"] == 70
    # Said visible: track 0 frames 1, 3; track 1 frames 2 (truth hidden, always false), 3.
    # k = 1: TP 1, FP 3 -> 1/7; 2: TP 2, FP 2 -> 2/6; 4: the same; 8: TP 3, FP 1 -> 3/5; 16: the same.
    expected = [100 / 7, 200 / 6, 200 / 6, 60, 60]
    assert [values[f"J_{k}"] for k in (1, 2, 4, 8, 16)] == pytest.approx(expected)
    assert values["AJ"] == pytest.approx(sum(expected) / 5)
    # Right: track 0 frames 1, 3; track 1 frame 3.
    assert values["OA"] == 60


def test_query_strided_counts_frames_before_the_query_too() -> None:
    # Track 1 frame 0 is added: visible truth, said hidden, 20 px off. Visible truth 5, evaluated 6.
    values = TapVid("strided").scores(case()).values
    assert [values[f"delta_{k}"] for k in (1, 2, 4, 8, 16)] == [20, 40, 60, 80, 80]
    assert [values[f"J_{k}"] for k in (1, 2, 4, 8, 16)] == pytest.approx([100 / 8, 200 / 7, 200 / 7, 50, 50])
    assert values["OA"] == 50


def test_scores_carry_the_label_of_the_protocol() -> None:
    scores = TapVid("strided").scores(case())
    assert scores.label == "TAP-Vid (query strided, 256 x 256)"
    assert set(scores.units) == set(scores.values)


def test_a_track_that_gives_up_is_measured_as_one_that_stands_still() -> None:
    tracks = case()
    found = tracks.found.copy()
    found[1:, 0] = np.nan
    scores = TapVid("first").scores(ComparedTracks(tracks.query_frames, tracks.truth, tracks.truth_visible, found, tracks.found_visible))
    # Track 0 is then 1, 2, 3 px off and hidden: below 1 none, 2 one, 4 three; track 1 is 5 px off.
    assert [scores.values[f"delta_{k}"] for k in (1, 2, 4, 8, 16)] == [0, 25, 75, 100, 100]
    assert scores.missing == pytest.approx(3 / 5)


def test_tracks_in_space_are_refused() -> None:
    with pytest.raises(ShapeError, match="2D"):
        TapVid().scores(ComparedTracks(np.zeros(1, int), np.zeros((2, 1, 3)), np.ones((2, 1)), np.zeros((2, 1, 3)), np.ones((2, 1))))
