"""What a reconstruction says while it works. Frames are indices from 0."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Started:
    """The plan: frames that will be reconstructed, in order, and where."""

    frames: tuple[int, ...]
    device: str  # "NVIDIA H200 (gsplat)", "CPU, 2 cores (portable)"
    steps_first: int  # optimisation steps of a first frame
    steps_refine: int  # and of every other


@dataclass(frozen=True)
class Stage:
    """A frame enters a stage: "compile", "points", "optimise", "track", "move", "look", "refine", "measure"."""

    frame: int
    name: str
    detail: str = ""


@dataclass(frozen=True)
class StepDone:
    """Some optimisation steps are done (not one event per step)."""

    frame: int
    step: int  # steps done
    steps: int  # of so many
    loss: float
    gaussians: int
    psnr: float | None = None  # held-out, dB, where it was measured at this step


@dataclass(frozen=True)
class Preview:
    """The state of the frame in work was written here (a PLY that the next preview replaces)."""

    frame: int
    path: str


@dataclass(frozen=True)
class FrameScores:
    """Mean PSNR in dB and SSIM over the held-out cameras, all pixels. None where not applicable (first frame)."""

    still_psnr: float | None  # the base frame, unmoved
    moved_psnr: float | None  # moved by tracks, before any optimisation
    psnr: float | None  # the result
    ssim: float | None


@dataclass(frozen=True)
class FrameDone:
    """The frame is on disk."""

    frame: int
    base: int | None  # the frame it was moved from, None for a first frame
    scores: FrameScores
    gaussians: int
    measured: float  # share of the Gaussians moved by their own tracks
    static: float  # share found static
    seconds: float


@dataclass(frozen=True)
class Finished:
    """All frames of the plan are on disk."""

    seconds: float


@dataclass(frozen=True)
class Failed:
    """The run stopped. ``message`` is for people; the traceback of a defect is in the run's log."""

    message: str
    frame: int | None = None


Event = Started | Stage | StepDone | Preview | FrameDone | Finished | Failed

_KINDS = {cls.__name__: cls for cls in (Started, Stage, StepDone, Preview, FrameDone, Finished, Failed)}


def to_json(event: Event) -> dict[str, Any]:
    """A plain dictionary with the event's class name under "event". Numbers that JSON lacks (no loss yet: NaN) become None."""
    fields = dataclasses.asdict(event)
    if isinstance(event, StepDone) and not math.isfinite(event.loss):
        fields["loss"] = None
    return {"event": type(event).__name__, **fields}


def from_json(data: dict[str, Any]) -> Event:
    """The inverse of to_json. Raises ValueError if it is no event."""
    fields = dict(data)
    kind = _KINDS.get(str(fields.pop("event", "")))
    if kind is None:
        raise ValueError(f"not an event: {data!r}")
    try:
        if kind is FrameDone:
            fields["scores"] = FrameScores(**fields["scores"])
        if kind is Started:
            fields["frames"] = tuple(fields["frames"])
        if kind is StepDone and fields["loss"] is None:
            fields["loss"] = math.nan
        return kind(**fields)
    except (TypeError, KeyError) as error:
        raise ValueError(f"not an event: {data!r}") from error
