"""Writes finished frames in the background, in order, while the next ones are worked on."""

from __future__ import annotations

import queue
import threading
from collections.abc import Collection, Iterator
from types import TracebackType

from trackersplat.captures.capture import Capture
from trackersplat.captures.fingerprints import Hashes
from trackersplat.events import FrameDone
from trackersplat.pipelines.pipeline import FrameResult
from trackersplat.store.run import Run

WAITING = 2  # results at most that wait for the disk: each holds a frame's Gaussians in memory


class RunWriter:
    """One thread that writes the results it is given. Leaving the context writes what is waiting, also after an exception."""

    def __init__(self, run: Run, capture: Capture, to_redo: Collection[int] = ()) -> None:
        """``to_redo``: frames that are there already and are going to be put again."""
        self._run = run
        self._to_redo = set(to_redo)
        self._capture = capture
        self._waiting: queue.Queue[tuple[FrameResult, FrameDone, Hashes | None] | None] = queue.Queue(WAITING)
        self._done: queue.SimpleQueue[FrameDone] = queue.SimpleQueue()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="write", daemon=True)

    def __enter__(self) -> RunWriter:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._waiting.put(None)
        self._thread.join()
        if kind is None:
            self._raise_error()

    def put(self, result: FrameResult, done: FrameDone, images: Hashes | None = None) -> None:
        """Hands over a result and the hashes of what it was made from; waits while too many are waiting.

        Raises what went wrong with an earlier one.
        """
        self._raise_error()
        self._waiting.put((result, done, images))

    def finished(self) -> Iterator[FrameDone]:
        """The frames that are on disk since the last call. Raises what went wrong with one."""
        while not self._done.empty():
            yield self._done.get()
        self._raise_error()

    def wait(self) -> None:
        """Until everything handed over is on disk. Raises what went wrong."""
        self._waiting.join()
        self._raise_error()

    def _work(self) -> None:
        while True:
            item = self._waiting.get()
            try:
                if item is None:
                    return
                if self._error is None:  # after an error nothing is written: frames on disk have no gaps
                    result, done, images = item
                    self._to_redo.discard(result.frame)
                    self._run.write_frame(result, done, self._capture, images, self._to_redo)
                    del result
                    self._done.put(item[1])
            except BaseException as error:  # raised again in the thread that waits for it
                self._error = error
            finally:
                self._waiting.task_done()
                del item  # it holds a frame's Gaussians

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error
