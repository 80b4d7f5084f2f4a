"""Which frame of a run another one starts from."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Sequence


def base_of(frame: int, there: Sequence[int], batch: int) -> int | None:
    """The base of a frame that is not there yet; None if it is fitted from scratch. ``there``: ascending.

    Bases lie on a fixed grid (frame 0, then every ``batch`` frames), so a run that was killed and started again makes the same choices. It
    is the last frame at or before the frame's own place on the grid; if there is none, the last one before the frame.
    """
    grid = batch * ((frame - 1) // batch) if frame else -1
    for last in (grid, frame - 1):
        if number := bisect_right(there, last):
            return there[number - 1]
    return None


def bases_of_missing(there: Collection[int], frames: int | None, batch: int) -> frozenset[int]:
    """Frames that are there from which those that are not start, if all of them are made in order. ``frames``: of the capture; None if that
    is not known."""
    if not there:
        return frozenset()
    first, known = min(there), set(there)
    end = max(there) + 1 + batch  # frames beyond start from one that is not there
    missing = (frame for frame in range(first, end if frames is None else min(end, frames)) if frame not in known)
    found = (base_of(frame, range(first, frame), batch) for frame in missing)
    return frozenset(base for base in found if base in known)
