"""A run in another format, and what the format has cost: frames are read back and rendered beside those of the run."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from trackersplat.captures.camera import Camera
from trackersplat.captures.settings import MAX_FPS
from trackersplat.document.document import Document
from trackersplat.document.run_frames import RunFrames
from trackersplat.errors import InputError
from trackersplat.events import Event
from trackersplat.gaussians.exporters.exporter import About, Exported, Exporter, FrameExported, check_target
from trackersplat.gaussians.exporters.registry import EXPORTERS
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.jobs.export_events import ExportStarted, FileDone, FrameCompared, FrameWeighed, FrameWritten, Pruned, Said
from trackersplat.jobs.weighing import WeighingSettings, contribution, kept, most_of_all
from trackersplat.metrics.image import psnr
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.store.run import Run

T = TypeVar("T")
LARGEST_SHARE = 0.5  # that pruning may leave out: beyond, it is no pruning


@dataclass(frozen=True)
class ExportOptions:
    """What of a run is exported, and how. Raises InputError if a value is out of range."""

    format: str = "ply"
    sh_degree: int | None = None  # at most; None: as it is
    prune: float = 0.0  # share of the pictures that the Gaussians left out make together
    frames_per_second: float | None = None  # of formats that know time; None: that of the capture, or else 30
    weighing: WeighingSettings = field(default_factory=WeighingSettings)

    def __post_init__(self) -> None:
        if self.sh_degree is not None and not 0 <= self.sh_degree <= 3:
            raise InputError(f"There are spherical harmonics of degree 0 to 3, not {self.sh_degree}: choose one of them.")
        if not 0 <= self.prune <= LARGEST_SHARE:
            raise InputError(f"--prune is a share of the pictures from 0 to {LARGEST_SHARE}, as 0.01, not {self.prune:g}.")
        if self.frames_per_second is not None and not 0 < self.frames_per_second <= MAX_FPS:
            raise InputError(f"There are more than 0 and at most {MAX_FPS:g} frames per second, not {self.frames_per_second:g}.")


@dataclass(frozen=True)
class ExportSource:
    """Where the Gaussians come from: `of_run`, and nowhere else."""

    run: Run
    frames: tuple[int, ...]  # that can be exported, ascending
    gaussians: Callable[[int], Gaussians]
    ids: Callable[[int], np.ndarray]  # (N,) int64 lineage ids: the same number is the same Gaussian in every frame
    remarks: tuple[str, ...] = ()


def of_run(run: Run, edits: bool = True) -> ExportSource:
    """A run with the edits of its document, or as it was reconstructed.

    Raises InputError if the document is damaged.
    """
    if not edits:
        return ExportSource(run, run.frames(), run.read_frame, RunFrames(run).ids)
    document = Document.open(run)
    played = document.frames
    frames = tuple(sorted(set(played)))
    remarks = list(document.warnings)
    if played != frames:
        remarks.append("The edits play frames in another order or more than once: each is exported once, under its own number.")
    if count := document.history.position:
        are = "edit is" if count == 1 else "edits are"
        remarks.append(f"{count} {are} in effect; --no-edits exports the run as it was reconstructed.")
    return ExportSource(run, frames, document.gaussians, document.ids, tuple(remarks))


def export_run(source: ExportSource, frames: Sequence[int], path: Path, rasterizer: Rasterizer, options: ExportOptions) -> Iterator[Event]:
    """Writes the ``frames`` (indices from 0) to ``path``; the last event is `FileDone`.

    Up to three frames are read back, rendered from up to three cameras of the run, and compared with what the run shows there. The
    comparison is with all Gaussians and their whole harmonics.

    Raises InputError if the format is unknown, lacks a package or cannot hold the frames, or the path cannot be written or is taken.
    """
    facts = EXPORTERS.facts(options.format)
    exporter: Exporter = EXPORTERS.load(options.format)
    if facts.suffix and path.suffix != facts.suffix:
        raise InputError(f"The format {facts.name} is one file: give a name that ends with {facts.suffix} instead of {path.name!r}.")
    check_target(path)
    cameras = source.run.read_cameras()
    about, remarks = _about(source.run, cameras, options)
    yield ExportStarted(len(frames))
    for remark in (*source.remarks, *(remarks if facts.timed else ())):
        yield Said(remark)
    masks: list[torch.Tensor] | None = None
    if options.prune:
        if not cameras:
            raise InputError(f"The run {source.run.path} has no cameras, by which Gaussians are weighed: export it without --prune.")
        found = []
        for done, frame in enumerate(frames, start=1):
            found.append(contribution(source.gaussians(frame), cameras, rasterizer, options.weighing))
            yield FrameWeighed(frame, done)
        masks = [kept(each, options.prune) for each in most_of_all(found)]
        yield _pruned(source, frames, masks, cameras, rasterizer)

    def chosen() -> Iterator[tuple[int, Gaussians]]:
        for place, frame in enumerate(frames):
            gaussians = source.gaussians(frame)
            yield frame, _up_to(gaussians if masks is None else gaussians[masks[place]], options.sh_degree)

    written: Exported | None = None
    for event in exporter.export(chosen(), path, about):
        if isinstance(event, FrameExported):
            yield FrameWritten(event.done)
        elif isinstance(event, Exported):
            written = event
    if written is None:
        raise RuntimeError(f"the exporter {facts.name} did not say what it has written")
    if not cameras:
        yield Said("nothing is compared: the run has no cameras.json that says from where")
    else:
        for frame in spread(written.frames):
            back = exporter.read(path, frame, written.frames.index(frame), about)
            yield FrameCompared(frame, _likeness(back, source.gaussians(frame), spread(cameras), rasterizer))
    yield FileDone(written.path, len(written.frames), written.bytes)


def _about(run: Run, cameras: tuple[Camera, ...], options: ExportOptions) -> tuple[About, list[str]]:
    """What a format may say of the run, and what is assumed."""
    described = run.info.get("capture")
    described = described if isinstance(described, dict) else {}
    name, rate = described.get("name"), options.frames_per_second or described.get("fps")
    told = float(rate) if isinstance(rate, (int, float)) and 0 < rate <= MAX_FPS else None
    remarks = [] if told is not None else ["The run does not say its frame rate: 30 frames per second are assumed; --fps gives another."]
    shown = name if isinstance(name, str) and name else run.name
    return About(shown, cameras, 30.0 if told is None else told, "imported" in run.info), remarks


def _pruned(
    source: ExportSource, frames: Sequence[int], masks: Sequence[torch.Tensor], cameras: Sequence[Camera], rasterizer: Rasterizer
) -> Pruned:
    worst = math.inf
    for place in spread(range(len(frames))):
        own = source.gaussians(frames[place])
        worst = min(worst, _likeness(own[masks[place]], own, spread(cameras), rasterizer))
    fewest = max(masks, key=lambda mask: int((~mask).sum()))
    return Pruned(int((~fewest).sum()), len(fewest), worst)


def _up_to(gaussians: Gaussians, degree: int | None) -> Gaussians:
    """With the harmonics up to this degree."""
    return gaussians if degree is None else replace(gaussians, sh=gaussians.sh[:, : (degree + 1) ** 2].contiguous())


def spread(items: Sequence[T]) -> list[T]:
    """The first, the middle and the last."""
    return [items[index] for index in sorted({0, len(items) // 2, len(items) - 1})] if items else []


@torch.no_grad()
def _likeness(back: Gaussians, own: Gaussians, cameras: Sequence[Camera], rasterizer: Rasterizer) -> float:
    pictures = [
        torch.cat([rasterizer.render(gaussians.to(rasterizer.device), [camera]).color.reshape(-1, 3) for camera in cameras])
        for gaussians in (back, own)
    ]
    return psnr(pictures[0], pictures[1])
