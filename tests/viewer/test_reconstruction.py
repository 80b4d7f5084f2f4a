"""The queue of reconstructions, with jobs that the tests speak for."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from trackersplat.captures.demo import demo_run
from trackersplat.captures.registry import open_capture
from trackersplat.errors import InputError
from trackersplat.events import Event, Failed, Finished, FrameDone, Preview, Stage, Started, StepDone
from viewer.jobs import Options
from viewer.plan import Target
from viewer.reconstruction import Reconstruction, Task
from viewer.runs import Runs
from viewer.state import Shared, Store

OUT = Path("no-such-folder/c")


def done(frame: int, base: int | None = None) -> FrameDone:
    return FrameDone(frame, base, {"psnr": 28.125, "unmoved_psnr": 24.0, "moved_psnr": 26.0}, {}, 100, 0.5, 0.5, {"refine": 2.0})


class FakeJob:
    """A worker that says what the test lets it say."""

    def __init__(self, command: Sequence[str], on_event: Callable[[Event], None], kind: Any, *, on_halt: Callable[[bool], None]) -> None:
        self.command, self.say, self.halt = list(command), on_event, on_halt
        self.outcome = "running"
        self.closed = self.cancelled = False

    @property
    def running(self) -> bool:
        return self.outcome == "running"

    def pause(self) -> bool:
        self.halt(True)
        return True

    def resume(self) -> None:
        self.halt(False)

    def cancel(self) -> None:
        self.cancelled = True

    def close(self) -> None:
        self.closed = True

    def tail(self) -> tuple[str, ...]:
        return ("<b>last words</b>",)

    def wait(self, seconds: float) -> bool:
        return True

    def end(self, event: Finished | Failed, outcome: str = "finished") -> None:
        self.outcome = outcome
        self.say(event)


class FakeRuns:
    """Runs that are shown without a disk."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.frames: dict[Path, tuple[int, ...]] = {}
        self.shown: list[Path] = []

    def records(self, path: Path) -> dict[int, FrameDone]:
        return {frame: done(frame, None if frame == 0 else frame - 1) for frame in self.frames.get(path, ())}

    def show(self, path: Path) -> bool:
        self.shown.append(path)
        self.store.set(run=path, reconstructed=self.frames.get(path, ()))
        return True

    def know(self, path: Path) -> None:
        self.store.set(runs=(*self.store.shared.runs, path))


@pytest.fixture
def page() -> Any:
    store = Store(Shared(frame_count=30, out=OUT))
    runs = FakeRuns(store)
    jobs: list[FakeJob] = []

    def start(*arguments: Any, **named: Any) -> FakeJob:
        jobs.append(FakeJob(*arguments, **named))
        return jobs[-1]

    def frame_is_new(path: Path, frame: int) -> None:
        runs.frames[path] = (*runs.frames.get(path, ()), frame)
        if store.shared.run in (None, path):
            runs.show(path)

    capture = SimpleNamespace(frame_count=30, held_out=())
    work = Reconstruction(capture, store, runs, "demo", frame_is_new, start=start, clock=lambda: 5.0)  # type: ignore[arg-type]
    return SimpleNamespace(store=store, runs=runs, jobs=jobs, work=work)


def add(page: Any, first: int, last: int, **options: Any) -> Task:
    work: Reconstruction = page.work
    return work.add(work.plan((first, last), work.target(), Options(**options)))


def states(page: Any) -> list[str]:
    return [task.state for task in page.work.tasks]


def test_a_job_runs_and_the_project_follows_what_it_says(page: Any) -> None:
    add(page, 0, 2, steps=3)
    job = page.jobs[0]
    assert job.command[3:] == ["reconstruct", "demo", "--frames", "1:3", "--out", str(OUT), "--events", "json", "--steps", "3"]
    assert page.store.shared.waiting == {0, 1, 2}
    job.say(Started((0, 1, 2), "CPU", "base-propagate", 10, 5))
    job.say(Stage(0, "points"))
    assert page.store.shared.working_on == 0
    assert page.store.shared.frame_state(0) == "running"
    job.say(Preview(0, "preview.ply"))
    assert page.store.shared.draft is not None
    assert (page.store.shared.draft.frame, page.store.shared.draft.serial) == (0, 1)
    job.say(done(0))
    shared = page.store.shared
    assert (shared.draft, shared.run, shared.reconstructed, shared.waiting) == (None, OUT, (0,), {1, 2})
    job.say(done(1, 0))
    job.say(done(2, 1))
    job.end(Finished(9.0))
    assert states(page) == ["finished"]
    assert "3 frames" in page.work.tasks[0].message
    assert (page.store.shared.waiting, page.store.shared.working_on) == (frozenset(), None)


