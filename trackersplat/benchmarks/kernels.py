"""How long the kernels of a GPU run, as torch's profiler counts them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

_ON_GPU = ("kernel", "gpu_memcpy", "gpu_memset")  # categories of events of the profiler
_LISTED = 40  # of the slowest kernels


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
    watched.result = kernel_times(trace, frames)


def kernel_times(trace: Path, frames: int) -> KernelTimes:
    """Of a trace.json.gz as torch's profiler writes it: what ran on the GPU."""
    with gzip.open(trace, "rt", encoding="utf-8") as file:
        events = [event for event in json.load(file)["traceEvents"] if event.get("cat") in _ON_GPU]
    busy, until = 0.0, float("-inf")
    totals: dict[str, tuple[float, int]] = {}
    for event in sorted(events, key=lambda event: float(event["ts"])):  # microseconds
        start, duration = float(event["ts"]), float(event["dur"])
        busy += max(0.0, start + duration - max(start, until))
        until = max(until, start + duration)
        seconds, calls = totals.get(event["name"], (0.0, 0))
        totals[event["name"]] = (seconds + duration / 1e6, calls + 1)
    slowest = sorted(((name, *counted) for name, counted in totals.items()), key=lambda row: -row[1])[:_LISTED]
    return KernelTimes(busy / 1e6, len(events), frames, tuple(slowest))
