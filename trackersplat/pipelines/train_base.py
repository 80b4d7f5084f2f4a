"""The pipeline "train-base": every frame of a batch is refined from the base frame, without moving it first."""

from __future__ import annotations

from collections.abc import Iterator

from trackersplat.events import Event
from trackersplat.pipelines.frames import FirstFrame, Moved
from trackersplat.pipelines.pipeline import Batch, ChainState, Context
from trackersplat.pipelines.several_devices import refined


class TrainBase(FirstFrame):
    """The plain method, to compare with."""

    def step(self, state: ChainState, batch: Batch, context: Context) -> Iterator[Event]:
        """See `Pipeline.step`."""
        return refined(state, (Moved(frame, state.gaussians, None, None, {}) for frame in batch.targets), context)
