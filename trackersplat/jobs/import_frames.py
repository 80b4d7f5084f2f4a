"""Files of Gaussians of others as a run, so that they can be looked at, edited, rendered and exported."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from trackersplat.captures.formats.cameras_json import write_rig
from trackersplat.captures.layouts.imported import MADE, RIG, imported_capture
from trackersplat.captures.media.video import FALLBACK_FPS
from trackersplat.captures.settings import MAX_FPS
from trackersplat.captures.units import with_units_of_the_rig
from trackersplat.errors import InputError
from trackersplat.events import Event
from trackersplat.files import atomic_folder, size_of
from trackersplat.gaussians.around import UPS, cameras_around
from trackersplat.gaussians.exporters.exporter import check_target
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.gaussians.lineage import Lineage
from trackersplat.jobs.export_events import FileDone, FrameWritten, Said
from trackersplat.jobs.import_sources import ImportSource, open_source
from trackersplat.jobs.reconstruct import frame_done
from trackersplat.pipelines.pipeline import ChainState, FrameResult
from trackersplat.store.run import Run

TRACKER = "imported"  # in the place of a tracker's name, in settings and folders
RUN_SETTINGS = {"pipeline": "base-propagate", "tracker": TRACKER}


@dataclass(frozen=True)
class ImportSettings:
    """How frames of others are taken. Raises InputError if a value is out of range."""

    same: Literal["auto", "yes", "no"] = "auto"  # whether all frames hold the same Gaussians, row by row; auto: `same_gaussians` decides
    near: float = 0.1  # median distance of a Gaussian from its row in the frame before, over that from any other row
    frames_per_second: float | None = None  # None: what the file says, or else 30
    cameras: int = 8  # of the made rig
    up: str = "-y"  # of `gaussians.around.UPS`: which direction of the scene is up

    def __post_init__(self) -> None:
        if self.frames_per_second is not None and not 0 < self.frames_per_second <= MAX_FPS:
            raise InputError(f"There are more than 0 and at most {MAX_FPS:g} frames per second, not {self.frames_per_second:g}.")
        if self.up not in UPS:
            raise InputError(f"--up is one of {', '.join(UPS)}, not {self.up!r}.")


def import_frames(path: Path, out: Path, settings: ImportSettings) -> Iterator[Event]:
    """Writes the run ``out``; it appears complete or not at all. The last event is `FileDone`.

    ``path``: a file, a folder or an archive of numbered files, or a .4dgs file. Raises InputError if a file cannot be read, or there is
    something at ``out``.
    """
    check_target(out)
    with atomic_folder(out) as folder, _scratch(out) as scratch:
        source = open_source(path, scratch)
        yield Said(MADE)
        rate = settings.frames_per_second or source.frames_per_second
        if rate is None or not 0 < rate <= MAX_FPS:
            rate = FALLBACK_FPS
            if len(source.names) > 1:
                yield Said(f"{path.name} does not say its frame rate: {rate:g} frames per second are assumed; --fps gives another.")
        job = _Import(folder, out.name, source, settings, rate)
        try:
            yield from job.write()
        except _Other as reason:  # what was written so far was written as of the same Gaussians
            yield Said(str(reason))
            for child in folder.iterdir():
                shutil.rmtree(child) if child.is_dir() else child.unlink()
            yield from job.write(same=False)
    yield FileDone(str(out), len(source.names), size_of(out))


@contextmanager
def _scratch(out: Path) -> Iterator[Path]:
    """A folder beside ``out`` that may be made; it is removed, also what a killed import of the same run has left there."""
    scratch = out.with_name(f".{out.name}.unpacked")
    try:
        shutil.rmtree(scratch, ignore_errors=True)
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


class _Other(Exception):
    """Rows of two frames are not the same Gaussians; says why."""


@dataclass(frozen=True, eq=False)
class _Import:
    """Writes the frames of a source into the folder of a run."""

    folder: Path
    name: str  # of the run
    source: ImportSource
    settings: ImportSettings
    frames_per_second: float

    def write(self, same: bool = True) -> Iterator[Event]:
        """``same``: as the same Gaussians in all frames, unless settings or source say otherwise. Each frame is read once.

        Raises `_Other` if the settings leave it open, and a frame does not fit the one before.
        """
        source, told = self.source, self.settings.same
        known = {"yes": True, "no": False, "auto": source.same}[told]
        one = same if known is None else known
        now, found = source.read(0)
        cameras = cameras_around(now, self.settings.cameras, self.settings.up)
        made = imported_capture(self.folder, self.name, cameras, len(source.names), self.frames_per_second)
        capture = with_units_of_the_rig(made)
        facts = {"files": list(source.names), "same": one}
        run = Run.create(self.folder, capture, {"settings": RUN_SETTINGS, "imported": facts})
        write_rig(self.folder / RIG, cameras, len(source.names), self.frames_per_second)
        lineage = Lineage.of_first_frame(0, len(now))
        remarks: dict[str, None] = {}
        worst, before = 0.0, now
        for frame in range(len(source.names)):
            if frame:
                now, found = source.read(frame)
            remarks |= dict.fromkeys(found)
            if frame and one and known is None:
                worst = max(worst, self._compared(frame, before, now))
            if frame and not one:
                lineage = Lineage.of_first_frame(frame, len(now))
            elif len(now) != len(lineage.born):
                first = f"the first frame {len(lineage.born):,}"
                raise InputError(f"{source.names[frame]} has {len(now):,} Gaussians, {first}: --same no takes them.")
            state = ChainState(frame, now, lineage)
            result = FrameResult(state, 0 if one and frame else None, None, torch.zeros(0, dtype=torch.long), 0, {}, {}, {})
            run.write_frame(result, frame_done(result, capture), capture)
            before = now
            yield FrameWritten(frame + 1)
        if one and known is None and len(source.names) > 1:
            yield Said(
                f"All frames have {len(before):,} Gaussians, and rows stay near their place (within {worst:.3f} of the distance to any "
                "other row): they are taken as the same Gaussians, moved; --same no takes each frame as a scene of its own."
            )
        for remark in remarks:
            yield Said(remark)

    def _compared(self, frame: int, before: Gaussians, now: Gaussians) -> float:
        """How far rows are from their place in the frame before (`_apart`). Raises `_Other` if they are other Gaussians."""
        earlier, later = self.source.names[frame - 1], self.source.names[frame]
        if len(now) != len(before) or now.sh_degree != before.sh_degree:
            what = "numbers of Gaussians" if len(now) != len(before) else "degrees of harmonics"
            raise _Other(f"{earlier} and {later} have different {what}: each frame is taken as a scene of its own.")
        apart = _apart(before, now)
        if apart > self.settings.near:
            raise _Other(
                f"Frames have {len(now):,} Gaussians, but from {earlier} to {later} rows lie elsewhere ({apart:.2f} of the distance to any "
                "other row): each frame is taken as a scene of its own; --same yes takes them as the same Gaussians."
            )
        return apart


def _apart(before: Gaussians, now: Gaussians) -> float:
    """How far rows are from their place, beyond a common shift, over how far any two rows are from each other; both as medians."""
    moved = now.means - before.means
    moved = moved - moved.median(dim=0).values
    order = torch.randperm(len(now), generator=torch.Generator().manual_seed(0))
    others = (now.means[order] - now.means).norm(dim=1)
    between = float(others[others > 0].median()) if bool((others > 0).any()) else 0.0
    return float(moved.norm(dim=1).median()) / between if between > 0 else 0.0
