"""Two runs side by side."""

from __future__ import annotations

import math

import pytest

from trackersplat.events import FrameDone
from viewer.panels.compare import mean_row, verdict
from viewer.views.comparison import camera_deltas, frame_deltas, metric_deltas


def done(frame: int, psnr: float, lpips: float | None = None) -> FrameDone:
    scores = {"psnr": psnr} | ({} if lpips is None else {"lpips": lpips})
    return FrameDone(frame, None, scores, {}, 100, 0.5, 0.5, {})


SHOWN = {0: done(0, 28.0, 0.2), 1: done(1, 27.0, 0.3), 2: done(2, 30.0)}
OTHER = {0: done(0, 27.0, 0.25), 1: done(1, 27.5, 0.2), 3: done(3, 10.0)}


def test_means_are_over_the_frames_that_both_have() -> None:
    psnr, lpips = metric_deltas(SHOWN, OTHER)
    assert (psnr.metric, psnr.shown, psnr.other, psnr.frames, psnr.better) == ("psnr", 27.5, 27.25, 2, 1)
    assert (lpips.frames, lpips.better) == (2, 1)
    assert psnr.gain == 0.25
    assert lpips.gain == pytest.approx(-0.025)  # lower is better


def test_frames_and_cameras_say_where_which_is_better() -> None:
    assert frame_deltas(SHOWN, OTHER) == {0: 1.0, 1: -0.5}
    cameras = camera_deltas({"a": {0: 28.0, 1: 27.0}, "b": {5: 1.0}}, {"a": {0: 27.0, 1: 27.0}, "b": {6: 1.0}, "c": {}})
    assert cameras == {"a": (27.5, 27.0, 2)}


def test_runs_without_a_common_frame_have_nothing_to_compare() -> None:
    assert metric_deltas(SHOWN, {}) == ()
    assert metric_deltas({0: done(0, math.nan)}, OTHER) == ()


def test_the_verdict_is_one_sentence() -> None:
    psnr, lpips = metric_deltas(SHOWN, OTHER)
    assert verdict(psnr) == "By PSNR the run shown is 0.25 dB better in the mean of 2 frames; it is the better one in 1 of them."
    assert "0.025 worse" in verdict(lpips)
    (equal,) = metric_deltas({0: done(0, 20.0)}, {0: done(0, 20.0)})
    assert verdict(equal) == "By PSNR the run shown is as good in the mean of 1 frame."
    (varied,) = metric_deltas({0: done(0, 20.0), 1: done(1, 21.0)}, {0: done(0, 21.0), 1: done(1, 20.0)})
    assert verdict(varied) == "By PSNR the run shown is as good in the mean of 2 frames; it is the better one in 1 of them."
    assert [mean_row(delta)["better"] for delta in (psnr, lpips, equal)] == ["this, 0.25", "other, 0.025", "equal"]
