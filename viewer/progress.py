"""How far a reconstruction is and how long it will take, from its events. No toolkit."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from trackersplat.events import Event, FrameDone, Preview, Stage, Started, StepDone

STAGES = {
    "compile": "compiling kernels (once per machine)",
    "check": "checking whether the poses fit the images",
    "points": "finding first points",
    "optimise": "optimising",
    "track": "tracking points",
    "move": "moving the Gaussians",
    "match": "matching renderings with the images",
    "refine": "refining",
    "measure": "measuring on held-out cameras",
    "write": "writing",
}

NEWEST = 0.35  # weight of the newest value in a running mean
SETTLING = 0.25  # weight of the newest estimate of the end
OVERDUE = 0.1  # of the time that a frame has taken: what is still expected of one that takes longer than any before
CURVE_POINTS = 600  # of a live curve; older ones are thinned out


@dataclass(frozen=True)
class Pace:
    """What frames took elsewhere: seconds of a frame fitted from scratch and of one moved from another; None where it is not known."""

    first: float | None = None
    moved: float | None = None

    @staticmethod
    def of(records: Iterable[FrameDone], last: int = 8) -> Pace:
        """The mean of the newest records, frames fitted from scratch apart."""
        known = list(records)
        first = [done.total_seconds for done in known if done.base is None][-last:]
        moved = [done.total_seconds for done in known if done.base is not None][-last:]
        return Pace(sum(first) / len(first) if first else None, sum(moved) / len(moved) if moved else None)

    def seconds(self, first: int, moved: int) -> float | None:
        """Of so many frames; None if something of it is not known."""
        if (first and self.first is None) or (moved and self.moved is None):
            return None
        return first * (self.first or 0.0) + moved * (self.moved or 0.0)


class Curve:
    """Points (x, y) of bounded number; an x that is not after the last one starts anew."""

    def __init__(self) -> None:
        self.points: list[tuple[float, float]] = []

    def add(self, x: float, y: float) -> None:
        if self.points and x <= self.points[-1][0]:
            self.points = []
        self.points.append((x, y))
        if len(self.points) > CURVE_POINTS:
            self.points = [*self.points[:-1:2], self.points[-1]]


class Progress:
    """What the events so far say. The clock stands still while the job is halted. Used under its owner's lock."""

    def __init__(self, pace: Pace = Pace(), clock: Callable[[], float] = time.monotonic) -> None:
        self._real = clock
        self._halted_at: float | None = None
        self._halted = 0.0  # seconds
        self._pace = pace
        self._began = self._now()
        self._since = self._began  # the end of the last frame, or of compiling
        self._moved: float | None = None  # seconds of a moved frame, here
        self._first: float | None = None
        self._after: dict[bool, float] = {}  # fitted from scratch? -> seconds from the last step to the end of the frame
        self._rate: float | None = None  # seconds of a step of the frame in work
        self._rated: tuple[int, float] | None = None  # step and time that the rate goes on from
        self._end: float | None = None  # when the job is expected to end
        self.frames: tuple[int, ...] = ()
        self.done: list[FrameDone] = []
        self.frame: int | None = None
        self.stage = ""
        self.detail = ""
        self.last: StepDone | None = None
        self.device = ""
        self.previews = 0
        self._curves_of: int | None = None  # frame
        self.loss, self.climb = Curve(), Curve()

    # -- the clock ----------------------------------------------------------------------------------------------------

    def _now(self) -> float:
        return (self._halted_at if self._halted_at is not None else self._real()) - self._halted

    def halt(self, halted: bool) -> None:
        if halted and self._halted_at is None:
            self._halted_at = self._real()
        elif not halted and self._halted_at is not None:
            self._halted += self._real() - self._halted_at
            self._halted_at = None

    def elapsed(self) -> float:
        return self._now() - self._began

    # -- events -------------------------------------------------------------------------------------------------------

    def take(self, event: Event) -> None:
        now, weight = self._now(), SETTLING
        match event:
            case Started():
                self.frames, self.device = event.frames, event.device
                self._since = now
            case Stage():
                if event.frame != self.frame:
                    self.last, self._rate, self._rated = None, None, None
                if self.stage == "compile" and event.name != "compile":
                    self._since = now
                self.frame, self.stage, self.detail = event.frame, event.name, event.detail
            case StepDone():
                self._take_step(event, now)
            case Preview():
                self.previews += 1
            case FrameDone():
                self._take_frame(event, now)
                weight = 1.0 if event.base is None else 0.5  # a first frame tells more than all estimates before it
        self._settle(weight, now)

    def _take_step(self, event: StepDone, now: float) -> None:
        if self._rated is not None and event.step > self._rated[0]:
            rate = (now - self._rated[1]) / (event.step - self._rated[0])
            self._rate = rate if self._rate is None else _mean(self._rate, rate)
        self._rated = (event.step, now)
        self.frame, self.last = event.frame, event
        if event.frame != self._curves_of:
            self._curves_of, self.loss, self.climb = event.frame, Curve(), Curve()
        if event.loss == event.loss:  # nan before the first step
            self.loss.add(event.step, event.loss)
        if event.psnr is not None:
            self.climb.add(event.step, event.psnr)

    def _take_frame(self, event: FrameDone, now: float) -> None:
        seconds, scratch = now - self._since, event.base is None
        if scratch:
            self._first = seconds
        else:
            self._moved = seconds if self._moved is None else _mean(self._moved, seconds)
        self.done.append(event)
        self._since = now
        if self.frame not in (None, event.frame):  # it was written while the next one was in work already
            return
        if self._rated is not None:
            after = now - self._rated[1]
            self._after[scratch] = _mean(self._after[scratch], after) if scratch in self._after else after
        self.frame, self.stage, self.detail, self.last, self._rate, self._rated = None, "", "", None, None, None

    # -- how long -----------------------------------------------------------------------------------------------------

    def share(self) -> float:
        """Done share of the plan, in [0, 1]. Frames before the one in work count, though they may still be being written."""
        within = self.last.step / max(self.last.steps, 1) if self.last is not None else 0.0
        before = self.frames.index(self.frame) if self.frame in self.frames else 0
        return min((max(len(self.done), before) + 0.95 * min(within, 1.0)) / max(len(self.frames), 1), 1.0)

    def remaining(self) -> int:
        return max(len(self.frames) - len(self.done), 0)

    def frame_seconds_left(self) -> float | None:
        """Of the frame in work; None before anything of it is known."""
        return self._frame_left(self._now())

    def seconds_left(self) -> float | None:
        """Of the whole job, counting down between events; None as long as it cannot be known."""
        now = self._now()
        raw = self._left(now)
        if raw is None or self._end is None:
            return raw
        settled = self._end - now
        return settled if 0.6 * raw <= settled <= 1.7 * raw else raw

    def _settle(self, weight: float, now: float) -> None:
        raw = self._left(now)
        if raw is None:
            self._end = None
        elif self._end is None or not 0.6 * raw <= self._end - now <= 1.7 * raw:
            self._end = now + raw
        else:
            self._end += weight * (now + raw - self._end)

    def _left(self, now: float) -> float | None:
        if not self.frames or self.stage == "compile":
            return None
        remaining = self.remaining()
        if remaining == 0:
            return 0.0
        of_frame = self._frame_left(now)
        if of_frame is None:
            return None
        if remaining == 1:
            return of_frame
        each = self._each(now, of_frame)
        return None if each is None else of_frame + (remaining - 1) * each

    def _frame_left(self, now: float) -> float | None:
        if not self.frames or self.stage == "compile" or not self.remaining():
            return None
        elapsed, scratch = now - self._since, self._is_first()
        expected = (self._first or self._scaled(self._pace.first)) if scratch else self._each(now, None)
        left: float | None = None
        if self.last is not None and self._rate is not None and self._rated is not None:
            after = self._after.get(scratch, OVERDUE * elapsed)
            left = (self.last.steps - self.last.step) * self._rate + after - (now - self._rated[1])
        elif expected is not None:
            left = expected - elapsed
        return None if left is None else max(left, OVERDUE * elapsed)

    def _is_first(self) -> bool:
        """Whether the frame in work is one fitted from scratch, as far as its stages tell."""
        return self.stage in ("check", "points", "optimise") or (not self.done and self.stage == "" and self._pace.moved is None)

    def _each(self, now: float, of_frame: float | None) -> float | None:
        """Seconds of every further frame."""
        if self._moved is not None:
            return self._moved
        if self._pace.moved is None:
            return None
        if self._first is None and of_frame is not None and self._is_first() and self._pace.first:
            return self._pace.moved * _bounded((now - self._since + of_frame) / self._pace.first)
        return self._scaled(self._pace.moved)

    def _scaled(self, seconds: float | None) -> float | None:
        """What was measured elsewhere, by how much faster or slower this machine made its first frame."""
        if seconds is None or self._first is None or not self._pace.first:
            return seconds
        return seconds * _bounded(self._first / self._pace.first)


def _mean(old: float, new: float) -> float:
    return old + NEWEST * (new - old)


def _bounded(ratio: float) -> float:
    return min(max(ratio, 0.05), 20.0)


def duration(seconds: float) -> str:
    """12 s, 3 min 20 s, 2 h 05 min."""
    whole = int(seconds + 0.5)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
