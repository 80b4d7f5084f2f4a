"""Work on a GPU that is repeated without the host: its kernels are recorded once (a CUDA graph) and launched together from then on."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, suppress

import torch

_EAGER = 2  # calls before the recording: kernels are compiled and loaded in them, which cannot be recorded


class Recorder:
    """Records on one device. What recordings allocate comes from one pool of memory, which the next recording uses again.

    A recording must not be called after another one of the same recorder was made. One thread may use a recorder at a time; others may
    use the device meanwhile.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)
        self._pool = torch.cuda.graph_pool_handle()
        self._last: torch.cuda.CUDAGraph | None = None  # keeps the pool
        self._kernels: Hashable = None  # of that one

    def repeatable(self, work: Callable[[], None], kernels: Hashable = None) -> Callable[[], None]:
        """Does the ``work`` at each call, the first two times as it is. It must read and write the same tensors each time, choose by
        tensors alone and never wait for the device.

        ``kernels``: all that decides which kernels it launches. Where the last recording has the same, they are loaded, and the first call
        is recorded already.
        """
        calls = _EAGER if kernels is not None and kernels == self._kernels else 0
        graph: torch.cuda.CUDAGraph | None = None

        def again() -> None:
            nonlocal calls, graph
            calls += 1
            if calls <= _EAGER:
                with self._aside():
                    work()
                return
            if graph is None:
                self._kernels = None
                graph = self._recorded(work)
                self._kernels = kernels
            graph.replay()

        return again

    def _recorded(self, work: Callable[[], None]) -> torch.cuda.CUDAGraph:
        # torch.cuda.graph would also empty the cache and collect garbage, each time.
        graph = torch.cuda.CUDAGraph()
        with self._aside():
            graph.capture_begin(pool=self._pool, capture_error_mode="thread_local")  # other threads go on working
            try:
                work()
            except BaseException:
                with suppress(RuntimeError):  # of the recording, which is broken now: what broke it is to be told
                    graph.capture_end()
                raise
            graph.capture_end()
        self._last = graph
        return graph

    @contextmanager
    def _aside(self) -> Iterator[None]:
        """In the recorder's own queue, in turn with the thread's: autograd works where the forward pass was, the first calls included."""
        before = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(before)
        with torch.cuda.stream(self._stream):
            yield
        before.wait_stream(self._stream)
