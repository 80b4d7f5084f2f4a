"""How far a job is and how long it will take, with a clock that the tests move."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest

from trackersplat.events import Event, FrameDone, Stage, Started, StepDone
from viewer.job_words import report
from viewer.progress import CURVE_POINTS, Curve, Pace, Progress, duration


def done(frame: int, base: int | None, seconds: float = 1.0) -> FrameDone:
    return FrameDone(frame, base, {"psnr": 28.125}, {}, 100, 0.5, 0.5, {"move": 0.25 * seconds, "refine": 0.75 * seconds})


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def started(clock: Clock, frames: int, pace: Pace = Pace()) -> Progress:  # noqa: B008
    progress = Progress(pace, clock)
    progress.take(Started(tuple(range(frames)), "CPU", "base-propagate", 100, 10))
    return progress


Told = list[tuple[float, float | None]]  # time, seconds left


def play(progress: Progress, clock: Clock, frame: int, base: int | None, seconds: float, steps: int = 10) -> Told:
    """A frame of so many seconds: a fifth before its steps, three fifths of steps, a fifth after. Returns what was told at every tick."""
    told: Told = []

    def tick(share: float, event: Event | None = None) -> None:
        clock.now = begin + share * seconds
        if event is not None:
            progress.take(event)
        told.append((clock.now, progress.seconds_left()))

    begin = clock.now
    progress.take(Stage(frame, "points" if base is None else "track"))
    for part in range(10):
        tick(0.02 * part)
    progress.take(Stage(frame, "optimise" if base is None else "refine"))
    for step in range(steps + 1):
        tick(0.2 + 0.6 * step / steps, StepDone(frame, step, steps, 0.1 if step else math.nan, 1000))
    for part in range(10):
        tick(0.8 + 0.02 * part)
    clock.now = begin + seconds
    progress.take(done(frame, base, seconds))
    told.append((clock.now, progress.seconds_left()))
    return told


def test_nothing_is_promised_before_anything_is_known(clock: Clock) -> None:
    progress = started(clock, 5)
    assert progress.seconds_left() is None
    progress.take(Stage(0, "compile", "blending (2 of 8)"))
    clock.now += 50
    assert progress.seconds_left() is None


def test_once_a_moved_frame_is_done_the_time_left_is_right_within_a_quarter(clock: Clock) -> None:
    seconds = [60.0, 10.0, 11.0, 9.5, 10.5, 9.0, 11.0, 10.0, 10.0, 10.5]
    end = clock.now + sum(seconds)
    progress = started(clock, len(seconds))
    for frame, each in enumerate(seconds):
        told = play(progress, clock, frame, None if frame == 0 else frame - 1, each)
        if frame >= 2:
            for now, left in told:
                assert left == pytest.approx(end - now, rel=0.25, abs=3.0)
    assert progress.seconds_left() == 0


def test_the_countdown_runs_and_never_jumps_up_by_much(clock: Clock) -> None:
    progress = started(clock, 6)
    told: list[tuple[float, float]] = []
    for frame in range(6):
        for now, left in play(progress, clock, frame, None if frame == 0 else frame - 1, 40.0 if frame == 0 else 8.0):
            if frame >= 2 and left is not None:
                told.append((now, left))
    for (before, first), (now, second) in pairwise(told):
        assert second <= first + 1.0
        if now > before:
            assert second != first


def test_a_first_frame_says_nothing_about_the_others(clock: Clock) -> None:
    progress = started(clock, 30)
    play(progress, clock, 0, None, 60.0)
    progress.take(Stage(1, "track"))
    assert progress.seconds_left() is None  # 29 x 60 s would be far too much
    assert progress.frame_seconds_left() is None


def test_what_was_measured_elsewhere_is_scaled_by_the_first_frame(clock: Clock) -> None:
    progress = started(clock, 5, Pace(first=30.0, moved=5.0))
    assert progress.seconds_left() == pytest.approx(5 * 5.0)  # nothing tells yet that the first is fitted from scratch
    progress.take(Stage(0, "points"))
    assert progress.seconds_left() == pytest.approx(30.0 + 4 * 5.0)
    play(progress, clock, 0, None, 60.0)  # this machine takes twice as long
    progress.take(Stage(1, "track"))
    assert progress.seconds_left() == pytest.approx(4 * 10.0, rel=0.05)


def test_a_frame_that_takes_longer_than_expected_is_never_said_to_be_done(clock: Clock) -> None:
    progress = started(clock, 3, Pace(first=10.0, moved=10.0))
    progress.take(Stage(0, "track"))
    clock.now += 25.0
    assert progress.frame_seconds_left() == pytest.approx(2.5)


def test_a_pause_stops_the_clock(clock: Clock) -> None:
    progress = started(clock, 3)
    play(progress, clock, 0, None, 20.0)
    play(progress, clock, 1, 0, 10.0)
    clock.now += 4.0
    before = progress.seconds_left()
    progress.halt(True)
    clock.now += 1000.0
    assert progress.seconds_left() == before
    progress.halt(False)
    assert progress.seconds_left() == before
    assert progress.elapsed() == pytest.approx(34.0)


def test_the_done_share_counts_frames_and_the_steps_of_the_one_in_work(clock: Clock) -> None:
    progress = started(clock, 5)
    progress.take(done(0, None))
    progress.take(StepDone(1, 50, 100, 0.1, 1000))
    assert progress.share() == pytest.approx((1 + 0.95 * 0.5) / 5)
    assert Progress().share() == 0.0


def test_a_frame_that_is_written_while_the_next_one_is_in_work_sets_nothing_back(clock: Clock) -> None:
    progress = started(clock, 3)
    progress.take(StepDone(0, 100, 100, 0.1, 1000))
    progress.take(Stage(1, "track", "11 views"))
    assert progress.share() == pytest.approx(1 / 3)
    progress.take(StepDone(1, 50, 100, 0.1, 1000))
    progress.take(done(0, None))
    assert (progress.frame, progress.stage, progress.detail) == (1, "track", "11 views")
    assert progress.share() == pytest.approx((1 + 0.95 * 0.5) / 3)
    progress.take(done(1, 0))
    assert (progress.frame, progress.stage) == (None, "")
    assert progress.share() == pytest.approx(2 / 3)


def test_after_the_last_frame_the_job_is_finishing(clock: Clock) -> None:
    progress = started(clock, 1)
    assert report(progress, True, ()).head == "Preparing"
    progress.take(done(0, None))
    told = report(progress, True, ())
    assert (told.head, told.left) == ("Finishing", "1 of 1 frames done")


def test_the_curves_begin_anew_with_every_frame_and_stay_bounded(clock: Clock) -> None:
    progress = started(clock, 2)
    for step in (0, 10, 20):
        progress.take(StepDone(0, step, 20, 0.5 if step else math.nan, 100, psnr=20.0 + step if step == 20 else None))
    assert progress.loss.points == [(10, 0.5), (20, 0.5)]
    assert progress.climb.points == [(20, 40.0)]
    progress.take(StepDone(1, 25, 30, 0.25, 100))
    assert progress.loss.points == [(25, 0.25)]
    assert progress.climb.points == []  # that of the frame before says nothing about this one
    curve = Curve()
    for x in range(5000):
        curve.add(x, x)
    assert len(curve.points) <= CURVE_POINTS + 1
    assert curve.points[-1] == (4999, 4999)


def test_the_pace_of_a_run_keeps_frames_fitted_from_scratch_apart() -> None:
    pace = Pace.of([done(0, None, 30.0), done(1, 0, 4.0), done(2, 1, 6.0)])
    assert pace == Pace(30.0, 5.0)
    assert pace.seconds(1, 4) == 50.0
    assert Pace.of([]).seconds(1, 0) is None
    assert Pace(moved=5.0).seconds(0, 2) == 10.0


@pytest.mark.parametrize(("seconds", "words"), [(0.4, "0 s"), (59.6, "1 min 00 s"), (200, "3 min 20 s"), (7500, "2 h 05 min")])
def test_durations_read_well(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_a_frame_without_scores_counts_like_any_other(clock: Clock) -> None:
    progress = started(clock, 1)
    progress.take(replace(done(0, None), scores={}))
    assert progress.remaining() == 0
