"""Wall time of stages, the GPU's queue included."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch


class Clock:
    """Tells the seconds since the last lap."""

    def __init__(self, device: torch.device, now: Callable[[], float] = time.perf_counter) -> None:
        self._device = device
        self._now = now
        self._last = self._time()

    def lap(self) -> float:
        before, self._last = self._last, self._time()
        return self._last - before

    def _time(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return self._now()
