"""Each number is counted by hand in the comments."""

from __future__ import annotations

import numpy as np
import pytest

from trackersplat.metrics.tracks.compared import ComparedTracks
from trackersplat.metrics.tracks.mvtracker import dexycb, kubric, panoptic


def compared(distances: np.ndarray, step: np.ndarray, seen: np.ndarray, said: np.ndarray, query: list[int]) -> ComparedTracks:
    """Tracks that move by ``step`` (N,) a frame along x and are off by ``distances`` (T, N) along y."""
    frames, count = distances.shape
    truth = np.zeros((frames, count, 3))
    truth[..., 0] = np.arange(frames)[:, None] * step
    found = truth.copy()
    found[..., 1] += distances
    return ComparedTracks(np.array(query), truth, seen.astype(bool), found, said.astype(bool))


def case() -> ComparedTracks:
    """Track 0 moves 0.2 m a frame, track 1 rests, track 2 is visible in one frame only."""
    distances = np.array([[9.0, 0, 0], [0.0, 0.015, 0], [0.03, 0.015, 0], [0.5, 0.015, 0], [0.005, 0.015, 0]])
    seen = np.array([[1, 1, 0], [1, 1, 0], [1, 1, 1], [0, 1, 0], [1, 0, 0]])
    said = np.array([[1, 1, 1], [1, 1, 1], [0, 1, 1], [0, 1, 1], [1, 1, 1]])
    return compared(distances, np.array([0.2, 0.0, 0.0]), seen, said, [1, 0, 2])


def test_tracks_are_scored_one_by_one_and_then_averaged() -> None:
    scores = dexycb().scores(case())
    values = scores.values
    assert scores.tracks == 2  # the third is visible once only
    # Track 0, query 1: visible in 1, 2, 4 with 0, 0.03, 0.005 m. Median 0.005, mean 0.035 / 3, last 0.005.
    assert values["dynamic.MTE"] == pytest.approx(0.5)
    assert values["dynamic.ATE"] == pytest.approx(3.5 / 3)
    assert values["dynamic.FDE"] == pytest.approx(0.5)
    # Track 1, query 0: visible in 0 to 3 with 0, 0.015, 0.015, 0.015. Of four the lower middle one: 0.015.
    assert values["static.MTE"] == pytest.approx(1.5)
    assert values["static.ATE"] == pytest.approx(4.5 / 4)
    assert values["MTE"] == pytest.approx(1.0)
    assert values["mean.MTE"] == pytest.approx(1.0)
    # After the query: track 0 has 0.03 and 0.005 in visible frames; below 0.01, 0.02, 0.05, 0.1, 0.2: 1/2, 1/2, 1, 1, 1.
    assert values["dynamic.delta_avg"] == pytest.approx(80)
    # Said visible in frame 4 only, and right: TP 1 of 2 positives, no false ones.
    assert values["dynamic.AJ"] == pytest.approx(50)
    # Track 1: 0.015 in three frames: 0, then 1. Frame 4 is a false positive: 3 / (3 + 1); at 0.01: 0.
    assert values["static.delta_avg"] == pytest.approx(80)
    assert values["static.AJ"] == pytest.approx(60)
    # Right of frames 2, 3, 4: track 0: 3 and 4; track 1, frames 1 to 4: all but 4.
    assert values["dynamic.OA"] == pytest.approx(200 / 3)
    assert values["static.OA"] == pytest.approx(75)
    assert values["OA_visible"] == pytest.approx(75)
    assert values["OA_occluded"] == pytest.approx(50)
    assert values["survival"] == 100  # 0.5 m is in a hidden frame
    assert scores.units["MTE"] == "cm"


def test_two_visible_frames_score_the_query_itself_unless_it_is_left_out() -> None:
    tracks = compared(np.array([[0.0], [0.04]]), np.array([0.0]), np.ones((2, 1)), np.ones((2, 1)), [0])
    assert dexycb().scores(tracks).values["MTE"] == 0
    without = dexycb(include_query=False).scores(tracks)
    assert without.values["MTE"] == pytest.approx(4)
    assert without.values["ATE"] == pytest.approx(4)
    assert "without the query" in without.label


def test_survival_ends_at_the_first_visible_frame_that_is_too_far_off() -> None:
    distances = np.array([[5.0], [0.0], [0.05], [0.2], [0.0]])
    tracks = compared(distances, np.array([0.0]), np.ones((5, 1)), np.ones((5, 1)), [1])
    assert dexycb().scores(tracks).values["survival"] == pytest.approx(100 * (3 - 1) / (5 - 1))
    assert panoptic().scores(tracks).values["survival"] == 100  # fails at 1 m only


def test_groups_go_by_the_path_between_visible_frames_in_metres() -> None:
    seen = np.array([[1, 1], [0, 1], [1, 1]])
    tracks = compared(np.full((3, 2), 0.03), np.array([0.0004, 0.04]), seen, np.ones((3, 2)), [0, 0])
    # Paths 0.0008 and 0.08: one static, the other neither. In units of 2 m: 0.0016, static, and 0.16, dynamic.
    assert np.isnan(dexycb().scores(tracks).values["dynamic.MTE"])
    values = dexycb(metres_per_unit=2.0).scores(tracks).values
    assert (values["static.MTE"], values["dynamic.MTE"]) == pytest.approx((6, 6))


def test_each_set_of_thresholds_is_that_of_its_benchmark() -> None:
    tracks = compared(np.full((3, 1), 0.3), np.array([1.0]), np.ones((3, 1)), np.ones((3, 1)), [0])
    # 0.3 is below 0.4 and 0.8 of five, none of five, and 0.4 of four.
    shares = [protocol.scores(tracks).values["delta_avg"] for protocol in (kubric(), dexycb(), panoptic())]
    assert shares == pytest.approx([40, 0, 25])
    assert [protocol().scores(tracks).values["survival"] for protocol in (kubric, dexycb, panoptic)] == pytest.approx([100, 0, 100])
    assert not any(name.startswith("static") for name in panoptic().scores(tracks).values)
