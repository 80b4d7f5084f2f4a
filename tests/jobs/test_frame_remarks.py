"""What is implausible about a frame is said with it."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from quad_scene import quad_capture

from trackersplat.captures.capture import Capture
from trackersplat.commands.terminal import frame_remarks
from trackersplat.events import FrameDone, from_json, to_json
from trackersplat.jobs.remarks import BETTER, FEW_TRACKS, OWN_TRACKS, POOR_FIT, POOR_HELD_OUT, odd_cameras, remarks
from trackersplat.metrics.image import constant_psnr, psnr


def _first(gain: float) -> Any:
    """A first frame that is by so many dB better than pictures of one colour."""
    capture = quad_capture()
    scores = {camera.name: constant_psnr(capture.image(i, 0)) + gain for i, camera in enumerate(capture.cameras)}
    return SimpleNamespace(base=None, frame=0, scores={"psnr": scores})


def _two_kinds(training: float, held_out: float) -> tuple[Any, Capture]:
    """A first frame that is by so many dB better than pictures of one colour, and its capture with a held-out camera."""
    capture = quad_capture()
    name = capture.cameras[1].name
    capture = replace(capture, held_out=(name,))
    result = _first(training)
    result.scores["psnr"][name] += held_out - training
    return result, capture


def _moved(static: float, measured: float, motion: object = object()) -> Any:
    return SimpleNamespace(base=0, frame=1, scores={}, motion=motion, static=static, measured=measured)


def test_a_first_frame_must_be_better_than_pictures_of_one_colour() -> None:
    capture = quad_capture()
    assert remarks(_first(BETTER - 0.1), capture) == (POOR_FIT,)
    assert remarks(_first(BETTER + 0.1), capture) == ()


def test_a_first_frame_must_not_be_worse_than_pictures_of_one_colour_where_nothing_was_trained() -> None:
    """So it is where the poses of two cameras are exchanged: each training image is fitted by Gaussians that no other camera confirms."""
    assert remarks(*_two_kinds(3.0, -0.1)) == (POOR_HELD_OUT,)
    assert remarks(*_two_kinds(3.0, 0.1)) == ()
    assert remarks(*_two_kinds(0.1, -3.0)) == (POOR_FIT,)  # which says it already
    assert all("`trackersplat check`" in remark for remark in (POOR_FIT, POOR_HELD_OUT))


def test_training_cameras_that_the_first_frame_fits_far_worse_than_the_others_are_named() -> None:
    """Measured where the poses of two of the demo's cameras are exchanged: gains of 2 dB beside 15 to 19 dB."""
    capture = quad_capture()
    names = [camera.name for camera in capture.cameras]
    found = _first(16.0)
    assert remarks(found, capture) == ()
    for name in names[1:3]:
        found.scores["psnr"][name] -= 14.0
    assert remarks(found, capture) == (odd_cameras(names[1:3]),)
    assert f"fits {names[1]}, {names[2]} far worse" in odd_cameras(names[1:3])
    plain = _first(16.0)
    plain.scores["psnr"][names[1]] = 0.0
    assert remarks(plain, capture) == (odd_cameras(names[1:2]),)
    assert "its pose does not belong to its images" in odd_cameras(names[1:2])


def test_a_camera_that_shows_a_plain_wall_is_not_odd() -> None:
    capture = quad_capture()
    found = _first(16.0)
    name = capture.cameras[1].name
    wall = replace(capture, source=_OneWall(capture, 1))
    found.scores["psnr"][name] = constant_psnr(wall.image(1, 0)) + 2.0
    assert found.scores["psnr"][name] > 30
    assert remarks(found, wall) == ()


class _OneWall:
    """The images of a capture, those of one camera nearly of one colour."""

    def __init__(self, capture: Capture, camera: int) -> None:
        self._capture, self._camera = capture, camera

    def read(self, camera: int, frame: int) -> np.ndarray:
        image = self._capture.image(camera, frame)
        return (image // 64 + 120).astype(np.uint8) if camera == self._camera else image

    def prefetch(self, wanted: object) -> None: ...

    def close(self) -> None: ...


def test_pictures_of_one_colour_are_scored_by_their_mean() -> None:
    image = quad_capture().image(0, 0)
    mean = np.broadcast_to(image.reshape(-1, 3).mean(axis=0) / 255, image.shape)
    assert constant_psnr(image) == pytest.approx(psnr(mean, image), abs=1e-4)
    assert constant_psnr(np.full((4, 4, 3), 9, dtype=np.uint8)) == math.inf


def test_few_tracks_are_remarked_where_much_moves() -> None:
    capture = quad_capture()
    assert remarks(_moved(static=0.5, measured=0.4 * OWN_TRACKS), capture) == (FEW_TRACKS,)
    assert remarks(_moved(static=0.5, measured=0.6 * OWN_TRACKS), capture) == ()
    assert remarks(_moved(static=0.95, measured=0.0), capture) == ()  # hardly anything moves
    assert remarks(_moved(static=0.0, measured=0.0, motion=None), capture) == ()  # nothing was to be moved


def test_remarks_are_kept_with_the_frame_and_listed_once_at_the_end() -> None:
    done = [FrameDone(frame, 0, {}, {}, 5, 0.0, 0.0, {}, (FEW_TRACKS,)) for frame in (3, 1, 2)]
    assert from_json(to_json(done[0])) == done[0]
    assert frame_remarks(done) == [f"3 frames, from 2 to 4: {FEW_TRACKS}"]
    assert frame_remarks(done[:1]) == [f"Frame 4: {FEW_TRACKS}"]
