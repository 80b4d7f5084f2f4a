"""Which frames of a run in the compact form are kept as they were computed, too, and how the others lose that."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from trackersplat.files import write_durable
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.pipelines.pipeline import FrameResult
from trackersplat.store.bases import bases_of_missing
from trackersplat.store.compact_frames import COMPACT_FILE, CompactFrames
from trackersplat.store.frame_files import has_exact, remove_exact
from trackersplat.store.index import RunIndex
from trackersplat.store.lineage import RunLineage


def needed_frames(
    info: Mapping[str, Any], lineages: RunLineage, present: Collection[int], new: FrameResult | None = None
) -> frozenset[int]:
    """Frames from which one that is not present starts, and the fitted ones that these descend from.

    ``info``: of ``run.json``. ``new``: one of those that are present, which is going to be written.
    """
    about, settings = info.get("capture"), info.get("settings")
    frames = about.get("frames") if isinstance(about, dict) else None
    batch = settings.get("batch") if isinstance(settings, dict) else None
    bases = bases_of_missing(present, frames if isinstance(frames, int) else None, batch if isinstance(batch, int) and batch > 0 else 1)
    found = set(bases)
    for base in bases:
        before = new.base if new is not None and base == new.frame else base
        origin = base if before is None else lineages.origin(before)
        found |= set() if origin is None else {origin}
    return frozenset(found)


def remove_unneeded(index: RunIndex, needed: Collection[int], *, thorough: bool) -> None:
    """Of frames in the compact form. ``thorough``: also what a killed process began to remove."""
    for frame, entry in list(index.entries.items()):
        if entry.compact is None or frame in needed or not (entry.cloud is not None or (thorough and has_exact(entry.folder))):
            continue
        if index.is_own(frame):
            remove_exact(entry.folder)
            index.look_again(frame)


def compact_frames(index: RunIndex, store: CompactFrames, needed: Collection[int], read: Callable[[int], Gaussians]) -> None:
    """Turns the PLYs into the compact form. A frame is read from its PLY until that is complete, on the disk, and was read back.

    What the motion to a frame of ``needed`` hands on stays.
    """
    for frame, folder in list(index.own_folders()):
        entry = index.entries[frame]
        if entry.cloud is not None and entry.compact is None:
            record = index.record(frame)
            content = store.make(frame, read(frame), moved=record is None or record.done.base is not None)
            write_durable(folder / COMPACT_FILE, content)
            index.look_again(frame)
            store.update(index.compact_files())
            store.read_back(frame)
        if index.entries[frame].compact is not None:
            remove_exact(folder, carried=frame not in needed)
            index.look_again(frame)
