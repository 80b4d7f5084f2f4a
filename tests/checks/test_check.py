"""The whole check, on captures that are right and on ones with known defects."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from spoilt import ArraySource, made, noise, shifted, turned, with_images

from trackersplat.captures.capture import Capture
from trackersplat.captures.registry import open_capture
from trackersplat.checks.check import check_capture, default_frames
from trackersplat.checks.events import Checked, Step
from trackersplat.checks.findings import Report
from trackersplat.checks.settings import DEFAULTS, CheckSettings, MatchSettings

# Points of one frame rather than three, where nothing rests on their number: less to judge by, at a third of the cost.
ONE_FRAME = CheckSettings(matches=MatchSettings(frames=1))


@pytest.fixture(scope="module")
def demo() -> Iterator[Capture]:
    capture = open_capture("demo")
    yield capture
    capture.close()


def report_of(capture: Capture, frames: Sequence[int] | None = None, settings: CheckSettings = DEFAULTS) -> Report:
    *steps, last = check_capture(capture, frames, settings)
    assert all(isinstance(step, Step) and 0 <= step.done <= step.total for step in steps)
    assert isinstance(last, Checked)
    return last.report


def test_nothing_is_found_in_the_demo(demo: Capture) -> None:
    report = report_of(demo)
    assert report.findings == ()
    assert report.frames == tuple(range(30))
    for measures in report.cameras:
        assert measures.frames_read == 30
        assert (measures.reprojection or 9) < 0.5
        assert abs(measures.offset or 0) < 0.25
        assert measures.gain == pytest.approx((1, 1, 1), abs=0.02)


def test_each_of_four_defects_is_found_and_nothing_else(demo: Capture) -> None:
    spoilt = turned(shifted(demo, 4, 3), 2, 2.0)
    spoilt = with_images(spoilt, 6, lambda source, c, f: np.clip(source.read(c, f) * 1.5, 0, 255).astype(np.uint8))
    spoilt = with_images(spoilt, 9, lambda source, c, f: source.read(c, 11 if 11 <= f <= 16 else f))
    report = report_of(spoilt, range(4, 30), ONE_FRAME)
    found = {(finding.check, finding.severity, finding.camera) for finding in report.findings}
    assert found == {
        ("synchrony", "problem", "cam04"),
        ("poses", "problem", "cam02"),
        ("colours", "warning", "cam06"),
        ("frames", "problem", "cam09"),
    }
    by_check = {finding.check: finding for finding in report.findings}
    assert by_check["frames"].frames == (12, 13, 14, 15, 16)
    assert by_check["synchrony"].numbers["frames"] == pytest.approx(3, abs=0.4)
    assert by_check["poses"].numbers["turned"] == pytest.approx(2, abs=0.1)
    assert report.cameras[6].gain == pytest.approx((1.5, 1.5, 1.5), rel=0.05)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "judged"), [("stage", 12), ("stage_fast", 12), ("board", 0), ("balancing", 0)])
def test_no_problem_is_seen_in_captures_that_are_right(shared_data: Path, name: str, judged: int) -> None:
    capture = open_capture(shared_data / name)
    report = report_of(capture, range(min(capture.frame_count, 20)), ONE_FRAME)
    capture.close()
    assert [finding.what for finding in report.findings if finding.severity == "problem"] == []
    exposure = [finding.camera for finding in report.findings if finding.severity == "warning"]
    assert exposure == ([None] if name == "board" else [])  # whose cameras were set to different exposures
    known = [measures.reprojection for measures in report.cameras if measures.reprojection is not None]
    assert len(known) >= judged
    assert max(known, default=0) < (0.5 if judged else 2.0)


def test_frames_that_cannot_be_decoded_do_not_stop_the_check() -> None:
    images = noise(3, 6)
    capture = made(images, frozenset((1, frame) for frame in range(6)))
    report = report_of(capture)
    assert ("frames", "problem", "cam01") in {(f.check, f.severity, f.camera) for f in report.findings}
    assert not any(f.camera == "cam01" and f.severity == "note" for f in report.findings)  # the one problem explains the rest
    assert [measures.frames_read for measures in report.cameras] == [6, 0, 6]


@pytest.mark.parametrize(("cameras", "frames"), [(1, 1), (1, 5), (2, 1), (3, 2)])
def test_the_smallest_captures_can_be_checked(cameras: int, frames: int) -> None:
    report = report_of(made(noise(cameras, frames)))
    assert all(finding.severity == "note" for finding in report.findings)
    assert len(report.cameras) == cameras


def test_black_images_alone_are_a_problem_each_and_no_crash() -> None:
    report = report_of(made([np.zeros((4, 48, 64, 3), np.uint8)] * 3))
    assert [(f.severity, f.camera) for f in report.findings] == [("problem", f"cam{i:02d}") for i in range(3)]


def test_closing_the_stream_stops_the_reading() -> None:
    capture = made(noise(2, 10))
    stream = check_capture(capture)
    assert next(stream) == Step("reading frames", 1, 10)
    stream.close()  # type: ignore[attr-defined]
    assert isinstance(capture.source, ArraySource)
    assert {frame for _, frame in capture.source.asked} == {0}


def test_of_a_long_clip_three_stretches_are_checked() -> None:
    assert default_frames(150) == tuple(range(150))
    chosen = default_frames(1000)
    assert len(chosen) == 150
    assert (chosen[0], chosen[-1]) == (0, 999)
    assert sum(b - a > 1 for a, b in itertools.pairwise(chosen)) == 2
    barely = default_frames(151)
    assert list(barely) == sorted(set(barely))
    assert default_frames(100, CheckSettings(max_frames=6)) == (0, 1, 49, 50, 98, 99)


def test_the_same_capture_gives_the_same_report_twice(demo: Capture) -> None:
    few = dataclasses.replace(demo, cameras=demo.cameras[:4])
    first, second = (report_of(few, range(2)) for _ in range(2))
    assert dataclasses.replace(first, seconds=0) == dataclasses.replace(second, seconds=0)
