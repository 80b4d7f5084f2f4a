"""A run in another format, and what the format has cost: frames are read back and rendered beside those of the run."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypeVar

import torch

from trackersplat.captures.camera import Camera
from trackersplat.errors import InputError
from trackersplat.events import Event, Note
from trackersplat.gaussians.exporters.exporter import Exported
from trackersplat.gaussians.exporters.registry import EXPORTERS
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.metrics.image import psnr
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.store.run import Run

T = TypeVar("T")


class ReadBack(Protocol):
    """Reads one frame of an export: its number (index from 0) and its place in the order of the export."""

    def __call__(self, path: Path, frame: int, place: int) -> Gaussians: ...


@dataclass(frozen=True)
class FrameCompared(Event):
    """A frame was read back and compared with the run's."""

    frame: int  # index from 0
    psnr: float  # dB of the read frame's picture against the run's, all cameras together; inf if they are equal


@dataclass(frozen=True)
class ExportDone(Event):
    """The last event of `export_run`."""

    exported: Exported
    compared: tuple[FrameCompared, ...]  # none where a Note says why


def export_run(
    run: Run, frames: Sequence[int], path: Path, rasterizer: Rasterizer, *, format: str = "ply", sh_degree: int | None = None
) -> Iterator[Event]:
    """Writes the ``frames`` (indices from 0) of the run to ``path``, at most with spherical harmonics up to ``sh_degree``.

    Up to three frames are read back, rendered from up to three cameras of the run, and compared with what the run shows there. The
    comparison is with the whole of the run's harmonics.

    Raises InputError if the format is unknown, lacks a package or cannot hold the frames, or the path cannot be written or is taken.
    """
    facts = EXPORTERS.facts(format)
    export = EXPORTERS.load(format)
    if facts.suffix and path.suffix != facts.suffix:
        raise InputError(f"The format {format} is one file: give a name that ends with {facts.suffix} instead of {path.name!r}.")
    if sh_degree is not None and not 0 <= sh_degree <= 3:
        raise InputError(f"There are spherical harmonics of degree 0 to 3, not {sh_degree}: choose one of them.")
    cameras = run.read_cameras()
    done: Exported | None = None
    for event in export(((frame, _up_to(run.read_frame(frame), sh_degree)) for frame in frames), path):
        if isinstance(event, Exported):
            done = event
        yield event
    if done is None:
        raise RuntimeError(f"the exporter {format} did not say what it has written")
    compared: list[FrameCompared] = []
    if not cameras:
        yield Note(frames[0], "nothing is compared: the run has no cameras.json that says from where")
    else:
        module, _, attribute = facts.read.partition(":")
        read_back: ReadBack = getattr(importlib.import_module(module), attribute)
        for frame in _spread(done.frames):
            back = read_back(path, frame, done.frames.index(frame))
            compared.append(FrameCompared(frame, _likeness(back, run.read_frame(frame), _spread(cameras), rasterizer)))
            yield compared[-1]
    yield ExportDone(done, tuple(compared))


def _up_to(gaussians: Gaussians, degree: int | None) -> Gaussians:
    """With the harmonics up to this degree."""
    return gaussians if degree is None else replace(gaussians, sh=gaussians.sh[:, : (degree + 1) ** 2].contiguous())


def _spread(items: Sequence[T]) -> list[T]:
    """The first, the middle and the last."""
    return [items[index] for index in sorted({0, len(items) // 2, len(items) - 1})] if items else []


@torch.no_grad()
def _likeness(back: Gaussians, own: Gaussians, cameras: Sequence[Camera], rasterizer: Rasterizer) -> float:
    pictures = [
        torch.cat([rasterizer.render(gaussians.to(rasterizer.device), [camera]).color.reshape(-1, 3) for camera in cameras])
        for gaussians in (back, own)
    ]
    return psnr(pictures[0], pictures[1])
