"""Refining moved frames, on one device or on several: then one finds the motions, and the others refine what it has moved."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from types import TracebackType

from trackersplat.events import Event
from trackersplat.geometry.devices import current
from trackersplat.pipelines.frames import Moved, refine_and_measure
from trackersplat.pipelines.pipeline import ChainState, Context, FrameResult
from trackersplat.rendering.rasterizer import Rasterizer


def refined(state: ChainState, events: Iterator[Event], context: Context) -> Iterator[Event]:
    """The events, with the results of the `Moved` frames among them in place of these: refined and measured, on all devices.

    The result is the same on one device and on several. ``state`` is where the frames were moved from.
    """
    if not context.others:
        for event in events:
            if isinstance(event, Moved):
                yield from refine_and_measure(state, event, context)
            else:
                yield event
        return
    with _Refiners(state, context) as refiners:
        for event in events:
            if isinstance(event, Moved):
                refiners.put(event)
            else:
                yield event
            yield from refiners.ready()
        yield from refiners.rest()


class _Refiners:
    """Refines and measures frames in threads, one for each of the context's rasterisers.

    Its own rasteriser is left to the motions until no more of them are wanted. Leaving the context stops the work.
    """

    def __init__(self, state: ChainState, context: Context) -> None:
        """``state`` is where the frames were moved from."""
        self._state, self._context = state, context
        self._free: queue.SimpleQueue[Rasterizer] = queue.SimpleQueue()
        for rasterizer in context.others:
            self._free.put(rasterizer)
        self._said: queue.SimpleQueue[Event | Future[None]] = queue.SimpleQueue()  # a future: of a frame that ended, in whatever way
        self._there: dict[Rasterizer, tuple[ChainState, Context]] = {}  # each is used by one thread at a time
        self._order: list[int] = []  # frames whose results were not yielded yet
        self._results: dict[int, FrameResult] = {}
        self._stopped = threading.Event()
        self._pool = ThreadPoolExecutor(len(context.others) + 1, thread_name_prefix="refine")

    def __enter__(self) -> _Refiners:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stopped.set()
        self._free.put(self._context.rasterizer)  # for a thread that waits for one, which ends then
        self._pool.shutdown(cancel_futures=True)

    def put(self, moved: Moved) -> None:
        """Begins with a frame as soon as a device is free. Frames are given in ascending order."""
        self._order.append(moved.frame)
        self._pool.submit(self._refine, moved).add_done_callback(self._said.put)

    def ready(self) -> Iterator[Event]:
        """What has happened meanwhile, without waiting; the results of frames in the order of the frames. Raises what a frame raised."""
        while not self._said.empty():
            yield from self._passed_on(self._said.get())

    def rest(self) -> Iterator[Event]:
        """What happens until all frames are done; the own rasteriser refines now, too. Raises what a frame raised."""
        self._free.put(self._context.rasterizer)
        while self._order:
            yield from self._passed_on(self._said.get())

    def _passed_on(self, said: Event | Future[None]) -> Iterator[Event]:
        if isinstance(said, Future):
            said.result()
        elif isinstance(said, FrameResult):
            self._results[said.frame] = said
            while self._order and self._order[0] in self._results:
                yield self._results.pop(self._order.pop(0))
        else:
            yield said

    def _refine(self, moved: Moved) -> None:
        rasterizer = self._free.get()
        try:
            with current(rasterizer.device):
                if rasterizer not in self._there:
                    base = self._state.gaussians.to(rasterizer.device)
                    self._there[rasterizer] = replace(self._state, gaussians=base), replace(self._context, rasterizer=rasterizer)
                state, context = self._there[rasterizer]
                for event in refine_and_measure(state, moved, context, home=self._state.gaussians.device):
                    if self._stopped.is_set():
                        return
                    self._said.put(event)
        finally:
            self._free.put(rasterizer)