def test_what_is_said_while_it_works(page: Any) -> None:
    add(page, 0, 1)
    job = page.jobs[0]
    assert page.work.report().head == "Preparing"
    job.say(Started((0, 1), "CPU, 2 cores", "base-propagate", 10, 5))
    job.say(Stage(0, "points", "sweep"))
    report = page.work.report()
    assert (report.head, report.detail) == ("Frame 1: finding first points", "sweep")
    job.say(StepDone(0, 5, 10, 0.25, 12345, psnr=21.0))
    report = page.work.report()
    assert report.detail == "step 5 of 10, loss 0.2500, 12,345 Gaussians"
    assert (report.loss, report.climb) == (((5, 0.25),), ((5, 21.0),))
    assert report.left.startswith("0 of 2 frames done")
    job.say(done(0))
    job.say(done(1, 0))
    expected = "Frame 2: held-out PSNR 28.12 dB (do nothing 24.00, moved 26.00), 2.0 s"
    assert page.work.report().last == expected


def test_the_second_job_waits_for_the_first_and_counts_on_its_frames(page: Any) -> None:
    add(page, 0, 1)
    second = add(page, 2, 3)
    assert states(page) == ["running", "waiting"]
    assert (second.plan.scratch, second.plan.warning) == ((), "")
    assert len(page.jobs) == 1
    page.jobs[0].end(Finished(1.0))
    assert states(page) == ["finished", "running"]
    assert "3:4" in page.jobs[1].command


def test_a_waiting_job_can_be_taken_from_the_queue(page: Any) -> None:
    add(page, 0, 1)
    second = add(page, 2, 3)
    page.work.cancel(second.number)
    assert states(page) == ["running", "cancelled"]
    page.work.cancel()
    assert page.jobs[0].cancelled
    page.jobs[0].end(Failed("The reconstruction was cancelled; finished frames are kept."), "cancelled")
    assert states(page) == ["cancelled", "cancelled"]
    assert page.store.shared.failed == frozenset()
    page.work.forget_ended()
    assert page.work.tasks == ()


def test_after_a_failure_what_waits_is_not_started_by_itself(page: Any) -> None:
    add(page, 0, 1)
    add(page, 2, 3)
    page.jobs[0].say(Started((0, 1), "CPU", "base-propagate", 10, 5))
    page.jobs[0].say(Stage(1, "refine"))
    page.jobs[0].end(Failed("The disk is full.", frame=1), "failed")
    assert states(page) == ["failed", "waiting"]
    assert page.work.tasks[0].message == "Frame 2: The disk is full."
    assert page.store.shared.frame_state(1) == "failed"
    assert page.work.held
    page.work.go_on()
    assert states(page) == ["failed", "running"]
    assert not page.work.held


def test_a_failed_frame_that_is_asked_for_again_is_not_failed_any_more(page: Any) -> None:
    add(page, 0, 1)
    page.jobs[0].end(Failed("x", frame=1), "failed")
    assert page.store.shared.failed == {1}
    add(page, 0, 1)
    assert page.store.shared.failed == frozenset()


def test_pausing_is_told_apart_from_a_stop_by_somebody_else(page: Any) -> None:
    add(page, 0, 1)
    page.work.pause()
    assert states(page) == ["paused"]
    assert page.work.tasks[0].message.startswith("Paused")
    page.work.resume()
    assert states(page) == ["running"]
    assert page.work.tasks[0].message == ""
    page.jobs[0].halt(True)
    assert states(page) == ["paused"]
    assert "stopped by somebody else" in page.work.tasks[0].message
    page.work.resume()
    assert states(page) == ["running"]


def test_pausing_nothing_is_refused(page: Any) -> None:
    with pytest.raises(InputError, match="No reconstruction is at work"):
        page.work.pause()


def test_a_new_run_leaves_the_fuller_one_on_the_screen_until_it_is_asked_for(page: Any) -> None:
    other = Path("no-such-folder/demo-run")
    page.runs.frames[other] = tuple(range(30))
    page.runs.show(other)
    add(page, 0, 1)
    job = page.jobs[0]
    job.say(Started((0, 1), "CPU", "base-propagate", 10, 5))
    job.say(Stage(0, "points"))
    job.say(Preview(0, "preview.ply"))
    job.say(done(0))
    shared = page.store.shared
    assert (shared.run, shared.draft, shared.working_on, shared.waiting) == (other, None, None, frozenset())
    assert OUT in shared.runs
    page.work.watch()
    job.say(done(1, 0))
    assert page.store.shared.run == OUT


