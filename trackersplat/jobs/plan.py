"""Which frames are to be reconstructed, in which order, and from which base."""

from __future__ import annotations

import re
from bisect import insort
from collections.abc import Iterable, Sequence

from trackersplat.errors import InputError
from trackersplat.pipelines.pipeline import Batch
from trackersplat.store.bases import base_of

_RANGE = re.compile(r"(\d{1,9})(?::(\d{1,9}))?")


def parse_frames(text: str, frame_count: int) -> range:
    """``"A:B"`` (frames A to B, counted from 1, both included), ``"A"`` or ``"all"`` as indices from 0.

    Raises InputError if it is not of that form or not within the capture.
    """
    if text == "all":
        return range(frame_count)
    match = _RANGE.fullmatch(text)
    if match is None:
        raise InputError(f"Frames {text!r} are not understood: expected A:B, one number, or all.")
    first, last = int(match[1]), int(match[2] or match[1])
    if not 1 <= first <= last <= frame_count:
        raise InputError(f"Frames {text} are not in the capture: it has frames 1 to {frame_count}.")
    return range(first - 1, last)


def plan_batches(wanted: Iterable[int], present: Sequence[int], batch: int) -> list[Batch]:
    """Groups the wanted frames that are not present yet.

    The base of a frame is the one that `store.bases` says, of those that are present or will be by then. Those that lead to each other are
    on a fixed grid, so a run that was killed and started again makes the same choices.
    """
    if batch < 1:
        raise InputError(f"A batch must have at least one frame, got {batch}.")
    available = sorted(set(present))
    batches: list[Batch] = []
    for frame in sorted(set(wanted) - set(available)):
        base = base_of(frame, available, batch)
        insort(available, frame)
        if batches and base is not None and batches[-1].base == base:
            batches[-1] = Batch(base, (*batches[-1].targets, frame))
        else:
            batches.append(Batch(base, (frame,)))
    return batches
