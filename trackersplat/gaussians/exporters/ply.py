"""A folder of PLY files, ``frame00001.ply`` and so on, that every splat tool opens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from trackersplat.events import Event
from trackersplat.files import atomic_folder
from trackersplat.gaussians.exporters.exporter import FrameExported, check_some, check_target, exported, next_frame
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.gaussians.ply import write_ply


def export_ply(frames: Iterable[tuple[int, Gaussians]], path: Path) -> Iterator[Event]:
    """See `exporters.exporter.Exporter`. Frames are counted from 1 in the names of the files; each is read once."""
    check_target(path)
    written: list[int] = []
    with atomic_folder(path) as folder:
        for frame, gaussians in frames:
            next_frame(frame, written)
            write_ply(folder / f"frame{frame + 1:05d}.ply", gaussians)
            yield FrameExported(frame, len(written))
        check_some(written)
    yield exported(path, written)
