"""Frames that are missing, blank or repeated."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from spoilt import ArraySource, made, noise

from trackersplat.captures.capture import Capture
from trackersplat.checks.events import Step
from trackersplat.checks.findings import Finding
from trackersplat.checks.frames import Signals, SignalsRead, check_frames, read_signals
from trackersplat.checks.settings import FrameSettings


def signals_of(capture: Capture, frames: Sequence[int] | None = None) -> Signals:
    chosen = range(capture.frame_count) if frames is None else frames
    *steps, last = read_signals(capture, chosen)
    assert steps == [Step("reading frames", done, len(chosen)) for done in range(1, len(chosen) + 1)]
    assert isinstance(last, SignalsRead)
    return last.signals


def found(capture: Capture, frames: Sequence[int] | None = None) -> list[Finding]:
    return check_frames([camera.name for camera in capture.cameras], signals_of(capture, frames))


def test_images_that_all_differ_are_no_finding() -> None:
    assert found(made(noise(3, 10))) == []


def test_a_camera_that_stands_still_is_a_problem_with_its_frames() -> None:
    images = noise(3, 12)
    images[1][5:9] = images[1][4]
    (finding,) = found(made(images))
    assert (finding.check, finding.severity, finding.camera) == ("frames", "problem", "cam01")
    assert finding.frames == (5, 6, 7, 8)
    assert "frames 6 to 9" in finding.what


def test_a_camera_that_never_changes_is_found() -> None:
    images = noise(3, 8)
    images[2][:] = images[2][0]
    (finding,) = found(made(images))
    assert (finding.camera, finding.frames) == ("cam02", tuple(range(1, 8)))


def test_single_doubled_frames_are_a_warning_even_with_the_noise_of_another_encoding() -> None:
    images = noise(3, 12)
    for frame in (3, 9):
        again = images[0][frame - 1].astype(np.int16) + np.random.default_rng(0).integers(-2, 3, images[0][0].shape)
        images[0][frame] = np.clip(again, 0, 255)
    (finding,) = found(made(images))
    assert (finding.severity, finding.camera, finding.frames) == ("warning", "cam00", (3, 9))


def test_frames_that_all_cameras_double_are_said_once_and_a_still_scene_not_at_all() -> None:
    images = noise(3, 12)
    for camera in images:
        camera[4] = camera[3]
        camera[8:12] = camera[7]
    (finding,) = found(made(images))
    assert (finding.severity, finding.camera, finding.frames) == ("warning", None, (4,))


def test_black_frames_and_frames_of_one_colour_are_found_and_not_called_repeated() -> None:
    images = noise(3, 10)
    images[0][2:6] = 3
    images[0][4, 0, 0] = 255  # a hot pixel does not make it less black
    images[1][:] = 200
    black, flat = found(made(images))
    assert (black.camera, black.frames) == ("cam00", (2, 3, 4, 5))
    assert "black in frames 3 to 6" in black.what
    assert "one colour in every frame" in flat.what


def test_what_cannot_be_decoded_is_a_finding_and_the_rest_is_read() -> None:
    capture = made(noise(2, 10), frozenset({(1, 3), (1, 7)}))
    signals = signals_of(capture)
    assert np.flatnonzero(~signals.read()[1]).tolist() == [3, 7]
    (finding,) = check_frames(("cam00", "cam01"), signals)
    assert (finding.severity, finding.camera, finding.frames) == ("problem", "cam01", (3, 7))
    assert "Frame 4 of camera 1 cannot be decoded." in finding.what
    # The change to a frame whose predecessor is missing is not known.
    assert np.flatnonzero(np.isnan(signals.change[1])).tolist() == [0, 3, 4, 7, 8]


def test_a_camera_that_fails_again_and_again_is_not_read_any_further() -> None:
    capture = made(noise(2, 40), frozenset((0, frame) for frame in range(40)))
    (finding,) = found(capture)
    assert finding.frames == tuple(range(FrameSettings().give_up_after))
    assert "was not read any further" in finding.what
    assert isinstance(capture.source, ArraySource)
    assert sum(camera == 0 for camera, _ in capture.source.asked) == FrameSettings().give_up_after


def test_only_the_chosen_frames_are_read_and_a_gap_is_no_change() -> None:
    images = noise(2, 12)
    images[0][8] = images[0][3]
    capture = made(images)
    signals = signals_of(capture, (1, 2, 3, 8, 9))
    assert isinstance(capture.source, ArraySource)
    assert sorted(set(capture.source.asked)) == [(c, f) for c in (0, 1) for f in (1, 2, 3, 8, 9)]
    assert np.isnan(signals.change[:, 3]).all()
    assert check_frames(("cam00", "cam01"), signals) == []
    expected = np.abs(images[1][2].astype(int) - images[1][1]).mean()
    assert abs(signals.change[1, 1] - expected) < expected  # of grey: less than that of the colours, and not nothing
    assert signals.motion[1][1].any()
