"""What frames were made without, because a document deletes it: by lineage ids, from frame to frame.

The row of what is left out may hold something else in the next frame, whose ids do not tell any more that something is missing.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from trackersplat.document.selection import Selection


class MadeWithout:
    """Takes the frames in the order in which they were made: each after its base."""

    def __init__(self, deleted: Callable[[int], Selection]) -> None:
        """``deleted``: what the document leaves out of a frame."""
        self._deleted = deleted
        self._found: dict[int, Selection] = {}

    def count(self, frame: int) -> int:
        """Of a frame that was taken; 0 of another."""
        return len(self._found[frame]) if frame in self._found else 0

    def of(self, frame: int, base: int, base_ids: np.ndarray) -> Selection:
        """What is deleted in ``frame`` of the Gaussians of its base, and of those that the base was made without."""
        deleted = self._deleted(frame)
        found = Selection.of(base_ids[deleted.rows(base_ids)])
        if base in self._found:
            found = found.union(self._found[base].intersect(deleted))
        self._found[frame] = found
        return found
