"""Files of Gaussians of others as a run, so that they can be looked at, edited, rendered and exported."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

import torch

from trackersplat.captures.formats.cameras_json import write_rig
from trackersplat.captures.layouts.imported import MADE, RIG, imported_capture
from trackersplat.captures.settings import MAX_FPS
from trackersplat.captures.units import with_units_of_the_rig
from trackersplat.errors import InputError
from trackersplat.events import Event
from trackersplat.files import atomic_folder, size_of
from trackersplat.gaussians.around import UPS, cameras_around
from trackersplat.gaussians.exporters.exporter import check_target
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.gaussians.lineage import Lineage
from trackersplat.gaussians.readers.reader import read_gaussians
from trackersplat.gaussians.readers.registry import READERS
from trackersplat.jobs.export_events import FileDone, FrameWritten, Said
from trackersplat.jobs.reconstruct import frame_done
from trackersplat.pipelines.pipeline import ChainState, FrameResult
from trackersplat.store.run import Run

TRACKER = "imported"  # in the place of a tracker's name, in settings and folders
MOST_FILES = 100_000
_NUMBER = re.compile(r"(\d{1,12})\D*$")


@dataclass(frozen=True)
class ImportSettings:
    """How frames of others are taken. Raises InputError if a value is out of range."""

    same: Literal["auto", "yes", "no"] = "auto"  # whether all frames hold the same Gaussians, row by row; auto: `same_gaussians` decides
    near: float = 0.1  # median distance of a Gaussian from its row in the frame before, over that from any other row
    frames_per_second: float = 30.0
    cameras: int = 8  # of the made rig
    up: str = "-y"  # of `gaussians.around.UPS`: which direction of the scene is up

    def __post_init__(self) -> None:
        if not 0 < self.frames_per_second <= MAX_FPS:
            raise InputError(f"There are more than 0 and at most {MAX_FPS:g} frames per second, not {self.frames_per_second:g}.")
        if self.up not in UPS:
            raise InputError(f"--up is one of {', '.join(UPS)}, not {self.up!r}.")


def find_files(path: Path) -> list[Path]:
    """The file, or those of a folder in the order of the last number in their names, all of one format.

    Raises InputError if there are none, formats are mixed, or the order is not clear.
    """
    if not path.is_dir():
        return [path]
    suffixes = {facts.suffix for facts in READERS}
    try:
        files = sorted(child for child in path.iterdir() if child.suffix.lower() in suffixes and not child.name.startswith("."))
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): check the folder and its permissions.") from error
    if not 0 < len(files) <= MOST_FILES:
        expected = f"expected 1 to {MOST_FILES:,} with one of the endings {', '.join(sorted(suffixes))}"
        raise InputError(f"{path} has {len(files):,} files of Gaussians: {expected}.")
    kinds = sorted({file.suffix.lower() for file in files})
    if len(kinds) > 1:
        raise InputError(f"{path} has files of several formats ({', '.join(kinds)}): leave those of one in the folder.")
    if len(files) == 1:
        return files
    numbers: dict[int, Path] = {}
    for file in files:
        found = _NUMBER.search(file.name[: -len(file.suffix)])
        if found is None:
            raise InputError(f"{file} has no number in its name, which would order the frames: number the files, as frame00001.ply.")
        if (other := numbers.setdefault(int(found[1]), file)) is not file:
            raise InputError(f"{other.name} and {file.name} in {path} have the same number: every frame needs its own.")
    return [numbers[number] for number in sorted(numbers)]


def import_frames(path: Path, out: Path, settings: ImportSettings) -> Iterator[Event]:
    """Writes the run ``out``; it appears complete or not at all. The last event is `FileDone`.

    Raises InputError if a file cannot be read, or there is something at ``out``.
    """
    files = find_files(path)
    check_target(out)
    first = read_gaussians(files[0]).gaussians
    cameras = cameras_around(first, settings.cameras, settings.up)
    capture = imported_capture(out, out.name, cameras, len(files), settings.frames_per_second)
    capture = with_units_of_the_rig(capture)
    yield Said(MADE)
    one, why = same_gaussians(files, settings) if settings.same == "auto" else (settings.same == "yes", "")
    if why:
        yield Said(why)
    run_settings = {"pipeline": "base-propagate", "tracker": TRACKER}
    remarks: dict[str, None] = {}
    with atomic_folder(out) as folder:
        run = Run.create(folder, capture, {"settings": run_settings, "imported": {"files": [file.name for file in files], "same": one}})
        write_rig(folder / RIG, cameras, len(files), settings.frames_per_second)
        lineage: Lineage | None = None
        for frame, file in enumerate(files):
            read = read_gaussians(file)
            remarks |= dict.fromkeys(read.remarks)
            base = 0 if one and frame else None
            if base is None or lineage is None:
                lineage = Lineage.of_first_frame(frame, len(read.gaussians))
            elif len(read.gaussians) != len(lineage.born):
                raise InputError(
                    f"{file} has {len(read.gaussians):,} Gaussians, the first frame {len(lineage.born):,}: --same no takes them."
                )
            state = ChainState(frame, read.gaussians, lineage)
            result = FrameResult(state, base, None, torch.zeros(0, dtype=torch.long), 0, {}, {}, {})
            run.write_frame(result, frame_done(result, capture), capture)
            yield FrameWritten(frame + 1)
    for remark in remarks:
        yield Said(remark)
    yield FileDone(str(out), len(files), size_of(out))


def same_gaussians(files: Sequence[Path], settings: ImportSettings) -> tuple[bool, str]:
    """Whether rows of the files are the same Gaussians through time, and a sentence that says so, with the reason."""
    if len(files) == 1:
        return True, ""
    worst, before = 0.0, read_gaussians(files[0]).gaussians
    for earlier, later in pairwise(files):
        now = read_gaussians(later).gaussians
        if len(now) != len(before) or now.sh_degree != before.sh_degree:
            what = "numbers of Gaussians" if len(now) != len(before) else "degrees of harmonics"
            return False, f"{earlier.name} and {later.name} have different {what}: each frame is taken as a scene of its own."
        worst = max(worst, _apart(before, now))
        if worst > settings.near:
            return False, (
                f"All files have {len(now):,} Gaussians, but from {earlier.name} to {later.name} rows lie elsewhere ({worst:.2f} of the "
                "distance to any other row): each frame is taken as a scene of its own; --same yes takes them as the same Gaussians."
            )
        before = now
    return True, (
        f"All files have {len(before):,} Gaussians, and rows stay near their place (within {worst:.3f} of the distance to any other row): "
        "they are taken as the same Gaussians, moved; --same no takes each frame as a scene of its own."
    )


def _apart(before: Gaussians, now: Gaussians) -> float:
    """How far rows are from their place, beyond a common shift, over how far any two rows are from each other; both as medians."""
    moved = now.means - before.means
    moved = moved - moved.median(dim=0).values
    order = torch.randperm(len(now), generator=torch.Generator().manual_seed(0))
    others = (now.means[order] - now.means).norm(dim=1)
    between = float(others[others > 0].median()) if bool((others > 0).any()) else 0.0
    return float(moved.norm(dim=1).median()) / between if between > 0 else 0.0
