"""What a reconstruction says of poses before its first frame."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from spoilt import turned

from trackersplat.captures.capture import Capture
from trackersplat.captures.registry import open_capture
from trackersplat.checks.start import doubtful_poses


@pytest.fixture(scope="module")
def demo() -> Iterator[Capture]:
    capture = open_capture("demo")
    yield capture
    capture.close()


@pytest.mark.parametrize("frame", [0, 29])
def test_of_right_poses_nothing_is_said(demo: Capture, frame: int) -> None:
    assert doubtful_poses(demo, frame) == ()


def test_a_camera_that_is_turned_by_two_degrees_is_named_with_what_to_do(demo: Capture) -> None:
    (sentence,) = doubtful_poses(turned(demo, 2, 2.0), 0)
    assert sentence.startswith("The pose of cam02 is wrong: it sees ")
    assert "turned by 2.0 degrees" in sentence
    assert sentence.endswith("Calibrate the camera again, check that its name belongs to its pose, or leave it out.")
