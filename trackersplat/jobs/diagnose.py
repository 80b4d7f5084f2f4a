"""From a run on disk to a diagnosis of its tracks, or of tracks from a file."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from trackersplat.captures.capture import Capture
from trackersplat.diagnosis.chain import chained_tracks
from trackersplat.diagnosis.diagnose import diagnose_tracks
from trackersplat.diagnosis.settings import DiagnosisSettings
from trackersplat.diagnosis.tracked import Scene, TrackTable
from trackersplat.errors import InputError
from trackersplat.events import Event
from trackersplat.jobs.run_tracks import run_tracks
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.rendering.registry import choose_rasterizer
from trackersplat.store.run import Run


def diagnose(
    run: Run,
    capture: Capture,
    frames: Sequence[int] | None = None,
    rasterizer: Rasterizer | None = None,
    settings: DiagnosisSettings | None = None,
    *,
    table: TrackTable | None = None,
) -> Iterator[Event]:
    """Yields a `FrameExamined` per frame and last a `DiagnosisDone`.

    ``frames``: indices from 0; all of the run if absent. ``table``: tracks to diagnose instead of the run's own. A run that keeps none gets
    tracks on a grid, made by the tracker of the settings alone.

    Raises InputError if the run is not of this capture, or there are no tracks.
    """
    difference = run.difference(capture)
    if difference is not None:
        raise InputError(f"{run.path} is not a run of {capture.name}: {difference}. Give its own capture with --capture.")
    chosen = _chosen(run, frames)
    device = rasterizer or choose_rasterizer()
    how = settings or DiagnosisSettings()
    tracks = run_tracks(run, chosen) if table is None else table
    if table is None and not len(tracks):
        tracks = chained_tracks(capture, capture.training_cameras, chosen, device.device, how)
    common = tuple(frame for frame in tracks.frames if frame in chosen)
    if not common or not len(tracks):
        raise InputError(f"There are no tracks in the chosen frames of {run.path}: choose others, or give a file with --tracks.")
    yield from diagnose_tracks(tracks.at(common), scene_of(run, capture), device, how)


def key_of(run: Run, settings: DiagnosisSettings) -> str:
    """Changes when a frame of the run or a setting does, but not when records gain a field that those of this run do not have."""
    records = sorted((frame, chosen_values(record)) for frame, record in run.records().items())
    return hashlib.sha256(repr((settings, run.frames(), records)).encode()).hexdigest()[:16]


def chosen_values(record: Any) -> dict[str, Any]:
    """The fields of a dataclass that are not their defaults."""

    def default_of(field: dataclasses.Field[Any]) -> Any:
        return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()

    values = {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
    chosen = {field.name: values[field.name] for field in dataclasses.fields(record) if values[field.name] != default_of(field)}
    return {name: chosen_values(value) if dataclasses.is_dataclass(value) else value for name, value in chosen.items()}


def scene_of(run: Run, capture: Capture) -> Scene:
    """What the run knows about its Gaussians."""
    lineage = run.lineage()
    counts = {frame: done.gaussians for frame, done in run.records().items()}

    def kept(frame: int, earlier: int) -> Tensor | None:
        now, before = lineage.of(frame), lineage.of(earlier)
        if now is not None and before is not None:
            return now.ids == before.ids if len(now.born) == len(before.born) else None
        count = counts.get(frame) or len(run.read_frame(frame))
        # Runs of other programs have no lineage; theirs keep all Gaussians as long as the number stays.
        same = count == (counts.get(earlier) or len(run.read_frame(earlier)))
        return torch.ones(count, dtype=torch.bool) if same else None

    return Scene(capture, run.read_frame, kept)


def _chosen(run: Run, frames: Sequence[int] | None) -> tuple[int, ...]:
    there = run.frames()
    chosen = there if frames is None else tuple(frame for frame in sorted(set(frames)) if frame in there)
    if not chosen:
        raise InputError(f"{run.path} holds none of the chosen frames: reconstruct them first.")
    return chosen
