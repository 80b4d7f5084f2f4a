"""A folder of numbered files, one per frame: ``frame00001.ply`` and so on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from trackersplat.events import Event
from trackersplat.files import atomic_folder
from trackersplat.gaussians.exporters.exporter import FrameExported, check_some, check_target, exported, next_frame
from trackersplat.gaussians.gaussians import Gaussians

Write = Callable[[Path, Gaussians], None]  # one file


def file_name(frame: int, suffix: str) -> str:
    """Of a frame (index from 0); files are counted from 1."""
    return f"frame{frame + 1:05d}{suffix}"


def export_numbered(frames: Iterable[tuple[int, Gaussians]], path: Path, suffix: str, write: Write) -> Iterator[Event]:
    """See `exporters.exporter.Exporter`; ``write`` writes the file of one frame. Each frame is read once."""
    check_target(path)
    written: list[int] = []
    with atomic_folder(path) as folder:
        for frame, gaussians in frames:
            next_frame(frame, written)
            write(folder / file_name(frame, suffix), gaussians)
            yield FrameExported(frame, len(written))
        check_some(written)
    yield exported(path, written)
