"""What a reconstruction says of poses before its first frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest
from spoilt import turned, with_images

from trackersplat.captures.capture import Capture, FrameSource
from trackersplat.captures.registry import open_capture
from trackersplat.checks.check import PosesChecked, check_capture
from trackersplat.checks.events import Checked
from trackersplat.checks.findings import Finding, Severity
from trackersplat.checks.start import AT_START, Doubts, doubtful_poses
from trackersplat.errors import InputError
from trackersplat.events import Stage


@pytest.fixture(scope="module")
def demo() -> Iterator[Capture]:
    capture = open_capture("demo")
    yield capture
    capture.close()


def doubts(capture: Capture, frame: int) -> tuple[str, ...]:
    *_, last = doubtful_poses(capture, frame)
    assert isinstance(last, Doubts)
    return last.sentences


@pytest.mark.parametrize("frame", [0, 29])
def test_of_right_poses_nothing_is_said(demo: Capture, frame: int) -> None:
    assert doubts(demo, frame) == ()


def test_a_camera_that_is_turned_by_two_degrees_is_named_with_what_to_do(demo: Capture) -> None:
    spoilt = turned(demo, 2, 2.0)
    (sentence,) = doubts(spoilt, 0)
    assert sentence.startswith("The pose of cam02 is wrong: it sees ")
    assert "turned by 2.0 degrees" in sentence
    assert sentence.endswith("Calibrate the camera again, check that its name belongs to its pose, or leave it out.")
    *_, checked = check_capture(spoilt, (0,), AT_START)
    assert isinstance(checked, Checked)
    found = [finding for finding in checked.report.findings if finding.check == "poses" and finding.severity != "note"]
    assert [f"{finding.what} {finding.advice}" for finding in found] == [sentence]


def test_the_work_is_told_in_tenths_and_stops_when_the_iterator_is_closed(demo: Capture) -> None:
    read: list[int] = []

    def noted(source: FrameSource, camera: int, frame: int) -> np.ndarray:
        read.append(camera)
        return source.read(camera, frame)

    watched = demo
    for camera in range(len(demo.cameras)):
        watched = with_images(watched, camera, noted)
    *stages, _ = doubtful_poses(watched, 0)
    assert 8 <= len(stages) <= 13
    assert all(isinstance(stage, Stage) and (stage.frame, stage.name) == (0, "check") for stage in stages)
    every = len(read)
    read.clear()
    work = doubtful_poses(watched, 0)
    next(event for event in work if isinstance(event, Stage) and event.detail == "matching points, 10 %")
    work.close()
    assert len(read) < every


def unreadable(source: FrameSource, camera: int, frame: int) -> np.ndarray:
    raise InputError("It cannot be decoded.")


@pytest.mark.parametrize("cameras", [(3,), range(12)])
def test_images_that_cannot_be_read_are_left_to_the_reconstruction(demo: Capture, cameras: Sequence[int]) -> None:
    spoilt = demo
    for camera in cameras:
        spoilt = with_images(spoilt, camera, unreadable)
    assert doubts(spoilt, 0) == ()


def test_of_a_single_camera_nothing_is_said(demo: Capture) -> None:
    assert doubts(replace(demo, cameras=demo.cameras[:1], held_out=()), 0) == ()


def test_what_could_not_be_checked_is_no_doubt(demo: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    severities: tuple[Severity, ...] = ("note", "warning", "problem")
    found = [Finding("poses", severity, "cam02", f"A {severity}.", "Do it.") for severity in severities]
    monkeypatch.setattr("trackersplat.checks.start.find_wrong_poses", lambda *_: iter([PosesChecked(found)]))
    assert doubts(demo, 0) == ("A problem. Do it.", "A warning. Do it.")
