"""What the panels say, and that names from files cannot become markup."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import Capture
from trackersplat.events import FrameDone, Stage, Started, StepDone
from viewer.panels.html import box, note, table
from viewer.panels.reconstruct import Progress, duration
from viewer.panels.timeline import runs_of, status, strip
from viewer.state import Comparison, Draft, State

NASTY = "<img src=x onerror=alert(1)>\"'"


@pytest.fixture
def capture() -> Capture:
    K = np.array([[90.0, 0, 50], [0, 90.0, 40], [0, 0, 1]])
    cameras = (Camera(NASTY, 100, 80, K, np.eye(4)), Camera("cam08", 100, 80, K, np.eye(4)))
    return Capture("c", Path("nowhere"), "test", cameras, 30, 30.0, SimpleNamespace(), held_out=("cam08",))


def test_names_and_messages_from_outside_are_escaped(capture: Capture) -> None:
    state = State(frame_count=30, camera=0, activity=NASTY, comparison=Comparison(NASTY, False, 0, "render", 20.0, 1, 1))
    for page in (status(state, capture), note(NASTY), box(NASTY, "#fff"), table((NASTY,), [(NASTY,)])):
        assert "<img" not in page
        assert "&lt;img" in page


def test_the_status_line_says_camera_role_score_and_pixels(capture: Capture) -> None:
    state = State(frame_count=30, frame=4, camera=1, reconstructed=(4,), comparison=Comparison("cam08", True, 4, "wipe", 28.314, 160, 240))
    line = status(state, capture)
    for part in ("Frame 5 / 30", "reconstructed", "cam08", "(held out)", "28.31 dB", "frame 5", "160 × 240 px"):
        assert part in line
    assert "(training)" in status(replace(state, camera=0), capture)
    assert "dB" not in status(replace(state, camera=0), capture)  # the score is another camera's
    assert "Free view" in status(replace(state, camera=None), capture)


def test_the_status_line_says_honestly_what_is_shown(capture: Capture) -> None:
    state = State(frame_count=30, frame=4)
    assert "photographs only" in status(state, capture)
    assert "showing frame 3, dimmed" in status(replace(state, reconstructed=(2,)), capture)
    assert "being optimised" in status(replace(state, preview=Draft(4, Path("p.ply"), 1)), capture)
    assert "being reconstructed" in status(replace(state, working_on=4), capture)


def test_stretches_without_a_gap_are_one_bar() -> None:
    assert runs_of((0, 1, 2, 5, 7, 8)) == [(0, 2), (5, 5), (7, 8)]
    assert runs_of(()) == []
    page = strip(State(frame_count=10, reconstructed=(0, 1, 2, 5)))
    assert 'x="-0.5" y="0" width="3"' in page
    assert 'x="4.5" y="0" width="1"' in page
    assert "4 of 10 frames" in page


@pytest.mark.parametrize(("seconds", "words"), [(0.4, "0 s"), (59.6, "1 min 00 s"), (200, "3 min 20 s"), (7500, "2 h 05 min")])
def test_durations_read_well(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def done(frame: int, base: int | None, seconds: float) -> FrameDone:
    scores = {"unmoved_psnr": 24.0, "moved_psnr": 26.0, "psnr": 28.125, "ssim": 0.9}
    return FrameDone(frame, base, scores, {}, 100, 0.5, 0.5, {"move": 0.25 * seconds, "refine": 0.75 * seconds})


def test_progress_estimates_the_rest_from_moved_frames() -> None:
    now = [0.0]
    progress = Progress(lambda: now[0])
    progress.take(Started(tuple(range(5)), "CPU", "base-propagate", 100, 10))
    assert progress.seconds_left() is None
    now[0] = 10.0
    progress.take(Stage(0, "optimise"))
    progress.take(StepDone(0, 50, 100, 0.1, 1000))
    assert progress.share() == pytest.approx(0.95 * 0.5 / 5)
    assert progress.seconds_left() == pytest.approx(10 * (1 - 0.095) / 0.095)
    progress.take(done(0, None, 60.0))
    progress.take(done(1, 0, 4.0))
    progress.take(done(2, 0, 6.0))
    assert progress.share() == pytest.approx(3 / 5)
    assert progress.seconds_left() == pytest.approx(2 * 5.0)
    page = progress.html()
    assert "3 of 5 frames done" in page
    assert "28.12 dB (unmoved 24.00, moved 26.00), 6.0 s" in page


def test_progress_shows_the_stage_and_escapes_its_detail() -> None:
    progress = Progress()
    progress.take(Started((3,), "CPU", "base-propagate", 100, 10))
    progress.take(Stage(3, "track", NASTY))
    page = progress.html()
    assert "Frame 4" in page
    assert "tracking points" in page
    assert "<img" not in page


def test_a_job_that_found_everything_done_says_so() -> None:
    progress = Progress()
    progress.take(Started((), "CPU", "base-propagate", 100, 10))
    assert "was there already" in progress.html(done=True)


def test_a_frame_without_scores_is_done_without_a_metric() -> None:
    progress = Progress()
    progress.take(Started((0,), "CPU", "base-propagate", 100, 10))
    progress.take(replace(done(0, None, 1.0), scores={}))
    assert "last-metric" not in progress.html()
    progress.take(replace(done(0, None, 1.0), scores={"psnr": 20.0}))
    assert "held-out PSNR 20.00 dB, 1.0 s" in progress.html()
