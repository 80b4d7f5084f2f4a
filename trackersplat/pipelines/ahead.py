"""Finding the next motion while this frame is refined: two threads, each with a queue of its own on the GPU.

Neither keeps a GPU busy alone: motions are many small kernels, with looks at their results in between.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from trackersplat.events import Event

_PATIENCE = 0.05  # seconds between two looks at whether anybody still wants the events (layout of threads)


def one_ahead(events: Generator[Event, None, None] | Iterator[Event], device: torch.device, kind: type[Event]) -> Iterator[Event]:
    """The same events. On a GPU, those up to the next one of this ``kind`` are made while the last one is in use.

    Errors are raised where the event would have come. Closing the iterator waits for the work in hand and closes ``events``.
    """
    if device.type != "cuda":
        yield from events
        return
    stream = _stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    worker = _Worker(events, stream, kind)
    worker.start()
    try:
        while (item := worker.next()) is not None:
            made, event = item
            here = torch.cuda.current_stream(device)
            here.wait_event(made)
            _keep(event, here)
            yield event
    finally:
        worker.stop()
        torch.cuda.current_stream(device).wait_stream(stream)  # what it worked with may be freed now


@cache
def _stream(device: torch.device) -> torch.cuda.Stream:
    """One for the whole process: memory that was used in one queue is not used again in another."""
    return torch.cuda.Stream(device)


class _Worker(threading.Thread):
    """Makes the events on a stream of its own."""

    def __init__(self, events: Iterator[Event], stream: torch.cuda.Stream, kind: type[Event]) -> None:
        super().__init__(name="ahead", daemon=True)
        self._events, self._stream, self._kind = events, stream, kind
        self._made: queue.SimpleQueue[tuple[torch.cuda.Event, Event] | BaseException | None] = queue.SimpleQueue()
        self._taken = threading.Semaphore(0)  # of the kind: one is made, and the next begun when it is taken
        self._stopped = threading.Event()

    def next(self) -> tuple[torch.cuda.Event, Event] | None:
        """The next event and when it is there on the GPU; None after the last. Raises what went wrong."""
        item = self._made.get()
        if isinstance(item, BaseException):
            raise item
        if item is not None and isinstance(item[1], self._kind):
            self._taken.release()
        return item

    def stop(self) -> None:
        """Ends the thread, after the event it is making."""
        self._stopped.set()
        self.join()

    def run(self) -> None:
        try:
            with torch.cuda.device(self._stream.device), torch.cuda.stream(self._stream):
                for event in self._events:
                    self._made.put((self._stream.record_event(), event))
                    is_kind = isinstance(event, self._kind)
                    del event  # it may hold much memory
                    if self._stopped.is_set() or (is_kind and not self._wait()):
                        break
                if isinstance(self._events, Generator):
                    self._events.close()
        except BaseException as error:  # raised again in the thread that asks for the next event
            self._made.put(error)
        else:
            self._made.put(None)

    def _wait(self) -> bool:
        """Until the last of the kind is taken; false if nobody wants more."""
        while not self._taken.acquire(timeout=_PATIENCE):
            if self._stopped.is_set():
                return False
        return True


def _keep(value: Any, stream: torch.cuda.Stream) -> None:
    """Has the memory of all tensors of a record not used again before ``stream`` is done with them."""
    if isinstance(value, Tensor):
        if value.is_cuda:
            value.record_stream(stream)
    elif isinstance(value, (list, tuple)):
        for part in value:
            _keep(part, stream)
    elif isinstance(value, dict):
        for part in value.values():
            _keep(part, stream)
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            _keep(getattr(value, field.name), stream)
