"""The reconstructions that the page starts: a queue of jobs, the one at work, and what it says. It knows no toolkit."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from trackersplat.captures.capture import Capture
from trackersplat.captures.demo import is_demo_run
from trackersplat.errors import InputError
from trackersplat.events import Event, Failed, Finished, FrameDone, Preview
from trackersplat.words import counted
from viewer.gpu import GpuUse, gpu_use
from viewer.job_words import JobLog, Report, report
from viewer.jobs import RECONSTRUCTION, WORKER, Job, Options, reconstruct_command
from viewer.plan import Plan, Target, make_plan, new_folder, options_of, plan_again, why_fixed, why_not_continued
from viewer.progress import Pace, Progress, duration
from viewer.runs import Runs
from viewer.state import Draft, Store

State = Literal["waiting", "running", "paused", "finished", "failed", "cancelled"]
TASKS_KEPT = 20  # that have ended
STARTING = "Starting the worker process …"
GPU_INTERVAL = 2.0  # seconds between looks at the GPUs

AS_THE_COMMAND_LINE = Options()

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Task:
    """One entry of the queue."""

    number: int
    plan: Plan
    state: State = "waiting"
    message: str = ""  # how it ended, or why it is halted
    watched: bool = True  # its pictures are shown as they come

    @property
    def open(self) -> bool:
        return self.state in ("waiting", "running", "paused")

    def title(self) -> str:
        from trackersplat.checks.findings import name_frames

        frames = self.plan.frames
        return f"{name_frames(frames).capitalize()} into {self.plan.target.path}"


class Reconstruction:
    """One job at a time; the others wait. Thread-safe. Every change grows ``Shared.job``."""

    def __init__(
        self,
        capture: Capture,
        store: Store,
        runs: Runs,
        source: str,
        frame_is_new: Callable[[Path, int], None],
        *,
        more: tuple[str, ...] = (),
        clock: Callable[[], float] = time.monotonic,
        start: Callable[..., Job[Event]] = Job,
    ) -> None:
        """``source``: the capture as on the command line. ``more``: further options of the worker's command line."""
        self._capture = capture
        self._store = store
        self._runs = runs
        self._source = source
        self._frame_is_new = frame_is_new
        self._more = more
        self._clock = clock
        self._start = start
        self._numbers = itertools.count(1)
        self._tasks: list[Task] = []
        self._job: Job[Event] | None = None
        self._progress = Progress(clock=clock)
        self._log = JobLog()
        self._gpus: tuple[GpuUse, ...] = ()
        self._asked_to_halt = False
        self._held = False  # a job failed: those that wait are not started by themselves
        self._closed = False
        self._lock = threading.RLock()

    # -- what could be done -------------------------------------------------------------------------------------------

    def targets(self) -> tuple[Target, ...]:
        """The runs that can be continued, that on the screen first, those that jobs will make, and a new one."""
        shared, tasks = self._store.shared, [task for task in self.tasks if task.open]
        coming = {task.plan.target.path: task.plan.options for task in tasks}
        known = (shared.run, shared.out, *shared.runs, *coming)
        found = []
        for path in dict.fromkeys(path for path in known if path is not None and not is_demo_run(path)):
            try:
                run = self._runs.refreshed(path) if (path / "run.json").is_file() else None
                if run is not None and why_fixed(run) is None:
                    held_out = tuple(self._capture.held_out)
                    stale = shared.stale if path == shared.run else frozenset()
                    found.append(Target(path, run.frames(), options_of(run.settings, run.info.get("held_out"), held_out), stale))
                elif run is None and path in coming:
                    found.append(Target(path, (), coming[path]))
            except InputError:
                continue  # it is no run to continue; the page says so where it is shown
        if shared.out is not None:
            taken = {target.path for target in found} | set(coming)
            found.append(Target(new_folder(shared.out, taken)))
        return tuple(found)

    def why_new(self) -> str | None:
        """Why frames cannot be added to the run on the screen; None if they can, or if there is none."""
        shown = self._store.shared.run
        if shown is None:
            return None
        if is_demo_run(shown):
            return "The run that comes with TrackerSplat is never changed."
        try:
            return why_not_continued(self._runs.get(shown))
        except InputError as error:
            return str(error)

    def target(self, path: Path | None = None) -> Target:
        """The run that was asked for, else the one that a reconstruction goes into by itself: that on the screen, else where results go."""
        found = self.targets()
        if not found:
            raise InputError("It is not known yet where results go: wait until the capture is opened.")
        if path is not None:
            for target in found:
                if target.path == path:
                    return target
        out = self._store.shared.out
        jobs = {task.plan.target.path for task in self.tasks if task.open}
        by_itself = [target for target in found if target.path == self._store.shared.run or target.path in jobs or target.path == out]
        return by_itself[0] if by_itself else found[-1]

    def plan(self, asked: tuple[int, int], target: Target, options: Options = AS_THE_COMMAND_LINE) -> Plan:
        """What reconstructing frames first to last would do. A run that is there is continued with its own options."""
        last = self._capture.frame_count - 1
        asked = (min(max(asked[0], 0), last), min(max(asked[1], 0), last))
        if asked[0] > asked[1]:
            asked = (asked[1], asked[0])
        if target.options is not None:
            options = replace(target.options, backend=options.backend)
        return make_plan(asked, target, options, self._paces(target), self._waiting(target))

    def plan_again(self) -> Plan:
        """What making the frames again would do that edits have made out of date, of the run on the screen."""
        target = self.target(self._store.shared.run)
        options = target.options if target.options is not None else AS_THE_COMMAND_LINE
        return plan_again((0, self._capture.frame_count - 1), target, options, self._paces(target), self._waiting(target))

    def _waiting(self, target: Target) -> list[int]:
        return [frame for task in self.tasks if task.open and task.plan.target.path == target.path for frame in task.plan.frames]

    def _paces(self, target: Target) -> list[tuple[str, Pace]]:
        """That of the run itself, of this session's jobs, and of the run on the screen, but not of the one that comes with the program:
        another machine made it."""
        found: list[tuple[str, Pace]] = []
        with self._lock:
            here = Pace.of(self._progress.done)
        for path in dict.fromkeys((target.path, self._store.shared.run)):
            if path is None or is_demo_run(path) or (path == target.path and target.is_new):
                continue
            try:
                records = self._runs.records(path)
            except InputError:
                continue
            found.append((f"the frames of {path.name}", Pace.of(records.values())))
        found.insert(1 if not target.is_new else 0, ("the frames of the last job", here))
        return found

    # -- the queue ----------------------------------------------------------------------------------------------------

    @property
    def tasks(self) -> tuple[Task, ...]:
        with self._lock:
            return tuple(self._tasks)

    @property
    def current(self) -> Task | None:
        """The one at work."""
        return next((task for task in self.tasks if task.state in ("running", "paused")), None)

    def add(self, plan: Plan) -> Task:
        """Puts a job at the end of the queue and starts it if nothing is at work. Raises InputError if the plan cannot be carried out."""
        if plan.refused:
            raise InputError(plan.refused)
        with self._lock:
            if self._closed:
                raise InputError("The program is closing.")
            shown = self._store.shared.run
            task = Task(next(self._numbers), plan, watched=shown in (None, plan.target.path))
            self._tasks.append(task)
            self._held = False
        self._next()
        return task

    def cancel(self, number: int | None = None) -> None:
        """The job at work, or the one of that number. Finished frames stay."""
        with self._lock:
            task = self.current if number is None else self._task(number)
            if task is None:
                return
            if task.state == "waiting":
                self._change(task.number, state="cancelled", message="It was taken from the queue.")
            elif task.open and self._job is not None:
                self._change(task.number, message="Cancelling …")
                self._job.cancel()
        self._tell()

    def pause(self) -> None:
        """Stops the worker where it is; it keeps its memory. Raises InputError where that is not possible."""
        with self._lock:
            if self._job is None or not self._job.running:
                raise InputError("No reconstruction is at work.")
            self._asked_to_halt = True
            if not self._job.pause():
                raise InputError("This system cannot pause a process: cancel it, and start it again later; finished frames are kept.")

    def resume(self) -> None:
        with self._lock:
            if self._job is not None:
                self._job.resume()

    def go_on(self) -> None:
        """Starts what waits after a failure."""
        with self._lock:
            self._held = False
        self._next()

    @property
    def held(self) -> bool:
        """A job failed and others wait for a decision."""
        return self._held and any(task.state == "waiting" for task in self.tasks)

    def watch(self) -> None:
        """Shows the run of the job at work and its pictures as they come."""
        task = self.current
        if task is None:
            return
        self._change(task.number, watched=True)
        path = task.plan.target.path
        if path.is_dir():
            self._runs.show(path)
        self._tell()

    def forget_ended(self) -> None:
        with self._lock:
            self._tasks = [task for task in self._tasks if task.open]
        self._tell()

    def close(self) -> None:
        """Stops the worker and waits until it is gone. Nothing that waits is started."""
        with self._lock:
            self._closed = True
            job = self._job
        if job is not None and job.running:
            job.close()

    def _task(self, number: int) -> Task | None:
        return next((task for task in self._tasks if task.number == number), None)

    def _change(self, number: int, **changes: Any) -> None:
        with self._lock:
            self._tasks = [replace(task, **changes) if task.number == number else task for task in self._tasks]

    def _next(self) -> None:
        started = self._start_next()
        if started is not None:
            self._store.set(failed=self._store.shared.failed - set(started.plan.frames))
        self._tell()

    def _start_next(self) -> Task | None:
        with self._lock:
            task = next((task for task in self._tasks if task.state == "waiting"), None)
            if task is None or self._closed or self._held or self.current is not None:
                return None
            paces = [pace for _, pace in self._paces(task.plan.target) if pace != Pace()]
            self._progress = Progress(paces[0] if paces else Pace(), self._clock)
            self._asked_to_halt = False
            self._log.begin(task.number)
            self._change(task.number, state="running", message=STARTING)
            command = reconstruct_command(
                self._source, task.plan.asked, task.plan.target.path, task.plan.options, self._more, task.plan.redo
            )
            self._log.say(task.number, " ".join(["trackersplat", *command[len(WORKER) :]]))
            try:
                self._job = self._start(
                    command,
                    lambda event: self._handle(task.number, event),
                    RECONSTRUCTION,
                    on_halt=lambda halted: self._halt(task.number, halted),
                )
            except OSError as error:
                self._change(task.number, state="failed", message=f"The reconstruction process could not be started: {error}.")
                self._held = True
            else:
                threading.Thread(target=self._watch_gpus, args=(self._job,), name="gpus", daemon=True).start()
            return task

    # -- what the worker says, on its threads -------------------------------------------------------------------------

    def _handle(self, number: int, event: Event) -> None:
        with self._lock:  # an event that comes at once must see its job
            task = self._task(number)
            self._progress.take(event)
            if task is None:
                return
            if task.message == STARTING:
                self._change(number, message="")
        path = task.plan.target.path
        self._log.note(number, event)
        match event:
            case Preview() if task.watched:
                self._store.set(draft=Draft(event.frame, Path(event.path), self._progress.previews))
            case FrameDone():
                self._store.set(draft=None)
                self._frame_is_new(path, event.frame)
                self._runs.know(path)
                shared = self._store.shared
                if task.watched and shared.run != path:
                    self._runs.show(path)
            case Finished() | Failed():
                self._finish(number, event)
                return
        self._tell()

    def _halt(self, number: int, halted: bool) -> None:
        with self._lock:
            task = self._task(number)
            if task is None or not task.open:
                return
            self._progress.halt(halted)
            why = ""
            if halted and not self._asked_to_halt:
                why = "The worker process was stopped by somebody else (a signal): press Resume to go on, or cancel it."
            elif halted:
                why = "Paused. The worker keeps its memory and takes no processor time."
            self._asked_to_halt = self._asked_to_halt and halted
            self._change(number, state="paused" if halted else "running", message=why)
            self._log.say(number, "paused" if halted else "goes on")
        self._tell()

    def _finish(self, number: int, event: Finished | Failed) -> None:
        with self._lock:
            task, job, progress = self._task(number), self._job, self._progress
            assert task is not None
            if isinstance(event, Finished):
                count = len(progress.done)
                message = f"Done: {counted(count, 'frame')} in {duration(progress.elapsed())}."
                if not count:
                    message = "Every frame asked for was there already."
                self._change(number, state="finished", message=message)
            else:
                cancelled = job is not None and job.outcome == "cancelled"
                where = f"Frame {event.frame + 1}: " if event.frame is not None else ""
                self._change(number, state="cancelled" if cancelled else "failed", message=where + event.message)
                self._held = not cancelled
                for line in job.tail() if job is not None else ():
                    self._log.say(number, line)
            ended = [task for task in self._tasks if not task.open][:-TASKS_KEPT]
            self._tasks = [task for task in self._tasks if task not in ended]
            for old in ended:
                self._log.forget(old.number)
        shared, path = self._store.shared, task.plan.target.path
        changes: dict[str, Any] = {"draft": None, "working_on": None}
        failed_at = event.frame if isinstance(event, Failed) and event.frame is not None else progress.frame
        if (
            isinstance(event, Failed)
            and not (job is not None and job.outcome == "cancelled")
            and failed_at is not None
            and self._shows(task)
        ):
            changes["failed"] = shared.failed | {failed_at}
        self._store.set(**changes)
        if path.is_dir() and self._store.shared.run in (None, path):
            self._runs.show(path)
        self._next()

    def _shows(self, task: Task) -> bool:
        return task.watched or self._store.shared.run in (None, task.plan.target.path)

    def _tell(self) -> None:
        """Brings the store up to date."""
        with self._lock:
            current = self.current
            shown = [task for task in self._tasks if task.open and self._shows(task)]
            done = {done.frame for done in self._progress.done} if current is not None and current in shown else set()
            waiting = frozenset(frame for task in shown for frame in task.plan.frames) - done
            working = self._progress.frame if current is not None and current in shown else None
        self._store.set(waiting=waiting, working_on=working)
        self._store.grow("job")

    def _watch_gpus(self, job: Job[Event]) -> None:
        while job.running:
            self._gpus = gpu_use()
            if not self._gpus or job.wait(GPU_INTERVAL):
                break
        self._gpus = ()

    # -- what is said to people ---------------------------------------------------------------------------------------
    def report(self) -> Report:
        """Of the job at work, or the last one."""
        with self._lock:
            return report(self._progress, self.current is not None, self._gpus)

    def log(self, number: int) -> str:
        """What a job said, and the end of its run's own log."""
        with self._lock:
            task = self._task(number)
        return "This job is not kept any more." if task is None else self._log.text(number, task.plan.target.path)
