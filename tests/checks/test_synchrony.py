"""Cameras that are behind or ahead, in the motion of the demo."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from trackersplat.captures.capture import Capture
from trackersplat.captures.registry import open_capture
from trackersplat.checks.frames import Signals, read_signals
from trackersplat.checks.synchrony import Offset, check_synchrony, is_off, measure_offsets


@pytest.fixture(scope="module")
def demo() -> Iterator[Capture]:
    capture = open_capture("demo")
    yield capture
    capture.close()


@pytest.fixture(scope="module")
def signals(demo: Capture) -> Signals:
    signals = Signals.empty(demo, range(demo.frame_count))
    for _ in read_signals(demo, signals):
        pass
    return signals


def offsets_with(
    demo: Capture, signals: Signals, behind: dict[int, int], frames: range = range(10, 30), skip: int = 0
) -> list[Offset | None]:
    """The offsets in some frames, with some cameras that show what they should have shown earlier."""
    chosen = [frame for frame in frames if not skip or frame % skip]
    motion = [images[[frame - behind.get(camera, 0) for frame in chosen]] for camera, images in enumerate(signals.motion)]
    usable = np.ones((len(motion), len(chosen)), dtype=bool)
    return measure_offsets(demo.cameras, chosen, motion, usable)


def test_cameras_in_step_have_no_offset(demo: Capture, signals: Signals) -> None:
    offsets = offsets_with(demo, signals, {}, range(1, 30))
    assert all(offset is not None and abs(offset.frames) < 0.25 for offset in offsets)
    assert check_synchrony([camera.name for camera in demo.cameras], offsets, demo.fps) == []


@pytest.mark.parametrize(("camera", "frames"), [(4, 3), (0, 1), (11, 6), (7, 2)])
def test_the_camera_that_is_behind_is_found_with_the_frames_to_cut(demo: Capture, signals: Signals, camera: int, frames: int) -> None:
    offsets = offsets_with(demo, signals, {camera: frames})
    assert [i for i, offset in enumerate(offsets) if offset is not None and is_off(offset)] == [camera]
    offset = offsets[camera]
    assert offset is not None
    assert offset.whole == frames
    (finding,) = check_synchrony([c.name for c in demo.cameras], offsets, demo.fps)
    assert finding.camera == demo.cameras[camera].name
    assert f"shows in frame {10 + frames}" in finding.what
    assert f"Cut the first {frames} frame{'s' * (frames > 1)} of its video" in finding.advice


def test_half_a_frame_is_measured_and_no_finding(demo: Capture, signals: Signals) -> None:
    motion = [images[10:28] for images in signals.motion]
    late = signals.motion[7]
    motion[7] = (late[10:28].astype(np.uint16) + late[9:27] + 1 >> 1).astype(np.uint8)
    offsets = measure_offsets(demo.cameras, range(18), motion, np.ones((12, 18), dtype=bool))
    assert offsets[7] is not None
    assert offsets[7].frames == pytest.approx(0.5, abs=0.2)
    assert check_synchrony([c.name for c in demo.cameras], offsets, demo.fps) == []


def test_two_cameras_off_by_different_frames_and_one_ahead(demo: Capture, signals: Signals) -> None:
    offsets = offsets_with(demo, signals, {3: -2, 8: 4}, range(5, 28))
    found = {i: offset.whole for i, offset in enumerate(offsets) if offset is not None and is_off(offset)}
    assert found == {3: -2, 8: 4}
    ahead, behind = check_synchrony([c.name for c in demo.cameras], offsets, demo.fps)
    assert "ahead of the other cameras: what they show in frame 12 it shows in frame 10" in ahead.what
    assert "every other video" in ahead.advice
    assert "behind" in behind.what


def test_a_camera_is_found_among_frames_with_gaps(demo: Capture, signals: Signals) -> None:
    offsets = offsets_with(demo, signals, {6: 2}, range(6, 30), skip=10)
    assert [i for i, offset in enumerate(offsets) if offset is not None and is_off(offset)] == [6]


def test_where_nothing_moves_it_is_said_that_nothing_can_be_told(demo: Capture, signals: Signals) -> None:
    still = [np.zeros_like(images) for images in signals.motion]
    offsets = measure_offsets(demo.cameras, range(30), still, np.ones((12, 30), dtype=bool))
    assert offsets == [None] * 12
    names = [camera.name for camera in demo.cameras]
    (finding,) = check_synchrony(names, offsets, 30.0)
    assert (finding.severity, finding.camera) == ("note", None)
    assert check_synchrony(names, offsets, 30.0, set(names)) == []


def test_a_single_frame_can_not_be_checked(demo: Capture, signals: Signals) -> None:
    one = [images[:1] for images in signals.motion]
    assert measure_offsets(demo.cameras, [0], one, np.ones((12, 1), dtype=bool)) == [None] * 12


def test_of_two_cameras_one_is_measured_against_the_other(demo: Capture, signals: Signals) -> None:
    motion = [signals.motion[2][10:], signals.motion[3][6:26]]
    offsets = measure_offsets([demo.cameras[2], demo.cameras[3]], range(20), motion, np.ones((2, 20), dtype=bool))
    first, second = offsets
    assert first is not None
    assert second is not None
    assert (first.whole, second.whole) in ((-4, 0), (0, 4))
