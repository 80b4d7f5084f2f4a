"""Which frames of a run hold the same Gaussians, moved, and since when each Gaussian is at its index."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from torch import Tensor

from trackersplat.gaussians.lineage import Lineage


class RunLineage:
    """The lineage of all frames of a run. What was found about a frame is kept, so that all frames cost one walk along the chain."""

    def __init__(
        self, frames: tuple[int, ...], bases: Mapping[int, int | None], counts: Mapping[int, int], replaced: Callable[[int], Tensor]
    ) -> None:
        """``frames``: all of the run, ascending. ``bases`` and ``counts``, of those with a record: the frame each was moved from (None for
        one that was fitted from scratch: it starts other Gaussians, even if there are equally many) and its number of Gaussians.
        ``replaced``: frame -> (B,) indices that hold other Gaussians than its base does."""
        self.frames = frames
        self._bases = bases
        self._counts = counts
        self._replaced = replaced
        self._known: dict[int, Lineage] = {}

    def origin(self, frame: int) -> int | None:
        """The fitted frame that this one descends from; None where a record on the way is missing or damaged."""
        last = self._chain(frame)[-1]
        return last if self._bases.get(last, last) is None else None

    def of(self, frame: int) -> Lineage | None:
        """Of the Gaussians of one frame; None where its origin is not known."""
        origin = self.origin(frame)
        if origin is None or self._counts.get(frame, self._counts[origin]) != self._counts[origin]:
            return None  # the origin was made again since, with other Gaussians
        chain = self._chain(frame)
        self._known.setdefault(origin, Lineage.of_first_frame(origin, self._counts[origin]))
        start = next(index for index, step in enumerate(chain) if step in self._known)
        lineage = self._known[chain[start]]
        for step in reversed(chain[:start]):
            lineage = self._known[step] = lineage.with_replaced(self._replaced(step), step)
        return lineage

    def frames_of_one_origin(self) -> tuple[int, ...]:
        """The largest set of frames whose Gaussians are the same ones, moved; of equal ones the earliest.

        Frames without a record count as moved from the first of their kind.
        """
        groups: dict[int | None, list[int]] = {}
        for frame in self.frames:
            groups.setdefault(self._chain(frame)[-1] if frame in self._bases else None, []).append(frame)
        return max((tuple(group) for group in groups.values()), key=len, default=())

    def since(self, frame: int) -> np.ndarray | None:
        """(N,) int64: the frame in which the Gaussian at each index was born, -1 for those of the origin. None where it is not known."""
        lineage = self.of(frame)
        if lineage is None:
            return None
        born = lineage.born.numpy()
        return np.where(born == lineage.origin, -1, born)

    def _chain(self, frame: int) -> list[int]:
        """The frame, its base, and so on. A record may be damaged: a base must come before its frame."""
        chain = [frame]
        while (base := self._bases.get(chain[-1])) is not None and base < chain[-1]:
            chain.append(base)
        return chain
