from __future__ import annotations

import numpy as np
import pytest

from trackersplat.errors import ShapeError
from trackersplat.metrics.tracks.compared import ComparedTracks, TrackScores, first_queries, mean_scores, strided_queries, to_raster


def test_a_pixel_of_a_wide_image_is_scaled_by_each_side_of_its_own() -> None:
    # The centre of the second pixel of the third row of an image of 640 x 480 px.
    assert to_raster(np.array([1.5, 2.5]), 640, 480).tolist() == pytest.approx([0.6, 4 / 3])
    assert to_raster(np.array([640.0, 480.0]), 640, 480).tolist() == [256.0, 256.0]


def test_queries_are_first_where_a_track_is_first_visible_and_strided_in_every_fifth_frame() -> None:
    visible = np.zeros((11, 3), bool)
    visible[[2, 5, 10], 0] = True
    visible[[0, 5], 1] = True
    tracks, frames = first_queries(visible)
    assert (tracks.tolist(), frames.tolist()) == ([0, 1], [2, 0])
    tracks, frames = strided_queries(visible)
    assert list(zip(tracks.tolist(), frames.tolist(), strict=True)) == [(1, 0), (0, 5), (1, 5), (0, 10)]


def test_a_gap_holds_the_position_before_it_and_counts_as_hidden() -> None:
    truth = np.arange(5.0)[:, None, None] * np.array([1.0, 10.0])
    found = truth + 0.5
    found[[0, 1, 3], 0] = np.nan
    tracks = ComparedTracks(np.array([1]), truth, np.ones((5, 1), bool), found, np.ones((5, 1), bool)).held()
    # The query, frame 1, is known from the truth; frame 0 is before it and takes it, too; frame 3 stays at frame 2.
    assert tracks.found[:, 0].tolist() == [[1, 10], [1, 10], [2.5, 20.5], [2.5, 20.5], [4.5, 40.5]]
    assert tracks.found_visible[:, 0].tolist() == [False, False, True, False, True]


def test_a_mean_over_videos_leaves_out_what_a_video_cannot_tell() -> None:
    scores = [TrackScores("one", {"a": a, "b": b}, {"a": "%", "b": "%"}, 3, 0.5) for a, b in ((1.0, np.nan), (2.0, 5.0))]
    mean = mean_scores(scores)
    assert mean.values == {"a": 1.5, "b": 5.0}
    assert mean.tracks == 6
    with pytest.raises(ShapeError):
        mean_scores([scores[0], TrackScores("other", {"a": 1.0, "b": 1.0}, {"a": "%", "b": "%"}, 3)])


def test_arrays_of_different_lengths_are_refused() -> None:
    with pytest.raises(ShapeError, match="Visibility must be"):
        ComparedTracks(np.zeros(2, int), np.zeros((3, 2, 2)), np.ones((3, 1), bool), np.zeros((3, 2, 2)), np.ones((3, 2), bool))
