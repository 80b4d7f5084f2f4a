"""3D trails: where the moving Gaussians of a run were in the last frames."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trackersplat.errors import InputError
from viewer.frame_cache import FrameCache
from viewer.scene.compare import heat
from viewer.state import State, Store, TrailColour

MOST = 400  # trails
CELL = 0.03  # of the scene's extent
SAMPLED = 6  # frames that decide who moves
VISIBLE_OPACITY = 0.3
STILL = 0.004  # of the scene's extent; who moves less has no trail
_FADED = np.array([24.0, 26.0, 30.0])  # RGB that old segments fade to

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Paths:
    """Positions of chosen Gaussians in all frames of a run; nan where a frame is not reconstructed or they are not born yet."""

    ids: np.ndarray  # (M,) rows of the run's Gaussians
    positions: np.ndarray  # (F, M, 3) float32, one per frame of the capture; nan also where another had the row before
    fastest: float  # scene units per frame that get the hottest colour


def choose(means: np.ndarray, opacity: np.ndarray, extent: float, most: int = MOST) -> np.ndarray:
    """Rows of the Gaussians worth a trail. ``means``: (S, N, 3) in some frames, nan in those before a birth; ``opacity``: (N,).

    They moved more than STILL and can be seen. If there are too many, space decides: from every cell of a grid first the
    one that moved most, then the next, so that a large fast object does not take all.
    """
    start = np.take_along_axis(means, np.isfinite(means).all(axis=2).argmax(axis=0)[None, :, None], axis=0)[0]
    way = np.nan_to_num(np.linalg.norm(means - start, axis=2)).max(axis=0)
    movers = np.flatnonzero((way > STILL * extent) & (opacity > VISIBLE_OPACITY))
    if len(movers) <= most:
        return movers
    cells = np.unique(np.floor(start[movers] / (CELL * extent)).astype(np.int64), axis=0, return_inverse=True)[1].ravel()
    order = np.lexsort((-way[movers], cells))
    starts = np.flatnonzero(np.diff(cells[order], prepend=-1))
    rank = np.empty(len(movers), np.int64)  # within the cell
    rank[order] = np.arange(len(movers)) - np.repeat(starts, np.diff(starts, append=len(movers)))
    return np.sort(movers[np.lexsort((-way[movers], rank))[:most]])


def related(frames: tuple[int, ...], bases: dict[int, int | None]) -> tuple[int, ...]:
    """The largest set of frames whose Gaussians are the same ones, moved; of equal ones the earliest.

    ``bases``: the frame each was moved from, None for one that was fitted from scratch: it starts other Gaussians, even
    if there are equally many (there is a cap). Frames without a record count as moved from the first of their kind.
    """
    groups: dict[int | None, list[int]] = {}
    for frame in frames:
        origin, seen = frame, {frame}
        while (base := bases.get(origin)) is not None and base not in seen:
            origin = base
            seen.add(base)
        groups.setdefault(origin if origin in bases else None, []).append(frame)
    return max((tuple(group) for group in groups.values()), key=len, default=())


def births(frames: tuple[int, ...], bases: dict[int, int | None], born: dict[int, np.ndarray], count: int) -> dict[int, np.ndarray]:
    """Per frame and row (N,) the frame in which the Gaussian was born that is there: -1 for those of the first of the ``frames``.

    ``born``: the rows whose Gaussians a frame does not have from its base.
    """
    found: dict[int, np.ndarray] = {}
    for frame in frames:
        base = bases.get(frame)
        since = found[base].copy() if base in found else np.full(count, -1)
        since[born[frame][born[frame] < count]] = frame
        found[frame] = since
    return found


def segments(paths: Paths, frame: int, length: int, colour: TrailColour) -> tuple[np.ndarray, np.ndarray]:
    """Points (S, 2, 3) float32 and colours (S, 2, 3) uint8 of the trails that end in ``frame``; S is always M * length.

    Unused segments have no length: with a constant S the page updates its buffers in place.
    A gap in the run ends a trail: nothing is drawn through frames that do not exist.
    """
    positions = paths.positions
    m = positions.shape[1]
    points = np.repeat(np.nan_to_num(positions[frame])[None, :, None], length, axis=0).repeat(2, axis=2)  # (L, M, 2, 3)
    colours = np.zeros((length, m, 2, 3), np.uint8)
    hues = _hues(paths.ids) if colour == "track" else None
    for age in range(min(length, frame)):
        new, old = positions[frame - age], positions[frame - age - 1]
        there = np.isfinite(new).all(axis=1) & np.isfinite(old).all(axis=1)
        if not there.any():
            break
        points[age, there, 0], points[age, there, 1] = new[there], old[there]
        bright = (
            hues if hues is not None else heat(0.15 + 0.7 * np.minimum(np.linalg.norm(new - old, axis=1) / paths.fastest, 1)).astype(float)
        )
        for end, weight in enumerate((1 - age / length, 1 - (age + 1) / length)):
            colours[age, :, end] = (_FADED + (bright - _FADED) * weight).astype(np.uint8)
    return points.reshape(-1, 2, 3), colours.reshape(-1, 2, 3)


def _hues(ids: np.ndarray) -> np.ndarray:
    """(M, 3) a lasting, well mixed colour per id: golden-ratio steps around the colour wheel."""
    phase = (ids * 0.6180339887) % 1.0 * 2 * np.pi
    return 150.0 + 95.0 * np.stack([np.cos(phase + shift) for shift in (0.0, 2.1, 4.2)], axis=1)


class Trails:
    """Keeps the paths of the run on the screen; loads them in the background and announces them by ``trails``."""

    def __init__(self, store: Store, frame_cache: FrameCache, extent: float) -> None:
        self._store = store
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
        from trackersplat.store.run import Run

        path, run = state.run, Run.open(state.run)
        bases = {frame: done.base for frame, done in run.records().items()}
        frames = related(state.reconstructed, bases)
        if len(frames) < 2:
            return None
        some = sorted({frames[round(i)] for i in np.linspace(0, len(frames) - 1, SAMPLED)})
        first, last = (self._frame_cache.frame(path, frame) for frame in (some[0], some[-1]))
        since = births(frames, bases, {frame: run.read_born(frame).numpy() for frame in frames}, len(first))
        # Of those that shared a row, the last one has the trail: the ones before were too faint to be seen.
        there = {frame: since[frame] == since[frames[-1]] for frame in frames}

        def means(frame: int) -> np.ndarray | None:
            found = self._frame_cache.frame(path, frame).means.numpy()  # runs without records may have others: see ``related``
            return np.where(there[frame][:, None], found, np.nan) if len(found) == len(first) else None

        opacity = first.opacities.numpy()
        if len(last) == len(first):
            opacity = np.where(since[frames[-1]] < 0, opacity, last.opacities.numpy())
        ids = choose(np.stack([found for frame in some if (found := means(frame)) is not None]), opacity, self._extent)
        if not len(ids):
            return None
        positions = np.full((state.frame_count, len(ids), 3), np.nan, np.float32)
        for frame in frames:
            if (found := means(frame)) is not None:
                positions[frame] = found[ids]
        steps = np.linalg.norm(np.diff(positions, axis=0), axis=2)
        finite = steps[np.isfinite(steps)]
        fastest = float(np.percentile(finite, 98)) if len(finite) else 1.0
        return Paths(ids, positions, max(fastest, 1e-9))
