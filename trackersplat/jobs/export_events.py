"""The events of an export, and their form in JSON."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trackersplat.events import Event


@dataclass(frozen=True)
class ExportStarted(Event):
    """What will be written. With pruning, every frame is first weighed."""

    frames: int
    weighed: bool


@dataclass(frozen=True)
class FrameWeighed(Event):
    """The contribution of every Gaussian of a frame to the pictures is known."""

    frame: int  # index from 0
    done: int  # frames so far


@dataclass(frozen=True)
class Pruned(Event):
    """Gaussians that hardly contribute were left out."""

    removed: int  # in the frame with most, or in each if all frames lose the same ones
    total: int  # Gaussians there
    psnr: float  # dB of the worst compared frame without them against the same with them; inf if nothing changes, nan without cameras


@dataclass(frozen=True)
class FrameWritten(Event):
    """So many of the frames are written."""

    done: int


@dataclass(frozen=True)
class FrameCompared(Event):
    """A frame was read back and compared with what was to be exported, before pruning and with all harmonics."""

    frame: int  # index from 0
    psnr: float  # dB of the read frame's picture, all cameras together; inf if they are equal


@dataclass(frozen=True)
class FileDone(Event):
    """The file or folder is complete."""

    path: str
    frames: int
    bytes: int


@dataclass(frozen=True)
class CamerasRead(Event):
    """Cameras were read back and are those that were written."""

    cameras: int


@dataclass(frozen=True)
class Said(Event):
    """What is assumed or left out, in a sentence."""

    text: str


_KINDS = {kind.__name__: kind for kind in (ExportStarted, FrameWeighed, Pruned, FrameWritten, FrameCompared, CamerasRead, FileDone, Said)}
_TYPES = {"int": int, "bool": bool, "str": str, "float": float}


def to_json(event: Event) -> dict[str, Any]:
    """A plain dictionary with the event's class name under "event". Raises ValueError if it is no event of this module."""
    if type(event).__name__ not in _KINDS:
        raise ValueError(f"not an event of an export: {event!r}")
    values = dataclasses.asdict(event)  # JSON lacks numbers that are not finite
    spelled = {name: str(value) if isinstance(value, float) and not math.isfinite(value) else value for name, value in values.items()}
    return {"event": type(event).__name__, **spelled}


def from_json(data: Mapping[str, Any]) -> Event:
    """The inverse of to_json. Raises ValueError if it is no event of this module."""
    values = dict(data)
    kind = _KINDS.get(str(values.pop("event", "")))
    try:
        if kind is not None:
            made: Event = kind(**{field.name: _TYPES[str(field.type)](values[field.name]) for field in dataclasses.fields(kind)})
            return made
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"not an event: {data!r}") from error
    raise ValueError(f"not an event: {data!r}")
