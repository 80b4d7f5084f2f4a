"""What a trace says about the work of a GPU."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
import torch

from trackersplat.benchmarks.kernels import kernel_times, profiled


def test_overlapping_kernels_count_once_and_the_host_does_not(tmp_path: Path) -> None:
    events = [
        {"cat": "kernel", "name": "long", "ts": 100, "dur": 50},
        {"cat": "kernel", "name": "inside", "ts": 110, "dur": 10},
        {"cat": "gpu_memcpy", "name": "copy", "ts": 140, "dur": 20},
        {"cat": "kernel", "name": "long", "ts": 200.5, "dur": 25},
        {"cat": "cpu_op", "name": "host", "ts": 0, "dur": 1000},
        {"name": "without a category"},
    ]
    trace = tmp_path / "trace.json.gz"
    with gzip.open(trace, "wt") as file:
        json.dump({"traceEvents": events}, file)
    times = kernel_times(trace, frames=3)
    assert times.seconds == pytest.approx(85e-6)  # 100 to 160, and 25
    assert (times.launches, times.frames) == (4, 3)
    assert times.slowest[0] == ("long", pytest.approx(75e-6), 2)


def test_without_a_gpu_nothing_is_watched(tmp_path: Path) -> None:
    with profiled(torch.device("cpu"), tmp_path / "trace.json.gz", 2) as watched:
        pass
    assert watched.result is None
    assert not (tmp_path / "trace.json.gz").exists()
