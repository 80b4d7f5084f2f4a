"""The runs of the capture on the page: found on disk, opened once, shown through the store."""

from __future__ import annotations

import contextlib
import glob
import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from trackersplat.captures.capture import Capture
from trackersplat.captures.demo import is_demo_run
from trackersplat.errors import InputError
from trackersplat.events import FrameDone
from trackersplat.words import counted
from viewer.plan import why_fixed
from viewer.state import Store

if TYPE_CHECKING:
    from trackersplat.store.lineage import RunLineage
    from trackersplat.store.run import Run

# Tells one run.json from another: inode, time of change in ns, bytes. None if a run has none (runs of other programs).
_Stamp = tuple[int, int, int] | None


@dataclass(frozen=True)
class RunFacts:
    """What helps to choose a run."""

    path: Path
    frames: tuple[int, ...]
    psnr: float | None  # mean over its frames of the held-out PSNR, dB
    changed: datetime | None  # when its newest frame was written
    remark: str  # why it cannot be read or continued; "" if it can

    def title(self) -> str:
        count = len(self.frames)
        parts = [counted(count, "frame")]
        parts += [] if self.psnr is None else [f"{self.psnr:.2f} dB"]
        parts += [] if self.changed is None else [f"{self.changed:%Y-%m-%d}\N{NO-BREAK SPACE}{self.changed:%H:%M}"]
        return f"{self.path.name}: {', '.join(parts)}"


class Runs:
    """Keeps one `Run` per folder, so that its index is read once and later only what is new. Thread-safe."""

    def __init__(self, capture: Capture, store: Store, out: Path | None = None) -> None:
        """``out``: the run that the user asked for; None to search where runs of this capture usually are."""
        self._capture = capture
        self._store = store
        self._out = out
        self._opened: dict[Path, tuple[Run, _Stamp]] = {}
        self._lock = threading.RLock()

    def find(self) -> bool:
        """Says where results go and shows the run with the most frames, rather a person's own than that of the program.

        False if there is none to show.
        """
        from trackersplat.store.find import default_out, find_runs

        self._store.set(out=self._out if self._out is not None else default_out(self._capture))
        try:
            found = find_runs(self._capture, self._out)
        except InputError as error:
            self._store.problem("run", str(error))
            return False
        found += [path for path in self._beside() if path not in found]
        self._store.set(runs=tuple(found))
        return any(self.show(path) for path in sorted(found, key=lambda path: (-self._frames_of(path), is_demo_run(path))))

    def _beside(self) -> list[Path]:
        """Runs of this capture in folders that are called like the one for results, with an ending, as the page makes them."""
        from trackersplat.store.find import find_runs

        out = self._store.shared.out
        assert out is not None
        found = []
        for path in sorted(out.parent.glob(f"{glob.escape(out.name)}-*")):
            with contextlib.suppress(InputError):  # somebody else's folder
                if find_runs(self._capture, path) and self.get(path).frames():
                    found.append(path)
        return found

    def know(self, path: Path) -> None:
        """Adds a run to those that can be chosen."""
        shared = self._store.shared
        if path not in shared.runs:
            self._store.set(runs=(*shared.runs, path))

    def facts(self, path: Path) -> RunFacts:
        """What helps to choose a run. It never fails: what cannot be read is said in the remark."""
        try:
            with self._lock:
                run = self._refresh(path)
                frames, records = run.frames(), run.records()
                remark = why_fixed(run) or ""
        except InputError as error:
            return RunFacts(path, (), None, None, str(error))
        scores = [done.scores["psnr"] for done in records.values() if math.isfinite(done.scores.get("psnr", math.nan))]
        return RunFacts(path, frames, sum(scores) / len(scores) if scores else None, _changed_at(path), remark)

    def camera_scores(self, path: Path, score: str) -> dict[str, dict[int, float]]:
        """Camera -> frame -> value of one score, as ``psnr``. Raises InputError."""
        found: dict[str, dict[int, float]] = {}
        with self._lock:
            run = self.get(path)
            for frame in run.frames():
                record = run.record(frame)
                for camera, value in (record.scores.get(score, {}) if record is not None else {}).items():
                    if math.isfinite(value):
                        found.setdefault(camera, {})[frame] = value
        return found

    def _frames_of(self, path: Path) -> int:
        """How many frames the run at ``path`` has; 0 if it cannot be read, which is said when it is shown."""
        try:
            return len(self.get(path).frames())
        except InputError:
            return 0

    def show(self, path: Path) -> bool:
        """Shows a run as it is on disk now. False if it has no frame yet or cannot be read (then a message says why)."""
        try:
            with self._lock:
                run = self._refresh(path)
                frames = tuple(frame for frame in run.frames() if frame < self._capture.frame_count)
                records = run.records()
        except InputError as error:
            self._store.problem("run", str(error))
            return False
        self._store.problem("run", None)
        if not frames:
            return False
        shared = self._store.shared
        runs = shared.runs if path in shared.runs else (*shared.runs, path)
        self._store.set(runs=runs, run=path, reconstructed=frames, records=dict(records), revision=shared.revision + 1)
        return True

    def records(self, path: Path) -> Mapping[int, FrameDone]:
        """What was reported of each frame of the run at ``path``. Raises InputError."""
        with self._lock:
            return self._refresh(path).records()

    def get(self, path: Path) -> Run:
        """The run at ``path`` as last shown; opened if it was not. Raises InputError if there is none."""
        with self._lock:
            known = self._opened.get(path)
            return known[0] if known is not None else self._open(path)

    def refreshed(self, path: Path) -> Run:
        """The run at ``path`` as it is on disk now. Raises InputError if there is none."""
        with self._lock:
            return self._refresh(path)

    def lineage(self, path: Path) -> RunLineage:
        """Which frames of the run at ``path`` hold the same Gaussians. Raises InputError if there is no run."""
        with self._lock:
            return self.get(path).lineage()

    def _open(self, path: Path) -> Run:
        from trackersplat.store.run import Run

        stamp = _stamp(path)  # before it is read: a change in between opens the run once more
        run = Run.open(path)
        self._check_capture(run)
        self._opened[path] = (run, stamp)
        return run

    def _refresh(self, path: Path) -> Run:
        run, stamp = self._opened.pop(path, (None, None))  # not kept if it cannot be read any more
        if run is None or stamp != _stamp(path):  # a folder that was removed and filled again holds another run
            return self._open(path)
        run.refresh()
        self._opened[path] = (run, stamp)
        return run

    def _check_capture(self, run: Run) -> None:
        """Raises InputError if the run is, as far as it says, of another capture. Runs of other programs say nothing."""
        difference = run.difference(self._capture)
        if difference is not None:
            from trackersplat.store.identity import not_of

            raise InputError(f"{not_of(run.path, run.info.get('capture'), self._capture)}: {difference}; choose another folder with --out.")


def _changed_at(path: Path) -> datetime | None:
    times = []
    for name in ("run.json", "metrics.csv"):
        with contextlib.suppress(OSError):  # runs of other programs have neither
            times.append((path / name).stat().st_mtime)
    return datetime.fromtimestamp(max(times)) if times else None


def _stamp(path: Path) -> _Stamp:
    try:
        status = (path / "run.json").stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
