"""Each number is counted by hand in the comments."""

from __future__ import annotations

import numpy as np
import pytest

from trackersplat.errors import ShapeError
from trackersplat.metrics.tracks.compared import ComparedTracks
from trackersplat.metrics.tracks.tapvid3d import ALIGNMENTS, TapVid3D


def case(scale: float = 1.0) -> ComparedTracks:
    """Two tracks over two frames at the depths 2 and 8; focal length 100 px, so that 1 px is 0.02 and 0.08.

    Distances: track 0: 0 and 0.03 (in x); track 1: 0.1 (in y) and 2 (in depth; hidden in truth).
    """
    truth = np.array([[[1.0, 0, 2], [0, 4, 8]], [[1.5, 0, 2], [0, 6, 8]]])
    found = truth + np.array([[[0, 0, 0], [0, 0.1, 0]], [[0.03, 0, 0], [0, 0, 2]]])
    seen = np.array([[1, 1], [1, 0]], bool)
    said = np.array([[1, 1], [1, 1]], bool)
    return ComparedTracks(np.zeros(2, int), truth, seen, found * scale, said, focal_px=100.0)


def test_thresholds_grow_with_the_depth_and_the_query_counts_too() -> None:
    values = TapVid3D("none").scores(case()).values
    # Visible truth: 3. Thresholds at 1 px: 0.02, 0.02, 0.08: only the first is within; at 2 px: 0.04 and 0.16: all three.
    assert [values[f"within_{k}"] for k in (1, 2, 4, 8, 16)] == pytest.approx([100 / 3, 100, 100, 100, 100])
    # False positives: at 1 px the two far ones and the hidden one, 1 / (3 + 3); else the hidden one, 3 / (3 + 1).
    assert [values[f"3D-J_{k}"] for k in (1, 2, 4, 8, 16)] == pytest.approx([100 / 6, 75, 75, 75, 75])
    assert values["OA"] == 75


def test_fixed_thresholds_are_lengths() -> None:
    scores = TapVid3D("none", fixed_thresholds=True).scores(case())
    # Distances 0, 0.03, 0.1 against 0.01, 0.04, 0.16.
    assert [scores.values[f"within_{k}"] for k in (1, 2, 4, 8, 16)] == pytest.approx([100 / 3, 200 / 3, 100, 100, 100])
    assert "fixed metric" in scores.label


@pytest.mark.parametrize("alignment", ["median", "mean", "median_on_queries", "per_trajectory", "local_neighborhood", "reproduce_2d"])
def test_an_exact_track_of_another_scale_is_exact_after_alignment(alignment: str) -> None:
    exact = case()
    scaled = ComparedTracks(exact.query_frames, exact.truth, exact.truth_visible, 3 * exact.truth, exact.truth_visible, 100.0)
    values = TapVid3D(alignment).scores(scaled).values  # type: ignore[arg-type]
    assert (values["3D-AJ"], values["APD"], values["OA"]) == pytest.approx((100, 100, 100))
    assert TapVid3D("none").scores(scaled).values["APD"] == 0


def test_the_median_is_that_of_the_norms_of_what_both_call_visible() -> None:
    truth = np.array([[[0.0, 0, 2], [0, 0, 4], [0, 0, 8]]])
    found = np.array([[[0.0, 0, 1], [0, 0, 4], [0, 0, 16]]])
    both = np.array([[1, 1, 0]], bool)
    tracks = ComparedTracks(np.zeros(3, int), truth, np.ones((1, 3), bool), found, both, focal_px=100.0)
    # Medians of (2, 4) and (1, 4): 3 / 2.5. The prediction becomes 1.2, 4.8, 19.2: 0.8, 0.8, 11.2 off; 16 px are 0.32, 0.64, 1.28.
    assert TapVid3D("median").scores(tracks).values["APD"] == 0
    # Over all three the factor would be 1 and the second point exact.
    everywhere = ComparedTracks(np.zeros(3, int), truth, np.ones((1, 3), bool), found, np.ones((1, 3), bool), 100.0)
    assert TapVid3D("median").scores(everywhere).values["APD"] == pytest.approx(100 / 3)
    # Means of (2, 4) and (1, 4): 3 / 2.5 again; of all: 14 / 21: 0.67, 2.67, 10.67.
    assert TapVid3D("mean").scores(everywhere).values["APD"] == 0


def test_reproducing_2d_leaves_the_error_in_the_image() -> None:
    # At depth 4 and not 2, 3 px to the right: scaled to depth 2, the error is 3 px at that depth.
    truth, found = np.array([[[1.0, 0, 2]]]), np.array([[[2 * 1.06, 0, 4]]])
    tracks = ComparedTracks(np.zeros(1, int), truth, np.ones((1, 1), bool), found, np.ones((1, 1), bool), focal_px=100.0)
    values = TapVid3D("reproduce_2d").scores(tracks).values
    assert [values[f"within_{k}"] for k in (1, 2, 4, 8, 16)] == [0, 0, 100, 100, 100]


def test_a_neighbourhood_is_measured_with_the_scale_of_its_track() -> None:
    # Two points 0.01 apart, the second one predicted at half its depth: its own scale is 2, that of the first 1.
    truth = np.array([[[0.0, 0, 2], [0.01, 0, 2]]])
    found = np.array([[[0.0, 0, 2], [0.005, 0, 1]]])
    tracks = ComparedTracks(np.zeros(2, int), truth, np.ones((1, 2), bool), found, np.ones((1, 2), bool), focal_px=100.0)
    assert TapVid3D("per_trajectory").scores(tracks).values["APD"] == 100
    # With the scale of either track the other one is wrong, by 1 or 2: 16 px are 0.32. Half of all.
    assert TapVid3D("local_neighborhood").scores(tracks).values["APD"] == 50
    assert TapVid3D("local_neighborhood", neighbourhood=0.005).scores(tracks).values["APD"] == 100


def test_every_alignment_says_its_name() -> None:
    assert [name in TapVid3D(name).label for name in ALIGNMENTS] == [True] * 7  # type: ignore[arg-type]


def test_the_focal_length_is_needed() -> None:
    tracks = case()
    without = ComparedTracks(tracks.query_frames, tracks.truth, tracks.truth_visible, tracks.found, tracks.found_visible)
    with pytest.raises(ShapeError, match="focal length"):
        TapVid3D().scores(without)
