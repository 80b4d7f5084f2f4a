"""What a frame costs: seconds per stage, memory, bytes and quality of the ordinary reconstruction of a scene in exact motion.

The capture is rendered and stored as JPEG files, so decoding and writing are part of what is measured. The first frame is fitted once;
every run starts from a copy of it.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import resource
import shutil
import statistics
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from trackersplat.benchmarks.kernels import KernelTimes, profiled
from trackersplat.captures.capture import Capture, FrameSource
from trackersplat.captures.fingerprints import Hashes
from trackersplat.events import Event, FrameDone, Stage
from trackersplat.jobs.reconstruct import reconstruct
from trackersplat.pipelines.pipeline import FrameResult
from trackersplat.pipelines.settings import ReconstructSettings
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.store.run import COMPACT, KEEP, Run

STAGES = ("track", "move", "match", "refine", "measure")  # one after the other
BESIDE = ("decode", "write")  # in other threads
FULL, NOTHING = "moved + refined", "do nothing"


@dataclass(frozen=True)
class SpeedSettings:
    """What is measured. ``nothing`` are the settings of a run that neither moves nor refines."""

    reconstruct: ReconstructSettings
    frames: int = 9
    runs: int = 1

    @property
    def nothing(self) -> ReconstructSettings:
        own = self.reconstruct
        return dataclasses.replace(own, pipeline="train-base", refine=dataclasses.replace(own.refine, steps=0))


@dataclass(frozen=True)
class FirstFrameCost:
    """Wall seconds from the start of the job until the frame is on disk, and how good it is."""

    seconds: float
    stages: dict[str, float]
    gaussians: int
    scores: dict[str, float]
    gib: float  # most memory in use


@dataclass(frozen=True)
class RunCost:
    """Of one run, means per moved frame but for ``batches``."""

    seconds: float  # wall, from the first batch to the last frame on disk
    batches: tuple[float, ...]  # wall seconds per frame of each batch
    stages: dict[str, float]  # `STAGES`, and of the threads beside them `BESIDE`
    scores: dict[str, float]  # means over the held-out cameras
    gib: float  # most memory in use: of the GPU, of several the one that uses most, or of the process on a CPU
    megabytes: float  # on disk


@dataclass(frozen=True, eq=False)
class FirstMeasured(Event):
    """The first frame is done."""

    cost: FirstFrameCost


@dataclass(frozen=True, eq=False)
class RunMeasured(Event):
    """One run is done."""

    method: str
    cost: RunCost


@dataclass(frozen=True, eq=False)
class SpeedDone(Event):
    """The end: all numbers."""

    first: FirstFrameCost
    runs: dict[str, list[RunCost]] = field(default_factory=dict)  # `FULL` and `NOTHING`
    kernels: KernelTimes | None = None  # of one batch, on a GPU

    @property
    def busy(self) -> float | None:
        """Share of the wall time in which the GPU worked: its time of a watched batch over the wall time of the other runs."""
        return None if self.kernels is None else self.kernels.seconds / self.kernels.frames / self.typical(FULL)

    def typical(self, method: str) -> float:
        """Wall seconds per moved frame: median over the runs."""
        return statistics.median(cost.seconds for cost in self.runs[method])


def bench_speed(
    capture: Capture,
    folder: Path,
    settings: SpeedSettings,
    rasterizer: Rasterizer,
    trace: Path | None = None,
    others: Sequence[Rasterizer] = (),
) -> Iterator[Event]:
    """Yields what the runs say, a `RunMeasured` after each, and last a `SpeedDone`. ``folder`` is for the runs.

    ``others``: of further devices, which refine frames as in `trackersplat.jobs.reconstruct`.

    One batch is made before, so that kernels are compiled. With ``trace``, one more is watched by torch's profiler, its kernels are written
    there, and a second `SpeedDone` has their times.
    """
    first: FirstFrameCost | None = None
    for event in _first_frame(capture, folder / "first", settings.reconstruct, rasterizer):
        first = event.cost if isinstance(event, FirstMeasured) else first
        yield event
    assert first is not None, "a first frame ends with what it cost"
    done = SpeedDone(first)
    one_batch = min(1 + settings.reconstruct.batch, settings.frames)
    moved = functools.partial(_moved, rasterizer=rasterizer, others=others)
    yield from moved(capture, folder, "warm", settings.reconstruct, frames=one_batch)
    for method, how in ((FULL, settings.reconstruct), (NOTHING, settings.nothing)):
        done.runs[method] = []
        for number in range(settings.runs):
            for event in moved(capture, folder, f"run{number + 1}" if method == FULL else "nothing", how, frames=settings.frames):
                if isinstance(event, RunMeasured):
                    event = RunMeasured(method, event.cost)
                    done.runs[method].append(event.cost)
                yield event
    yield done
    if trace is not None:
        with profiled(rasterizer.device, trace, one_batch - 1) as watched:
            yield from moved(capture, folder, "profiled", settings.reconstruct, frames=one_batch)
        yield dataclasses.replace(done, kernels=watched.result)


def _first_frame(capture: Capture, folder: Path, settings: ReconstructSettings, rasterizer: Rasterizer) -> Iterator[Event]:
    run = Run.create(folder, capture, {"settings": settings.to_json(), KEEP: COMPACT})
    _forget_peak(rasterizer.device)
    started, found = time.perf_counter(), None
    for event in reconstruct(capture, run, [0], settings, rasterizer):
        found = event if isinstance(event, FrameDone) else found
        yield event
    assert found is not None, "a frame is reported when it is done"
    seconds = time.perf_counter() - started
    yield FirstMeasured(FirstFrameCost(seconds, dict(found.seconds), found.gaussians, dict(found.scores), _peak(rasterizer.device)))


def _moved(
    capture: Capture,
    folder: Path,
    name: str,
    settings: ReconstructSettings,
    *,
    rasterizer: Rasterizer,
    others: Sequence[Rasterizer],
    frames: int,
) -> Iterator[Event]:
    """Frames 2 to ``frames`` in a copy of the first run, which is removed afterwards; ends with `RunMeasured`."""
    path = folder / name
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(folder / "first", path)
    source = _TimedSource(capture.source)
    run = _TimedRun(path, {**Run.open(path).info, "settings": settings.to_json()})
    device, devices = rasterizer.device, [rasterizer.device, *(other.device for other in others)]
    for used in devices:
        _forget_peak(used)
    starts: list[tuple[int, float]] = []
    done: list[FrameDone] = []
    for event in reconstruct(dataclasses.replace(capture, source=source), run, range(frames), settings, rasterizer, others=others):
        if isinstance(event, Stage) and event.name in ("track", "refine") and (event.frame - 1) % settings.batch == 0:
            if event.frame not in dict(starts):
                _synchronise(device)
                starts.append((event.frame, time.perf_counter()))
        elif isinstance(event, FrameDone):
            done.append(event)
        yield event
    ended = time.perf_counter()
    marks = [*starts, (frames, ended)]
    stages = {stage: statistics.fmean(frame.seconds.get(stage, 0.0) for frame in done) for stage in STAGES}
    stages |= {"decode": source.seconds / len(done), "write": run.seconds / len(done)}
    scores: dict[str, list[float]] = defaultdict(list)
    for frame in done:
        for score, value in frame.scores.items():
            scores[score].append(value)
    cost = RunCost(
        seconds=(ended - starts[0][1]) / len(done),
        batches=tuple((after - at) / (following - frame) for (frame, at), (following, after) in itertools.pairwise(marks)),
        stages=stages,
        scores={score: statistics.fmean(values) for score, values in scores.items()},
        gib=max(map(_peak, devices)),
        megabytes=_megabytes(path / run.pipeline_folder) / len(done),
    )
    shutil.rmtree(path)
    yield RunMeasured(name, cost)


class _TimedSource:
    """Counts the seconds that readers wait for images, in all threads together."""

    def __init__(self, source: FrameSource) -> None:
        self._source, self._lock = source, threading.Lock()
        self.seconds = 0.0

    def read(self, camera: int, frame: int) -> np.ndarray:
        started = time.perf_counter()
        image = self._source.read(camera, frame)
        with self._lock:
            self.seconds += time.perf_counter() - started
        return image

    def prefetch(self, wanted: Iterable[tuple[int, int]]) -> None:
        self._source.prefetch(wanted)

    def close(self) -> None:
        self._source.close()


class _TimedRun(Run):
    """Counts the seconds that its frames are being written."""

    def __init__(self, path: Path, info: dict[str, Any]) -> None:
        super().__init__(path, info)
        self.seconds = 0.0

    def write_frame(
        self, result: FrameResult, done: FrameDone, capture: Capture, images: Hashes | None = None, to_redo: Collection[int] = ()
    ) -> None:
        started = time.perf_counter()
        super().write_frame(result, done, capture, images, to_redo)
        self.seconds += time.perf_counter() - started


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _forget_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def _peak(device: torch.device) -> float:
    """GiB. On a CPU since the process began."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device) / 2**30
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


def _megabytes(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6


def spread(values: Sequence[float]) -> str:
    """The median, and from where to where it goes if there are several."""
    middle = f"{statistics.median(values):.3g}"
    return middle if len(values) == 1 else f"{middle} ({min(values):.3g}-{max(values):.3g})"