def test_frames_are_never_put_into_the_run_that_comes_with_the_program_but_into_a_copy_of_it(tmp_path: Path) -> None:
    capture = open_capture("demo")
    copy = Path(shutil.copytree(demo_run(), tmp_path / "demo-edited"))
    store = Store(Shared(frame_count=30, out=tmp_path / "demo", run=demo_run(), runs=(demo_run(), copy)))
    work = Reconstruction(capture, store, Runs(capture, store), "demo", lambda path, frame: None)
    assert [target.path for target in work.targets()] == [copy, tmp_path / "demo"]
    assert (work.target().path, work.target().is_new) == (tmp_path / "demo", True)
    assert work.why_new() == "The run that comes with TrackerSplat is never changed."
    assert work.plan((0, 2), work.target()).seconds is None  # what it took on another machine says nothing here
    store.set(run=copy)
    assert (work.target().path, work.why_new()) == (copy, None)


def test_a_job_that_makes_stale_frames_again_says_so_to_its_worker(page: Any) -> None:
    page.runs.frames[OUT] = (0, 1, 2)
    target = Target(OUT, (0, 1, 2), Options(pipeline="base-propagate"), frozenset({1, 2}))
    page.work.add(page.work.plan((0, 2), target, Options()))
    command = page.jobs[0].command
    assert command[command.index("--redo") + 1] == "stale"
    assert page.store.shared.waiting == {1, 2}
    page.jobs[0].say(done(1, 0))
    assert page.store.shared.waiting == {2}


def test_a_plan_that_does_nothing_is_refused(page: Any) -> None:
    page.runs.frames[OUT] = (0, 1)
    target = Target(OUT, (0, 1), Options(pipeline="base-propagate"))
    plan = page.work.plan((0, 1), target, Options())
    with pytest.raises(InputError, match="there already"):
        page.work.add(plan)
    assert page.jobs == []


def test_a_run_is_continued_with_its_own_options_but_the_back_end_of_this_machine(page: Any) -> None:
    target = Target(OUT, (0,), Options(pipeline="train-base", steps=7))
    plan = page.work.plan((0, 1), target, Options(backend="portable", steps=99))
    assert plan.options == Options(backend="portable", pipeline="train-base", steps=7)


def test_frames_beyond_the_capture_and_turned_ends_are_put_right(page: Any) -> None:
    assert page.work.plan((99, 27), page.work.target(), Options()).asked == (27, 29)


def test_closing_ends_the_worker_and_starts_nothing_more(page: Any) -> None:
    add(page, 0, 1)
    add(page, 2, 3)
    page.work.close()
    assert page.jobs[0].closed
    page.jobs[0].end(Failed("x"), "cancelled")
    assert len(page.jobs) == 1
    with pytest.raises(InputError, match="closing"):
        page.work.add(page.work.plan((5, 5), page.work.target(), Options()))


def test_a_worker_that_cannot_be_started_is_a_sentence(page: Any) -> None:
    def fails(*arguments: Any, **named: Any) -> FakeJob:
        raise OSError("Cannot allocate memory")

    page.work._start = fails
    add(page, 0, 1)
    assert states(page) == ["failed"]
    assert "could not be started: Cannot allocate memory" in page.work.tasks[0].message


def test_the_log_holds_what_was_said_and_the_last_words(page: Any) -> None:
    task = add(page, 0, 1)
    page.jobs[0].say(Started((0, 1), "CPU", "base-propagate", 10, 5))
    page.jobs[0].say(Stage(0, "points", "sweep"))
    page.jobs[0].say(done(0))
    page.jobs[0].end(Failed("It broke."), "failed")
    log = page.work.log(task.number)
    for part in ("trackersplat reconstruct demo", "finding first points sweep", "28.12 dB", "It broke.", "<b>last words</b>", "run.log"):
        assert part in log
    assert "not kept" in page.work.log(999)


def test_the_end_of_the_runs_own_log_is_read_and_no_more(page: Any, tmp_path: Path) -> None:
    page.store.set(out=tmp_path)
    task = add(page, 0, 1)
    (tmp_path / "run.log").write_bytes(b"old\n" * 100_000 + b"Traceback \xff\n")
    log = page.work.log(task.number)
    assert log.rstrip().endswith("Traceback \ufffd")
    assert len(log) < 70_000


def test_every_event_of_a_job_is_announced(page: Any) -> None:
    heard: list[frozenset[str]] = []
    page.store.subscribe(lambda tab, changed: heard.append(changed))
    add(page, 0, 1)
    before = len(heard)
    page.jobs[0].say(StepDone(0, 5, 10, 0.25, 100))
    assert any("job" in changed for changed in heard[before:])
