"""A folder of numbered files, one per frame: ``frame00001.ply`` and so on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from trackersplat.events import Event
from trackersplat.files import atomic_folder
from trackersplat.gaussians.exporters.exporter import (
    UNKNOWN,
    About,
    Exporter,
    FrameExported,
    ReadBack,
    check_some,
    check_target,
    exported,
    next_frame,
)
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.gaussians.readers.reader import read_gaussians

Write = Callable[[Path, Gaussians], None]  # one file


def file_name(frame: int, suffix: str) -> str:
    """Of a frame (index from 0); files are counted from 1."""
    return f"frame{frame + 1:05d}{suffix}"


def numbered(suffix: str, write: Write) -> Exporter:
    """The format of files with this ending; ``write`` writes that of one frame."""

    def export(frames: Iterable[tuple[int, Gaussians]], path: Path, about: About = UNKNOWN) -> Iterator[Event]:
        return export_numbered(frames, path, suffix, write)

    return Exporter(export, read_numbered(suffix))


def read_numbered(suffix: str) -> ReadBack:
    def read(path: Path, frame: int, place: int, about: About = UNKNOWN) -> Gaussians:
        return read_gaussians(path / file_name(frame, suffix)).gaussians

    return read


def export_numbered(frames: Iterable[tuple[int, Gaussians]], path: Path, suffix: str, write: Write) -> Iterator[Event]:
    """See `exporters.exporter.Export`; ``write`` writes the file of one frame. Each frame is read once."""
    check_target(path)
    written: list[int] = []
    with atomic_folder(path) as folder:
        for frame, gaussians in frames:
            next_frame(frame, written)
            write(folder / file_name(frame, suffix), gaussians)
            yield FrameExported(frame, len(written))
        check_some(written)
    yield exported(path, written)
