"""The events of rendering a video, and their form in JSON."""

from __future__ import annotations

from dataclasses import dataclass

from trackersplat.events import Event, PlainEvents


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


EVENTS = PlainEvents("a video", VideoStarted, PictureDone, VideoDone)
