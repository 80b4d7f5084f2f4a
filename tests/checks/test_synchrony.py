"""Cameras that are behind or ahead, in the motion of the demo."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from trackersplat.captures.capture import Capture
from trackersplat.captures.registry import open_capture
from trackersplat.checks.frames import Signals, SignalsRead, read_signals
from trackersplat.checks.synchrony import Offset, _solve, _stretches, check_synchrony, is_off, measure_offsets


@pytest.fixture(scope="module")
def demo() -> Iterator[Capture]:
    capture = open_capture("demo")
    yield capture
    capture.close()


@pytest.fixture(scope="module")
def signals(demo: Capture) -> Signals:
    *_, last = read_signals(demo, range(demo.frame_count))
    assert isinstance(last, SignalsRead)
    return last.signals


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


@pytest.mark.parametrize(
    ("frames", "correlation", "gain", "partners", "off"),
    [
        (0.76, 0.9, 0.021, 5, True), (-0.76, 0.9, 0.021, 5, True), (0.74, 0.9, 0.5, 5, False), (3.0, 0.9, 0.019, 5, False),
        (1.6, 0.9, 0.041, 4, True), (-1.6, 0.9, 0.041, 4, True), (1.4, 0.9, 0.5, 4, False), (3.0, 0.9, 0.039, 4, False),
        (3.0, 0.26, 0.1, 5, True), (3.0, 0.24, 0.1, 5, False),
    ],
)  # fmt: skip
def test_few_partners_must_agree_on_more_than_many(frames: float, correlation: float, gain: float, partners: int, off: bool) -> None:
    assert is_off(Offset(frames, round(frames), correlation, correlation - gain, partners)) == off


def test_a_finding_says_how_sure_it_is_and_how_long_it_takes() -> None:
    offsets = [Offset(-2.9, -3, 0.8, 0.7, 5), Offset(1.1, 1, 0.8, 0.77, 5), Offset(0.0, 0, 0.9, 0.9, 5)]
    sure, likely = check_synchrony(["left", "right", "top"], offsets, 25.0)
    assert (sure.severity, likely.severity) == ("problem", "warning")
    assert sure.what.startswith("left is 3 frames (116 ms) ahead of the other cameras: what they show in frame 13 it shows in frame 10")
    assert likely.what.startswith(
        "right is probably 1 frame (44 ms) behind the other cameras: what they show in frame 10 it shows in frame 11"
    )


REACH = 10


def curves_of(agreement: dict[tuple[int, int], tuple[int, float]]) -> dict[tuple[int, int], np.ndarray]:
    """Curves with one bump each: at how far the second of a pair is behind the first, as high as they agree."""
    shifts = np.arange(-REACH, REACH + 1)
    curves = {}
    for (a, b), (behind, height) in agreement.items():
        curves[a, b] = height * np.exp(-0.5 * (shifts - behind) ** 2)
        curves[b, a] = curves[a, b][::-1]
    return curves


def all_agree(behind: list[int]) -> dict[tuple[int, int], np.ndarray]:
    count = len(behind)
    return curves_of({(a, b): (behind[b] - behind[a], 0.8) for a in range(count) for b in range(a + 1, count)})


def test_cameras_are_measured_against_those_alone_that_are_in_step() -> None:
    """With the wrong ones among the partners none would agree fully."""
    behind = [0, 5, 0, 0, -4, 0, 0]
    for offset, frames in zip(_solve(7, all_agree(behind), REACH), behind, strict=True):
        assert offset is not None
        assert offset.whole == frames
        assert offset.frames == pytest.approx(frames, abs=1e-6)
        assert offset.correlation == pytest.approx(0.8)
        assert offset.partners == (4 if frames == 0 else 5)


def test_of_two_that_seem_off_the_one_that_seems_it_more_is() -> None:
    """Camera 0 is 3 frames ahead; camera 1 shares most with it, and so seems to be behind until camera 0 is out of the way."""
    offsets = _solve(3, curves_of({(0, 1): (3, 1.0), (0, 2): (3, 0.4), (1, 2): (0, 0.5)}), REACH)
    assert [offset is not None and is_off(offset) for offset in offsets] == [True, False, False]


def test_no_more_than_half_of_the_cameras_are_taken_out_where_no_two_agree() -> None:
    offsets = _solve(4, all_agree([0, 3, 6, 9]), REACH)
    assert all(offset is not None and offset.partners >= 1 for offset in offsets)


def test_a_correlation_that_is_too_small_is_no_offset() -> None:
    offsets = _solve(3, curves_of({(0, 1): (0, 0.9), (0, 2): (2, 0.2), (1, 2): (2, 0.2)}), REACH)
    assert offsets[0] is not None
    assert offsets[1] is not None
    assert offsets[2] is None


def test_runs_of_frames_end_at_gaps() -> None:
    assert _stretches([0, 1, 2, 5, 6, 9]) == [(0, 2), (5, 6), (9, 9)]
    assert _stretches([]) == []


def test_frames_that_are_not_usable_and_the_usual_change_of_pixels_make_no_difference(demo: Capture, signals: Signals) -> None:
    """Four cameras; a frame that none can use at the end is as good as none, and noise in all pixels adds nothing."""
    chosen, frames = [2, 3, 4, 5], range(10, 30)
    cameras = [demo.cameras[i] for i in chosen]
    motion = [signals.motion[i][10:30] for i in chosen]
    expected = measure_offsets(cameras, frames, motion, np.ones((4, 20), dtype=bool))
    assert all(offset is not None for offset in expected)
    junk = [np.concatenate([images, np.full_like(images[:1], 99)]) for images in motion]
    usable = np.ones((4, 21), dtype=bool)
    usable[:, 20] = False
    assert measure_offsets(cameras, range(10, 31), junk, usable) == expected
    noisy = [np.where(images < 200, images + np.uint8(40), images) for images in motion]
    for found, offset in zip(measure_offsets(cameras, frames, noisy, np.ones((4, 20), dtype=bool)), expected, strict=True):
        assert found is not None
        assert offset is not None
        assert found.correlation == pytest.approx(offset.correlation, abs=0.01)
