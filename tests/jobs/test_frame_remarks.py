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
from trackersplat.jobs.remarks import BETTER, FEW_TRACKS, OWN_TRACKS, POOR_FIT, POOR_HELD_OUT, remarks
from trackersplat.metrics.image import constant_psnr, psnr


def _first(gain: float) -> Any:
    """A first frame that is by so many dB better than pictures of one colour."""
    capture = quad_capture()
    scores = {camera.name: constant_psnr(capture.image(i, 0)) + gain for i, camera in enumerate(capture.cameras)}
    return SimpleNamespace(base=None, frame=0, scores={"psnr": scores})


def _two_kinds(training: float, held_out: float) -> tuple[Any, Capture]:
    """A first frame that is by so many dB better than pictures of one colour, and its capture with a held-out camera."""
    capture = replace(quad_capture(), held_out=("cam01",))
    result = _first(training)
    result.scores["psnr"]["cam01"] += held_out - training
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
