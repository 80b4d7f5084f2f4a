"""The events of an export, and their form in JSON."""

from __future__ import annotations

from dataclasses import dataclass

from trackersplat.events import Event, PlainEvents


@dataclass(frozen=True)
class ExportStarted(Event):
    """What will be written."""

    frames: int


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


EVENTS = PlainEvents("an export", ExportStarted, FrameWeighed, Pruned, FrameWritten, FrameCompared, CamerasRead, FileDone, Said)
