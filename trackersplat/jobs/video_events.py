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


def to_json(event: Event) -> dict[str, Any]:
    """A plain dictionary with the event's class name under "event". Raises ValueError if it is no event of this module."""
    if not isinstance(event, (VideoStarted, PictureDone, VideoDone)):
        raise ValueError(f"not an event of a video: {event!r}")
    return {"event": type(event).__name__, **dataclasses.asdict(event)}


def from_json(data: Mapping[str, Any]) -> Event:
    """The inverse of to_json. Raises ValueError if it is no event of this module."""
    try:
        match data["event"]:
            case "VideoStarted":
                return VideoStarted(int(data["pictures"]), int(data["width"]), int(data["height"]), str(data["device"]))
            case "PictureDone":
                return PictureDone(int(data["done"]), int(data["pictures"]))
            case "VideoDone":
                return VideoDone(str(data["path"]), int(data["pictures"]), int(data["bytes"]))
    except (KeyError, TypeError, OverflowError) as error:
        raise ValueError(f"not an event: {data!r}") from error
    raise ValueError(f"not an event: {data!r}")
