"""3D trails: where the moving Gaussians of a run were in the last frames."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trackersplat.errors import InputError
from viewer.frame_cache import FrameCache
from viewer.runs import Runs
from viewer.scene.compare import heat
from viewer.state import State, Store, TrailColour

MOST = 400  # trails
CELL = 0.03  # of the scene's extent
SAMPLED = 6  # frames that decide what moves
VISIBLE_OPACITY = 0.3
STATIC = 0.004  # of the scene's extent; what moves less has no trail
_FADED = np.array([24.0, 26.0, 30.0])  # RGB that old segments fade to

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Paths:
    """Positions of chosen Gaussians in all frames of a run; nan where a frame is not reconstructed or another Gaussian had the index."""

    indices: np.ndarray  # (M,) of the run's Gaussians
    positions: np.ndarray  # (F, M, 3) float32, one per frame of the capture
    fastest: float  # scene units per frame that get the hottest colour


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


def segments(paths: Paths, frame: int, length: int, colour: TrailColour) -> tuple[np.ndarray, np.ndarray]:
    """Points (S, 2, 3) float32 and colours (S, 2, 3) uint8 of the trails that end in ``frame``; S is always M * length.

    Unused segments have no length: with a constant S the page updates its buffers in place.
    A gap in the run ends a trail: nothing is drawn through frames that do not exist.
    """
    positions = paths.positions
    m = positions.shape[1]
    points = np.repeat(np.nan_to_num(positions[frame])[None, :, None], length, axis=0).repeat(2, axis=2)  # (L, M, 2, 3)
    colours = np.zeros((length, m, 2, 3), np.uint8)
    hues = _hues(paths.indices) if colour == "track" else None
    for age in range(min(length, frame)):
        new, old = positions[frame - age], positions[frame - age - 1]
        there = np.isfinite(new).all(axis=1) & np.isfinite(old).all(axis=1)
        if not there.any():
            break
        points[age, there, 0], points[age, there, 1] = new[there], old[there]
        if hues is None:
            speed = np.nan_to_num(np.linalg.norm(new - old, axis=1)) / paths.fastest
            bright = heat(0.15 + 0.7 * np.minimum(speed, 1)).astype(float)
        else:
            bright = hues
        for end, weight in enumerate((1 - age / length, 1 - (age + 1) / length)):
            colours[age, :, end] = (_FADED + (bright - _FADED) * weight).astype(np.uint8)
    return points.reshape(-1, 2, 3), colours.reshape(-1, 2, 3)


def _hues(indices: np.ndarray) -> np.ndarray:
    """(M, 3) a lasting, well mixed colour per index: golden-ratio steps around the colour wheel."""
    phase = (indices * 0.6180339887) % 1.0 * 2 * np.pi
    return 150.0 + 95.0 * np.stack([np.cos(phase + shift) for shift in (0.0, 2.1, 4.2)], axis=1)


class Trails:
    """Keeps the paths of the run on the screen; loads them in the background and announces them by ``trails``."""

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
        threading.Thread(target=self._run, name="trails", daemon=True).start()

    def close(self) -> None:
        self._closed = True
        self._wake.set()

    def at(self, state: State) -> tuple[np.ndarray, np.ndarray] | None:
        """Points and colours of the segments (see ``segments``) to draw in the free view, or None."""
        run, frames, paths = self._loaded
        shown = state.show_trails and state.camera is None and state.preview is None and state.source_frame() == state.frame
        if paths is None or not shown or (run, frames) != (state.run, state.reconstructed):
            return None
        return segments(paths, state.frame, state.trail_length, state.trail_colour)

    def _on_change(self, _: State, changed: frozenset[str]) -> None:
        if changed & {"run", "reconstructed", "ready", "show_trails"}:
            self._wake.set()

    def _run(self) -> None:
        while not self._closed:
            self._wake.wait()
            self._wake.clear()
            state = self._store.state
            if not state.ready or not state.show_trails or (state.run, state.reconstructed) == self._loaded[:2]:
                continue
            try:
                self._loaded = (state.run, state.reconstructed, self._load(state))
                self._store.problem("trails", None)
            except InputError as error:
                self._store.problem("trails", str(error))
            except Exception as error:
                log.exception("trails failed")
                self._store.problem("trails", f"The trails could not be drawn ({type(error).__name__}: {error}).")
            self._store.set(trails=self._store.state.trails + 1)

    def _load(self, state: State) -> Paths | None:
        """Reads all frames once; None if nothing moves."""
        if state.run is None or len(state.reconstructed) < 2:
            return None
        path, lineage = state.run, self._runs.lineage(state.run)
        frames = tuple(frame for frame in lineage.frames_of_one_origin() if frame in state.reconstructed)
        if len(frames) < 2:
            return None
        some = sorted({frames[round(i)] for i in np.linspace(0, len(frames) - 1, SAMPLED)})
        first, last = (self._frame_cache.frame(path, frame) for frame in (some[0], some[-1]))
        # Of the Gaussians that had one index after another, the last has the trail: those before were replaced for being faint.
        newest = lineage.since(frames[-1])  # None in a run without records: then all are taken for the same

        def means(frame: int) -> np.ndarray | None:
            found = self._frame_cache.frame(path, frame).means.numpy()
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
        positions = np.full((state.frame_count, len(indices), 3), np.nan, np.float32)
        for frame in frames:
            if (found := means(frame)) is not None:
                positions[frame] = found[indices]
        steps = np.linalg.norm(np.diff(positions, axis=0), axis=2)
        finite = steps[np.isfinite(steps)]
        fastest = float(np.percentile(finite, 98)) if len(finite) else 1.0
        return Paths(indices, positions, max(fastest, 1e-9))
