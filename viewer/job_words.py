"""What a reconstruction job says to people: a report of where it stands, and its log."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from trackersplat.events import Event, Failed, Finished, FrameDone, Note, Preview, Stage, Started, StepDone
from viewer.gpu import GpuUse
from viewer.progress import STAGES, Progress, duration

LOG_LINES = 400  # of what a job said, kept for the log
LOG_BYTES = 60_000  # of the end of the run's own log that is shown

# What the PSNR of a finished frame is compared with: the frame it started from, as it was and moved by tracks.
BEFORE = (("do nothing", "unmoved_psnr"), ("moved", "moved_psnr"))


@dataclass(frozen=True)
class Report:
    """What the job at work, or the last one, has come to."""

    head: str = ""  # "Frame 3: refining"
    detail: str = ""  # "step 20 of 100, loss 0.0123, 20,011 Gaussians"
    share: float = 0.0
    left: str = ""  # "about 2 min 10 s left"
    last: str = ""  # of the frame done last: its scores
    device: str = ""
    loss: tuple[tuple[float, float], ...] = ()
    climb: tuple[tuple[float, float], ...] = ()  # held-out PSNR over the steps
    done: tuple[FrameDone, ...] = ()
    gpus: tuple[GpuUse, ...] = ()


def report(progress: Progress, at_work: bool, gpus: tuple[GpuUse, ...]) -> Report:
    head, detail, left = "", "", ""
    if at_work:
        idle = "Finishing" if progress.frames and not progress.remaining() else "Preparing"
        number = f"Frame {progress.frame + 1}" if progress.frame is not None else idle
        stage = STAGES.get(progress.stage, progress.stage)
        head = f"{number}: {stage}" if stage else number
        detail = progress.detail
        if progress.last is not None:
            last = progress.last
            loss = f", loss {last.loss:.4f}" if last.loss == last.loss else ""
            detail = f"step {last.step} of {last.steps}{loss}, {last.gaussians:,} Gaussians"
        left = _left(progress)
    return Report(
        head, detail, progress.share(), left, scores_in_words(progress.done), progress.device,
        tuple(progress.loss.points), tuple(progress.climb.points), tuple(progress.done), gpus,
    )  # fmt: skip


class JobLog:
    """The last lines that each job said. Thread-safe."""

    def __init__(self) -> None:
        self._said: dict[int, deque[str]] = {}
        self._lock = threading.Lock()

    def begin(self, number: int) -> None:
        with self._lock:
            self._said[number] = deque(maxlen=LOG_LINES)

    def forget(self, number: int) -> None:
        with self._lock:
            self._said.pop(number, None)

    def say(self, number: int, line: str) -> None:
        with self._lock:
            if number in self._said:
                self._said[number].append(f"{time.strftime('%H:%M:%S')}  {line}")

    def note(self, number: int, event: Event) -> None:
        """An event of a job, in words."""
        match event:
            case Started():
                self.say(number, f"{len(event.frames)} frames, {event.pipeline}, {event.device}")
            case Stage():
                self.say(number, f"frame {event.frame + 1}: {STAGES.get(event.name, event.name)} {event.detail}".rstrip())
            case Note():
                self.say(number, f"frame {event.frame + 1}: {event.text}")
            case FrameDone():
                self.say(number, f"frame {event.frame + 1}: done in {event.total_seconds:.1f} s; {scores_in_words([event])}")
                for remark in event.remarks:
                    self.say(number, f"frame {event.frame + 1}: {remark}")
            case Finished():
                self.say(number, f"finished in {event.seconds:.1f} s")
            case Failed():
                self.say(number, event.message)
            case StepDone() | Preview():
                pass
            case _:
                text = getattr(event, "text", "")
                if text:
                    self.say(number, str(text))

    def text(self, number: int, run: Path) -> str:
        """What a job said, and the end of the own log of its run."""
        with self._lock:
            lines = list(self._said.get(number, ()))
        file = run / "run.log"
        try:
            with file.open("rb") as stream:
                stream.seek(0, 2)
                stream.seek(max(stream.tell() - LOG_BYTES, 0))
                lines += ["", f"-- the end of {file} --", stream.read(LOG_BYTES).decode("utf-8", errors="replace")]
        except OSError:  # it is written when something goes wrong
            lines += ["", f"-- {file} is not there: no defect was noted --"]
        return "\n".join(lines)


def scores_in_words(done: list[FrameDone]) -> str:
    """Of the last of these frames."""
    if not done:
        return ""
    last = done[-1]
    if "psnr" not in last.scores:
        return f"Frame {last.frame + 1}: no held-out camera to measure on, {last.total_seconds:.1f} s"
    before = [f"{stage} {last.scores[name]:.2f}" for stage, name in BEFORE if name in last.scores]
    compared = f" ({', '.join(before)})" if before else ""
    return f"Frame {last.frame + 1}: held-out PSNR {last.scores['psnr']:.2f} dB{compared}, {last.total_seconds:.1f} s"


def _left(progress: Progress) -> str:
    if not progress.frames:
        return ""
    count = f"{len(progress.done)} of {len(progress.frames)} frames done"
    if not progress.remaining():
        return count
    left = progress.seconds_left()
    if left is not None:
        return f"{count} · about {duration(left)} left"
    of_frame = progress.frame_seconds_left()
    if of_frame is not None:
        return f"{count} · about {duration(of_frame)} left of this frame; the others are not known yet"
    return f"{count} · time left not known yet"
