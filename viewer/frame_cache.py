"""The Gaussians of the run on the screen: read when first needed, kept in bounded memory, read ahead in the background."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from trackersplat.errors import InputError
from viewer.runs import Runs
from viewer.state import Store

if TYPE_CHECKING:
    from trackersplat.gaussians.gaussians import Gaussians
    from trackersplat.tracking.tracks import Tracks
    from trackersplat.training.photometric import ColourAffines

MEMORY = 1 << 30  # bytes of Gaussians to keep
TRACKS_KEPT = 64  # frames whose 2D tracks are kept

log = logging.getLogger(__name__)

# A run and a frame of it, or a preview's file and minus its serial number.
_Key = tuple[Path, int]


class FrameCache:
    """Thread-safe access to frames of runs and to previews. A frame that was reconstructed anew must be forgotten first."""

    def __init__(self, store: Store, runs: Runs, memory: int = MEMORY) -> None:
        self._store = store
        self._runs = runs
        self._memory = memory
        self._kept: OrderedDict[_Key, Gaussians] = OrderedDict()
        self._tracks: OrderedDict[_Key, dict[str, Tracks]] = OrderedDict()
        self._colours: dict[_Key, ColourAffines | None] = {}  # a few numbers per camera: of every frame that was asked for
        self._forgotten = 0  # grows with every call of ``forget``
        self._lock = threading.Lock()
        self._reading = threading.Lock()  # one disk reader at a time is fastest, and never reads a frame twice
        self._wanted: list[_Key] = []
        self._wake = threading.Event()
        self._closed = False
        store.subscribe(self._on_change)
        threading.Thread(target=self._read_ahead, name="read-ahead", daemon=True).start()

    def close(self) -> None:
        self._closed = True
        self._wake.set()

    def frame(self, run: Path, frame: int) -> Gaussians:
        """One frame of a run. Raises InputError if it cannot be read."""
        return self._get((run, frame))

    def forget(self, run: Path, frame: int) -> None:
        """The frame on disk is another one now."""
        with self._lock:
            self._forgotten += 1
            self._kept.pop((run, frame), None)
            self._colours.pop((run, frame), None)
            self._tracks.pop((run, frame), None)

    def shown(self, frame: int) -> Gaussians | None:
        """What the picture of a frame is made of (`Shared.source_of`); None if nothing is reconstructed. Raises InputError."""
        shared = self._store.shared
        source = shared.source_of(frame)
        if source is None:
            return None
        if shared.draft is not None and shared.draft.frame == source:
            return self._get((shared.draft.path, -shared.draft.serial))
        return self.frame(shared.run, source) if shared.run is not None else None

    def tracks(self, run: Path, frame: int) -> dict[str, Tracks]:
        """Camera name -> the 2D tracks at this frame; empty if none were kept. Raises InputError."""
        key = (run, frame)
        with self._lock:
            if key in self._tracks:
                self._tracks.move_to_end(key)
                return self._tracks[key]
            forgotten = self._forgotten
        tracks = self._runs.get(run).read_tracks(frame)
        with self._lock:
            if self._forgotten == forgotten:
                self._tracks[key] = tracks
                while len(self._tracks) > TRACKS_KEPT:
                    self._tracks.popitem(last=False)
        return tracks

    def colours(self, run: Path, frame: int) -> ColourAffines | None:
        """By what the training cameras' colours differ; None where they do not. Raises InputError."""
        key = (run, frame)
        with self._lock:
            if key in self._colours:
                return self._colours[key]
            forgotten = self._forgotten
        colours = self._runs.get(run).read_colours(frame)
        with self._lock:
            if self._forgotten == forgotten:
                self._colours[key] = colours
        return colours

    def _get(self, key: _Key) -> Gaussians:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        with self._reading:
            with self._lock:
                if key in self._kept:
                    return self._kept[key]
                forgotten = self._forgotten
            gaussians = self._read(*key)
        with self._lock:
            if self._forgotten != forgotten:
                return gaussians  # perhaps of the file that has just been replaced: good for one picture, not to keep
            if key[1] < 0:  # a draft replaces its predecessors
                for old in [k for k in self._kept if k[0] == key[0] and k[1] < 0]:
                    del self._kept[old]
            self._kept[key] = gaussians
            size = sum(_bytes(g) for g in self._kept.values())
            while size > self._memory and len(self._kept) > 1:
                size -= _bytes(self._kept.popitem(last=False)[1])
        return gaussians

    def _read(self, path: Path, frame: int) -> Gaussians:
        if frame < 0:
            from trackersplat.gaussians.readers.reader import read_gaussians

            return read_gaussians(path).gaussians
        run = self._runs.get(path)
        gaussians = run.read_frame(frame)
        self._store.problem("frames", run.remarks[-1] if run.remarks else None)
        return gaussians

    # -- reading ahead ------------------------------------------------------------------------------------------------

    def _on_change(self, tab: str | None, changed: frozenset[str]) -> None:
        if not changed & {"frame", "run", "reconstructed", "ready"}:
            return
        shared = self._store.shared
        if shared.run is None or not shared.ready:
            return
        tabs = self._store.tabs()
        tab = tab if tab in tabs else next(iter(tabs), None)  # what concerns all is read for the tab that was opened first
        try:
            frame = 0 if tab is None else self._store.view(tab).frame
        except KeyError:  # closed meanwhile
            return
        frames = shared.reconstructed
        start = next((i for i, known in enumerate(frames) if known > frame), 0)
        self._wanted = [(shared.run, known) for known in (*frames[start:], *frames[:start])]
        self._wake.set()

    def _read_ahead(self) -> None:
        while not self._closed:
            self._wake.wait()
            self._wake.clear()
            for key in self._missing():
                if self._closed or self._wake.is_set():
                    break
                began = time.monotonic()
                try:
                    self._get(key)
                except InputError:
                    continue  # it is reported when this frame is asked for by the picture
                except Exception:
                    log.exception("frame %d could not be read ahead", key[1] + 1)
                if not self._store.any_playing():  # nobody waits for it: half of the time is left to pictures and tables
                    self._wake.wait(time.monotonic() - began)

    def _missing(self) -> Iterable[_Key]:
        """Wanted frames that are not kept, as far as memory goes without pushing out what comes first."""
        with self._lock:
            sizes = [_bytes(g) for g in self._kept.values()]
            kept = set(self._kept)
        room = len(self._wanted) if not sizes else int(0.9 * self._memory / max(max(sizes), 1))
        return [key for key in self._wanted[:room] if key not in kept]


def _bytes(gaussians: Gaussians) -> int:
    return sum(tensor.nbytes for tensor in gaussians.tensors().values())
