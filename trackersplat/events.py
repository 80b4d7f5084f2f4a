"""What long work says while it runs. Frames are indices from 0.

Every long job is an iterator of `Event`; the last one carries its result (`Finished` for a whole run). Closing the iterator cancels the
job. Events of this module can be written as JSON; those that carry tensors are defined beside the code that yields them and do not leave
the process.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Event:
    """The base of everything that a job says."""


@dataclass(frozen=True)
class Started(Event):
    """The plan: frames that will be reconstructed, in order, and where."""

    frames: tuple[int, ...]
    device: str  # "NVIDIA H200 (gsplat)", "CPU, 2 cores (portable)"
    pipeline: str
    steps_first: int  # optimisation steps of a first frame
    steps_refine: int  # and of every other


@dataclass(frozen=True)
class Remark(Event):
    """What is assumed, left out or implausible about the capture or the run, in one sentence. Each comes once, most right after Started."""

    text: str


@dataclass(frozen=True)
class Stage(Event):
    """A frame enters a stage: "compile", "check", "points", "optimise", "track", "move", "match", "refine", "measure", "write"."""

    frame: int
    name: str
    detail: str = ""


@dataclass(frozen=True)
class StepDone(Event):
    """Some optimisation steps are done (not one event per step)."""

    frame: int
    step: int  # steps done
    steps: int  # of so many
    loss: float  # mean since the last event of this kind; nan before the first step
    gaussians: int
    psnr: float | None = None  # held-out, dB, where it was measured at this step


@dataclass(frozen=True)
class Note(Event):
    """A choice that was made for a frame, and why. It is kept with the frame."""

    frame: int
    text: str


@dataclass(frozen=True)
class Preview(Event):
    """The state of the frame in work was written here (a PLY that the next preview replaces)."""

    frame: int
    path: str


@dataclass(frozen=True)
class FrameDone(Event):
    """The frame is on disk."""

    frame: int
    base: int | None  # the frame it was moved from, None for a first frame
    scores: dict[str, float]  # by the names of `metrics.names`, means over the held-out cameras
    unavailable: dict[str, str]  # metrics that were not computed, and why
    gaussians: int
    measured: float  # share of the Gaussians moved by their own tracks
    static: float  # share found static
    seconds: dict[str, float]  # wall time per stage; the whole is `total_seconds`
    remarks: tuple[str, ...] = ()  # what is implausible about it, in sentences
    notes: tuple[str, ...] = ()  # choices that were made for it, and why
    edits: str = ""  # key of the edits that its Gaussians were made with (edits/stale.py), "" if none
    track_edits: str = ""  # the same of its sparse tracks
    left_out: int = 0  # Gaussians that it was made without, because the document of the run deletes them

    @property
    def total_seconds(self) -> float:
        return sum(self.seconds.values())


@dataclass(frozen=True)
class Stale(Event):
    """Frames of the run that are not what its edits would make of them, or that come from frames that have changed since."""

    frames: tuple[int, ...]  # ascending


@dataclass(frozen=True)
class Finished(Event):
    """All frames of the plan are on disk."""

    seconds: float


@dataclass(frozen=True)
class Failed(Event):
    """The run stopped. ``message`` is for people; the traceback of a defect is in the run's log."""

    message: str
    frame: int | None = None


_KINDS: dict[str, type[Event]] = {
    cls.__name__: cls for cls in (Started, Remark, Stage, StepDone, Note, Preview, FrameDone, Stale, Finished, Failed)
}


def to_json(event: Event) -> dict[str, Any]:
    """A plain dictionary with the event's class name under "event". Numbers that JSON lacks (no loss yet: NaN) become None."""
    values = dataclasses.asdict(event)
    if isinstance(event, StepDone) and not math.isfinite(event.loss):
        values["loss"] = None
    return {"event": type(event).__name__, **values}


def from_json(data: dict[str, Any]) -> Event:
    """The inverse of to_json. Raises ValueError if it is no event of this module."""
    values = dict(data)
    kind = _KINDS.get(str(values.pop("event", "")))
    if kind is None:
        raise ValueError(f"not an event: {data!r}")
    try:
        if kind in (Started, Stale):
            values["frames"] = tuple(values["frames"])
        if kind is FrameDone:
            for name in ("remarks", "notes"):
                values[name] = tuple(str(sentence) for sentence in values.get(name, ()))
            for name in ("edits", "track_edits"):
                values[name] = str(values.get(name, ""))
        if kind is StepDone and values["loss"] is None:
            values["loss"] = math.nan
        return kind(**values)
    except (TypeError, KeyError) as error:
        raise ValueError(f"not an event: {data!r}") from error


_PLAIN: dict[str, type[int | bool | str | float]] = {"int": int, "bool": bool, "str": str, "float": float}


class PlainEvents:
    """The events of one kind of work whose fields are numbers, texts and truth values, and their form in JSON."""

    def __init__(self, work: str, *kinds: type[Event]) -> None:
        """``work`` names it in messages: "an export"."""
        self._work = work
        self._kinds = {kind.__name__: kind for kind in kinds}

    def to_json(self, event: Event) -> dict[str, Any]:
        """A plain dictionary with the event's class name under "event". Raises ValueError if it is none of these."""
        if type(event).__name__ not in self._kinds:
            raise ValueError(f"not an event of {self._work}: {event!r}")
        values = dataclasses.asdict(event)  # JSON lacks numbers that are not finite
        spelled = {name: str(value) if isinstance(value, float) and not math.isfinite(value) else value for name, value in values.items()}
        return {"event": type(event).__name__, **spelled}

    def from_json(self, data: Mapping[str, Any]) -> Event:
        """The inverse of to_json. Raises ValueError if it is none of these."""
        kind = self._kinds.get(str(data.get("event", "")))
        try:
            if kind is not None:
                return kind(**{field.name: _PLAIN[str(field.type)](data[field.name]) for field in dataclasses.fields(kind)})
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"not an event: {data!r}") from error
        raise ValueError(f"not an event: {data!r}")
