"""What an exporter gets and gives. A new one is a module with an `Exporter` and a line in `exporters.registry`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from trackersplat.captures.camera import Camera
from trackersplat.errors import InputError
from trackersplat.events import Event
from trackersplat.files import size_of
from trackersplat.gaussians.gaussians import Gaussians


@dataclass(frozen=True)
class FrameExported(Event):
    """One more frame is written."""

    frame: int  # index from 0
    done: int  # frames written so far


@dataclass(frozen=True)
class Exported(Event):
    """The last event of an export: what now lies at the path."""

    path: str
    files: tuple[str, ...]  # names relative to the path, ascending; its own name if it is a file
    bytes: int  # of all of them
    frames: tuple[int, ...]  # indices from 0, in the order of the export


@dataclass(frozen=True)
class About:
    """What is known of a scene beside its Gaussians. Formats take of it what they can say."""

    name: str = "scene"
    cameras: tuple[Camera, ...] = ()
    frames_per_second: float = 30.0
    made_cameras: bool = False  # nobody filmed the scene: the cameras are made up


UNKNOWN = About()


class Export(Protocol):
    """Writes frames to a path that does not exist yet (or is an empty folder); it appears complete or not at all. What it makes there, a
    folder or a file, is a fact of the registry.

    Raises InputError if there is something at the path, it cannot be written, there is no frame, one comes twice, or the format cannot
    hold them. Closing the iterator cancels the export.
    """

    def __call__(self, frames: Iterable[tuple[int, Gaussians]], path: Path, about: About = UNKNOWN) -> Iterator[Event]: ...


class ReadBack(Protocol):
    """Reads one frame of an export, as another program would: its number (index from 0) and its place in the order of the export."""

    def __call__(self, path: Path, frame: int, place: int, about: About = UNKNOWN) -> Gaussians: ...


@dataclass(frozen=True)
class Exporter:
    """A format."""

    export: Export
    read: ReadBack


def check_target(path: Path) -> None:
    """Raises InputError if an export would replace something."""
    try:
        occupied = path.is_file() or path.is_symlink() or (path.is_dir() and any(path.iterdir()))
    except OSError as error:
        raise InputError(f"Cannot look into {path} ({error.strerror}): choose another folder for the export.") from error
    if occupied:
        raise InputError(f"There is something at {path} already: choose a path that does not exist yet or an empty folder.")


def exported(path: Path, frames: Iterable[int]) -> Exported:
    """The last event for a folder or file that is written."""
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    names = tuple(path.name if file == path else file.relative_to(path).as_posix() for file in files)
    return Exported(path=str(path), files=names, bytes=size_of(path), frames=tuple(frames))


def next_frame(frame: int, before: list[int]) -> None:
    """Notes a frame. Raises InputError if it has come before."""
    if frame in before:
        raise InputError(f"Frame {frame + 1} is to be exported twice; name every frame once.")
    before.append(frame)


def check_some(frames: list[int]) -> None:
    """Raises InputError if there was none."""
    if not frames:
        raise InputError("There is no frame to export.")
