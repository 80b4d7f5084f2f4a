"""Which frames of a run are not what its edits would make of them.

Each frame keeps two keys: of the edits that its Gaussians were made with, and of those of its sparse tracks, those of the frames before
included. They are compared with the keys that the log would give now, so a new edit makes frames stale, and its undo makes them fresh
again, unless they were made with it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from trackersplat.edits.log import EditLog
from trackersplat.events import FrameDone


@dataclass(frozen=True)
class MadeWith:
    """The edits that a frame was made with, as keys; "" where there were none."""

    gaussians: str = ""
    tracks: str = ""

    @staticmethod
    def of(done: FrameDone) -> MadeWith:
        return MadeWith(done.edits, done.track_edits)


def made_with(log: EditLog, frame: int, base: int | None, before: MadeWith) -> MadeWith:
    """The keys of a frame that is made now, from a base that was made with ``before``.

    The way to a frame leads through all frames after its base, so what acts on these acts on it.
    """
    way = range(frame if base is None else base + 1, frame + 1)
    earlier = MadeWith() if base is None else before
    if base is None:
        moving = [entry for entry in log.active if entry.edit.changes_fit(frame)]
    else:
        moving = [entry for entry in log.active if any(map(entry.edit.changes_gaussians, way))]
    tracking = [entry.token for entry in log.active if any(map(entry.edit.changes_tracks, way))]
    parts = [entry.token for entry in moving]
    if any(entry.edit.reads_tracks for entry in moving):
        parts.append(earlier.tracks)
    gaussians = _key(parts, earlier.gaussians)
    return MadeWith(gaussians, _key([*tracking, gaussians] if tracking or gaussians else [], earlier.tracks))


def expected(log: EditLog, records: Mapping[int, FrameDone]) -> dict[int, MadeWith]:
    """The keys that all frames would have if they were made now, each from the same base as it was made from."""
    found: dict[int, MadeWith] = {}
    for frame in sorted(records):
        base = records[frame].base
        before = found.get(base, MadeWith()) if base is not None and base < frame else MadeWith()
        found[frame] = made_with(log, frame, base if base is not None and base < frame else None, before)
    return found


def stale_frames(log: EditLog, records: Mapping[int, FrameDone]) -> frozenset[int]:
    """Frames whose Gaussians or sparse tracks the edits in effect would make otherwise, or that come from such a frame."""
    return frozenset(frame for frame, keys in expected(log, records).items() if keys != MadeWith.of(records[frame]))


def stale_gaussians(log: EditLog, records: Mapping[int, FrameDone]) -> frozenset[int]:
    """The stale frames whose Gaussians would come out otherwise; of the others the tracks alone would."""
    return frozenset(frame for frame, keys in expected(log, records).items() if keys.gaussians != records[frame].edits)


def _key(parts: list[str], before: str) -> str:
    if not parts and not before:
        return ""
    return hashlib.sha256(json.dumps([parts, before]).encode()).hexdigest()[:16]
