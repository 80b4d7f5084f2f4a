"""Where the moving Gaussians of a run are in all its frames: what their trails are drawn from."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trackersplat.errors import InputError
from viewer.frame_cache import FrameCache
from viewer.runs import Runs
from viewer.state import Store

MOST = 400  # Gaussians
CELL = 0.03  # of the scene's extent
SAMPLED = 6  # frames that decide what moves
VISIBLE_OPACITY = 0.3
STATIC = 0.004  # of the scene's extent; what moves less has no path

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Paths:
    """Positions of chosen Gaussians in all frames of a run; nan where a frame is not reconstructed or another Gaussian had the index."""

    indices: np.ndarray  # (M,) of the run's Gaussians
    positions: np.ndarray  # (F, M, 3) float32, one per frame of the capture
    fastest: float  # scene units per frame: the end of the scale of speeds


def choose(means: np.ndarray, opacity: np.ndarray, extent: float, most: int = MOST) -> np.ndarray:
    """Indices of the Gaussians worth a trail. ``means``: (S, N, 3) in some frames, nan where it is not there yet; ``opacity``: (N,).

    They moved more than STATIC and can be seen. If there are too many, space decides: from every cell of a grid first the
    one that moved most, then the next, so that a large fast object does not take all.
    """
    start = np.take_along_axis(means, np.isfinite(means).all(axis=2).argmax(axis=0)[None, :, None], axis=0)[0]
    way = np.nan_to_num(np.linalg.norm(means - start, axis=2)).max(axis=0)
    movers = np.flatnonzero((way > STATIC * extent) & (opacity > VISIBLE_OPACITY))
    if len(movers) <= most:
        return movers
    cells = np.unique(np.floor(start[movers] / (CELL * extent)).astype(np.int64), axis=0, return_inverse=True)[1].ravel()
    order = np.lexsort((-way[movers], cells))
    starts = np.flatnonzero(np.diff(cells[order], prepend=-1))
    rank = np.empty(len(movers), np.int64)  # within the cell
    rank[order] = np.arange(len(movers)) - np.repeat(starts, np.diff(starts, append=len(movers)))
    return np.sort(movers[np.lexsort((-way[movers], rank))[:most]])


class GaussianPaths:
    """Keeps the paths of the run on the screen; reads them in the background once a tab shows them.

    They are announced by `Shared.paths`.
    """

    def __init__(self, store: Store, runs: Runs, frame_cache: FrameCache, extent: float) -> None:
        self._store = store
        self._runs = runs
        self._frame_cache = frame_cache
        self._extent = extent
        # Run and frames, and the paths in them; replaced as one, so that nobody sees the paths of another run.
        self._loaded: tuple[Path | None, tuple[int, ...], Paths | None] = (None, (), None)
        self._wake = threading.Event()
        self._closed = False
        store.subscribe(self._on_change)
        threading.Thread(target=self._run, name="gaussian paths", daemon=True).start()

    def close(self) -> None:
        self._closed = True
        self._wake.set()

    def get(self) -> Paths | None:
        """Of the run on the screen as it is now; None if they are not read yet, or nothing moves."""
        run, frames, paths = self._loaded
        shared = self._store.shared
        return paths if (run, frames) == (shared.run, shared.reconstructed) else None

    def is_read(self) -> bool:
        """Whether what `get` says is final for the run as it is now."""
        shared = self._store.shared
        return self._loaded[:2] == (shared.run, shared.reconstructed)

    def _on_change(self, tab: str | None, changed: frozenset[str]) -> None:
        if changed & {"run", "reconstructed", "ready", "show_trails", "trails_of"}:
            self._wake.set()

    def _wanted(self) -> bool:
        for tab in self._store.tabs():
            try:
                view = self._store.view(tab)
            except KeyError:
                continue  # closed in the meantime
            if view.show_trails and view.trails_of == "gaussians":
                return True
        return False

    def _run(self) -> None:
        while not self._closed:
            self._wake.wait()
            self._wake.clear()
            shared = self._store.shared
            if not shared.ready or not self._wanted() or self.is_read():
                continue
            found: Paths | None = None
            try:
                found = self._load(shared.run, shared.reconstructed, shared.frame_count)
                self._store.problem("trails", None)
            except InputError as error:
                self._store.problem("trails", str(error))
            except Exception as error:
                log.exception("the paths of the Gaussians could not be read")
                self._store.problem("trails", f"The trails could not be drawn ({type(error).__name__}: {error}).")
            self._loaded = (shared.run, shared.reconstructed, found)
            self._store.set(paths=self._store.shared.paths + 1)

    def _load(self, run: Path | None, reconstructed: tuple[int, ...], frame_count: int) -> Paths | None:
        """Reads all frames once; None if nothing moves."""
        if run is None or len(reconstructed) < 2:
            return None
        lineage = self._runs.lineage(run)
        frames = tuple(frame for frame in lineage.frames_of_one_origin() if frame in reconstructed)
        if len(frames) < 2:
            return None
        some = sorted({frames[round(i)] for i in np.linspace(0, len(frames) - 1, SAMPLED)})
        first, last = (self._frame_cache.frame(run, frame) for frame in (some[0], some[-1]))
        # Of the Gaussians that had one index after another, the last has the path: those before were replaced for being faint.
        newest = lineage.since(frames[-1])  # None in a run without records: then all are taken for the same

        def means(frame: int) -> np.ndarray | None:
            found = self._frame_cache.frame(run, frame).means.numpy()
            if len(found) != len(first):
                return None  # a run without records, of frames that were not moved from each other
            since = lineage.since(frame)
            return found if since is None or newest is None else np.where((since == newest)[:, None], found, np.nan)

        opacity = first.opacities.numpy()
        if newest is not None and len(newest) == len(last) == len(first):
            opacity = np.where(newest < 0, opacity, last.opacities.numpy())
        indices = choose(np.stack([found for frame in some if (found := means(frame)) is not None]), opacity, self._extent)
        if not len(indices):
            return None
        positions = np.full((frame_count, len(indices), 3), np.nan, np.float32)
        for frame in frames:
            if (found := means(frame)) is not None:
                positions[frame] = found[indices]
        steps = np.linalg.norm(np.diff(positions, axis=0), axis=2)
        finite = steps[np.isfinite(steps)]
        fastest = float(np.percentile(finite, 98)) if len(finite) else 1.0
        return Paths(indices, positions, max(fastest, 1e-9))
