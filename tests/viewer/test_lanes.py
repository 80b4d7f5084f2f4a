"""The lanes of the timeline as data."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from trackersplat.events import FrameDone
from trackersplat.store.record import FrameRecord
from viewer.components.timeline import encode
from viewer.views import lanes as view
from viewer.views.lanes import (
    Lane,
    LaneSettings,
    Series,
    Work,
    delta_lane,
    lanes,
    psnr_lane,
    state_lane,
    track_lanes,
    track_values,
    training_psnr,
)


def done(frame: int, psnr: float | None = 30.0, unmoved: float | None = None, seconds: float = 6.0, gaussians: int = 1000) -> FrameDone:
    scores = {name: value for name, value in (("psnr", psnr), ("unmoved_psnr", unmoved)) if value is not None}
    return FrameDone(frame, None, scores, {}, gaussians, 1.0, 0.5, {"track": seconds / 2, "refine": seconds / 2})


@dataclass(frozen=True)
class Facts:
    """Four tracks, two of each of two cameras, in frames 1 to 3; the last starts at frame 2."""

    frames: tuple[int, ...] = (1, 2, 3)
    camera: np.ndarray = field(default_factory=lambda: np.array([0, 0, 1, 1], dtype=np.int16))
    query: np.ndarray = field(default_factory=lambda: np.array([[1, 5, 5], [1, 6, 6], [1, 7, 7], [2, 8, 8]], dtype=float))
    position: np.ndarray = field(
        default_factory=lambda: np.where(np.array([[1, 1, 1, 0], [1, 1, 0, 1], [0, 1, 0, 0]], dtype=bool)[..., None], 4.0, np.nan).repeat(
            2, 2
        )
    )
    evidence: dict[str, np.ndarray] = field(
        default_factory=lambda: {
            "reprojection": np.array([[1.0, 2.0, 6.0, np.nan], [1.0, 1.0, np.nan, 4.0], [np.nan] * 4], dtype=np.float32)
        }
    )


def by_key(found: tuple[Lane, ...]) -> dict[str, Lane]:
    return {lane.key: lane for lane in found}


def values(lane: Lane, series: int = 0) -> tuple[float | None, ...]:
    return lane.series[series].values


def test_the_most_important_lane_comes_first() -> None:
    found = lanes(4, {}, {}, Work())
    assert [lane.key for lane in found] == ["state", "psnr", "error", "lost", "tracks", "views", "gaussians", "seconds"]
    assert all(len(one.values) == 4 and set(one.values) == {None} for lane in found for one in lane.series)
    assert {lane.key: lane.note for lane in found[1:]} == {
        "psnr": view.NOT_MEASURED, "error": view.NOT_DIAGNOSED, "lost": view.NOT_DIAGNOSED, "tracks": view.NOT_DIAGNOSED,
        "views": view.NOT_DIAGNOSED, "gaussians": view.NOT_MEASURED, "seconds": view.NOT_MEASURED,
    }  # fmt: skip


def test_states_of_the_job_stand_over_those_on_disk() -> None:
    work = Work(done=(0, 1, 2, 3), running=3, failed=(2, 5), stale=(1, 2))
    assert state_lane(6, work).states == ("done", "stale", "failed", "running", "todo", "failed")


def test_frames_beyond_the_clip_are_left_out() -> None:
    """A run of a longer clip, or an event that comes after another capture was opened."""
    assert state_lane(2, Work(done=(0, 7), running=9, failed=(-1,))).states == ("done", "todo")
    assert values(psnr_lane(2, {7: done(7)}, {9: 1.0})) == (None, None)


def test_psnr_of_held_out_and_training_cameras_and_of_doing_nothing() -> None:
    lane = psnr_lane(4, {0: done(0, 31.5), 1: done(1, 30.25, 22.0), 3: done(3, None)}, {0: 34.0, 1: 33.0})
    assert values(lane, 0) == (31.5, 30.25, None, None)
    assert values(lane, 1) == (34.0, 33.0, None, None)
    assert values(lane, 2) == (None, 22.0, None, None)
    assert [one.faint for one in lane.series] == [False, False, True]
    assert (lane.low, lane.high) == (30.0, 34.0)  # the faint one does not set the scale
    assert (lane.better, lane.unit, lane.digits) == ("high", "dB", 2)


def test_no_number_is_none_and_equal_images_are_infinite() -> None:
    lane = psnr_lane(3, {0: done(0, math.inf), 1: done(1, math.nan), 2: done(2, 30.0)}, {})
    assert values(lane) == (math.inf, None, 30.0)
    assert lane.low <= 30.0 < lane.high < math.inf


def test_training_psnr_is_the_mean_over_the_cameras_that_are_not_held_out() -> None:
    def record(frame: int, scores: dict[str, dict[str, float]]) -> FrameRecord:
        return FrameRecord(done(frame), 10, scores)

    records = {0: record(0, {"psnr": {"a": 30.0, "b": 34.0, "held": 20.0}}), 1: record(1, {"psnr": {"held": 20.0}}), 2: record(2, {})}
    assert training_psnr(records, ("held",)) == {0: 32.0}


def test_tracks_per_frame() -> None:
    found = by_key(track_lanes(5, track_values(Facts()), (), LaneSettings()))
    assert values(found["tracks"]) == (None, 3.0, 3.0, 1.0, None)
    assert values(found["lost"]) == (None, 0.0, 1.0, 3.0, None)  # one that has not started is not lost
    assert values(found["views"]) == (None, 2.0, 2.0, 1.0, None)
    assert values(found["error"]) == (None, 3.0, 2.0, None, None)
    assert len(found["error"].series) == 1


def test_the_greatest_error_of_the_selection() -> None:
    lane = by_key(track_lanes(4, track_values(Facts()), (1, 3), LaneSettings()))["error"]
    assert [one.label for one in lane.series] == ["mean of all", "maximum of the selection"]
    assert values(lane, 1) == (None, 2.0, 4.0, None)


def test_evidence_that_is_absent_leaves_the_error_empty_only() -> None:
    found = by_key(track_lanes(4, track_values(Facts(), LaneSettings(error="unknown")), (), LaneSettings()))
    assert set(values(found["error"])) == {None}
    assert values(found["tracks"]) == (None, 3.0, 3.0, 1.0)


def test_too_few_is_by_camera_and_never_more_views_than_there_are() -> None:
    found = by_key(track_lanes(4, track_values(Facts()), (), LaneSettings(least_tracks=8, least_views=3)))
    assert found["tracks"].warn_below == 16.0
    assert found["views"].warn_below == 2.0
    assert by_key(track_lanes(4, None, (), LaneSettings()))["tracks"].warn_below is None


def test_counts_have_a_scale_from_zero_that_is_never_empty() -> None:
    assert [(lane.low, lane.high) for lane in lanes(3, {}, {}, Work())[3:6]] == [(0.0, 1.0)] * 3
    zero = by_key(track_lanes(2, track_values(Facts(frames=(0,), position=np.full((1, 4, 2), np.nan), evidence={})), (), LaneSettings()))[
        "tracks"
    ]
    assert (zero.low, zero.high) == (0.0, 1.0)


def test_a_first_frame_that_took_long_does_not_flatten_the_others() -> None:
    records = {0: done(0, seconds=195.0), **{frame: done(frame, seconds=6.0 + frame / 10) for frame in range(1, 6)}}
    lane = by_key(lanes(6, records, {}, Work()))["seconds"]
    assert values(lane)[0] == 195.0
    assert (lane.low, lane.high) == (0.0, 8.0)


@pytest.mark.parametrize("count", [29745, 30000, 1, 0])
def test_a_constant_number_of_gaussians_has_a_scale(count: int) -> None:
    lane = by_key(lanes(3, {frame: done(frame, gaussians=count) for frame in range(3)}, {}, Work()))["gaussians"]
    assert values(lane) == (float(count),) * 3
    assert lane.low < count < lane.high


def test_the_difference_of_two_runs_where_both_have_measured() -> None:
    lane = delta_lane(5, {0: done(0, 30.0), 1: done(1, 31.0), 2: done(2, None)}, {1: done(1, 29.5), 2: done(2), 3: done(3)})
    assert values(lane) == (None, 1.5, None, None, None)
    assert (lane.low, lane.high) == (-1.5, 1.5)
    equal = delta_lane(1, {0: done(0, math.inf)}, {0: done(0, math.inf)})
    assert values(equal) == (None,)
    assert (equal.low, equal.high) == (-1.0, 1.0)


@pytest.mark.parametrize(
    ("value", "nice"), [(0.0, 1.0), (-3.0, 1.0), (0.7, 0.8), (1.0, 1.0), (2.1, 2.5), (9.9, 10.0), (1000.0, 1000.0), (1001.0, 1200.0)]
)
def test_scales_end_at_round_numbers(value: float, nice: float) -> None:
    assert view._nice(value) == pytest.approx(nice)


# -- as they travel to the page -------------------------------------------------------------------------------------------


def lane(values: tuple[float | None, ...], **changes: object) -> Lane:
    return replace(Lane("psnr", "PSNR", "dB", "line", (Series("held out", values, "#56B4E9"),), "high", 20.0, 40.0, digits=2), **changes)  # type: ignore[arg-type]


def test_a_lane_travels_rounded_and_without_numbers_that_json_lacks() -> None:
    sent = encode(lane((31.123456, None, math.inf, -math.inf, math.nan)), None)
    assert sent["series"] == [
        {"label": "held out", "colour": "#56B4E9", "faint": False, "values": [31.1235, None, "Infinity", "-Infinity", None]}
    ]
    assert json.loads(json.dumps(sent, allow_nan=False)) == sent
    assert encode(state_lane(3, Work((0, 1), 2, (1,))), None)["states"] == "dfr"


def test_only_what_has_changed_travels() -> None:
    old = lane((30.0,) * 16)
    assert encode(old, old) == {"key": "psnr"}
    sent = encode(lane((30.0,) * 3 + (31.0, None) + (30.0,) * 11), old)
    assert sent["series"] == [{"label": "held out", "colour": "#56B4E9", "faint": False, "at": [3, 4], "to": [31.0, None]}]
    assert "values" in encode(lane((31.0,) * 3 + (30.0,) * 13), old)["series"][0]  # more than an eighth
    assert encode(lane((30.0,) * 16, high=50.0), old)["series"][0]["at"] == []
    assert "values" in encode(lane((30.0,) * 17), old)["series"][0]  # of another clip
