"""Frames that a run once had, of which the Gaussians are gone: somebody removed or replaced files of it."""

from __future__ import annotations

import csv
from collections.abc import Collection
from pathlib import Path

from trackersplat.store.index import RunIndex

MAX_NAMED = 5  # frames in one sentence


def lost_frames(index: RunIndex, table: Path, present: Collection[int], broken: Collection[int]) -> list[str]:
    """Sentences that name them: by folders that are files, hold no Gaussians or build on a frame that is lost (``broken``), and by the rows
    of ``metrics.csv``."""
    files = index.files()
    absent = {frame: entry.folder for frame, entry in index.entries.items() if frame not in present and frame not in files}
    changes = {frame: folder for frame, folder in absent.items() if frame in broken}
    empty = {frame: folder for frame, folder in absent.items() if frame not in broken}
    gone = _rows(table) - set(present) - set(files) - set(absent)
    kinds = (
        (files, "a file is in the place of the folder"),
        (empty, "there are no Gaussians in the folder"),
        (changes, "an earlier frame, since which the changes are stored, is gone or another one; the changes are in the folder"),
        (dict.fromkeys(gone, None), "metrics.csv has the scores, but there is no folder"),
    )
    return [_sentence(index.root, found, why) for found, why in kinds if found]


def _sentence(run: Path, found: dict[int, Path] | dict[int, None], why: str) -> str:
    frames = sorted(found)
    names = ", ".join(str(frame + 1) for frame in frames[:MAX_NAMED]) + (f" and {len(frames) - MAX_NAMED} more" * (len(frames) > MAX_NAMED))
    place = found[frames[0]]
    where = "" if place is None else f" {place}"
    what = f"Frame {names} of {run} is lost" if len(frames) == 1 else f"Frames {names} of {run} are lost"
    again = "reconstruct it again" if len(frames) == 1 else "reconstruct them again"
    return f"{what}: {why}{where}{'' if len(frames) == 1 or place is None else ' and so on'}; {again}, or bring the folder back."


def _rows(table: Path) -> set[int]:
    """The frames of ``metrics.csv``, as indices."""
    try:
        with table.open(encoding="utf-8", errors="replace", newline="") as file:
            return {int(row["frame"]) - 1 for row in csv.DictReader(file) if (row.get("frame") or "").isdecimal()}
    except (OSError, csv.Error):
        return set()  # the table is made anew from the frames by the next reconstruction
