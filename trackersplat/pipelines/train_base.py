"""The pipeline "train-base": every frame of a batch is refined from the base frame, without moving it first."""

from __future__ import annotations

from collections.abc import Iterator

from trackersplat.events import Event
from trackersplat.pipelines.frames import FirstFrame, Moved, refine_and_measure
from trackersplat.pipelines.pipeline import Batch, ChainState, Context


class TrainBase(FirstFrame):
    """The plain method, to compare with."""

    def step(self, state: ChainState, batch: Batch, context: Context) -> Iterator[Event]:
        """See `Pipeline.step`."""
        for frame in batch.targets:
            yield from refine_and_measure(state, Moved(frame, state.gaussians, None, None, {}), context)
