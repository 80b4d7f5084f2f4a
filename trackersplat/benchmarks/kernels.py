"""How long the kernels of a GPU run, as torch's profiler counts them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass(frozen=True)
class KernelTimes:
    """Of some frames together."""

    seconds: float  # in which at least one kernel or copy ran
    launches: int
    frames: int
    slowest: tuple[tuple[str, float, int], ...]  # name, seconds, calls


class Watched:
    """What `profiled` gives; the result is there after the block, and None without a GPU."""

    result: KernelTimes | None = None


@contextmanager
def profiled(device: torch.device, trace: Path, frames: int) -> Iterator[Watched]:
    """Counts the kernels of the block, which handles so many ``frames``, and writes a trace for chrome://tracing."""
    watched = Watched()
    if device.type != "cuda":
        yield watched
        return
    activities = [torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profiler:
        yield watched
        torch.cuda.synchronize(device)
    profiler.export_chrome_trace(str(trace))
    events = [event for event in profiler.events() if event.device_type == torch.autograd.DeviceType.CUDA]
    spans = sorted((event.time_range.start, event.time_range.end) for event in events)
    busy, until = 0.0, float("-inf")
    for start, end in spans:
        busy += max(0.0, end - max(start, until))
        until = max(until, end)
    totals: dict[str, tuple[float, int]] = {}
    for event in events:
        seconds, calls = totals.get(event.name, (0.0, 0))
        totals[event.name] = (seconds + event.time_range.elapsed_us() / 1e6, calls + 1)
    slowest = sorted(((name, *counted) for name, counted in totals.items()), key=lambda row: -row[1])[:40]
    watched.result = KernelTimes(busy / 1e6, len(spans), frames, tuple(slowest))
