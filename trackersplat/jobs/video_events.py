"""The events of rendering a video, and their form in JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trackersplat.events import Event


@dataclass(frozen=True)
class VideoStarted(Event):
    """What will be rendered."""

    pictures: int
    width: int
    height: int
    device: str


@dataclass(frozen=True)
class PictureDone(Event):
    """So many of the pictures are done."""

    done: int
    pictures: int


@dataclass(frozen=True)
class VideoDone(Event):
    """The file or folder is complete."""

    path: str
    pictures: int
    bytes: int


_KINDS = {kind.__name__: kind for kind in (VideoStarted, PictureDone, VideoDone)}


def to_json(event: Event) -> dict[str, Any]:
    """A plain dictionary with the event's class name under "event". Raises ValueError if it is no event of this module."""
    if type(event).__name__ not in _KINDS:
        raise ValueError(f"not an event of a video: {event!r}")
    return {"event": type(event).__name__, **dataclasses.asdict(event)}


def from_json(data: Mapping[str, Any]) -> Event:
    """The inverse of to_json. Raises ValueError if it is no event of this module."""
    values = dict(data)
    kind = _KINDS.get(str(values.pop("event", "")))
    try:
        if kind is not None:
            made: Event = kind(**{field.name: (int if field.type == "int" else str)(values[field.name]) for field in dataclasses.fields(kind)})
            return made
    except (KeyError, TypeError) as error:
        raise ValueError(f"not an event: {data!r}") from error
    raise ValueError(f"not an event: {data!r}")
