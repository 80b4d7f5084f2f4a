"""The frames of a run as a document reads them: the Gaussians, and which is which through time. Nothing is written."""

from __future__ import annotations

import threading
from collections import OrderedDict

import numpy as np

from trackersplat.document.births import BirthMark, record_hash
from trackersplat.document.last_used import LastUsed
from trackersplat.errors import InputError
from trackersplat.files import JSON_LIMIT, read_file
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.gaussians.lineage import INDEX_BITS
from trackersplat.store.lineage import RunLineage
from trackersplat.store.run import Run

KEPT_BYTES = 1 << 30  # of Gaussians of frames in memory
KEPT_IDS = 64  # frames whose ids are in memory


class RunFrames:
    """Reads frames when they are asked for and keeps the last ones. Thread-safe."""

    def __init__(self, run: Run, kept_bytes: int = KEPT_BYTES) -> None:
        self.run = run
        self.revision = 0  # how often `refresh` found something else
        self._lock = threading.RLock()
        self._kept_bytes = kept_bytes
        self._gaussians: OrderedDict[int, Gaussians] = OrderedDict()
        self._ids: LastUsed[np.ndarray] = LastUsed(KEPT_IDS)
        self._inodes = self._found()
        self._lineage: RunLineage | None = None

    @property
    def frames(self) -> tuple[int, ...]:
        return self.run.frames()

    def refresh(self) -> bool:
        """Finds frames that were made, made again or removed since; whether there are some. Raises what `Run.refresh` raises."""
        with self._lock:
            self.run.refresh()
            found = self._found()
            if found == self._inodes:
                return False
            for frame in {frame for frame, _ in set(found) ^ set(self._inodes)}:
                self._gaussians.pop(frame, None)
            self._ids.clear()
            self._lineage, self._inodes = None, found
            self.revision += 1
            return True

    def original(self, frame: int) -> Gaussians:
        """As the run has it, on the CPU. Raises InputError if it is not there or broken."""
        with self._lock:
            found = self._gaussians.pop(frame, None)
            if found is None:
                found = self.run.read_frame(frame)
            self._gaussians[frame] = found
            while len(self._gaussians) > 1 and sum(map(_bytes, self._gaussians.values())) > self._kept_bytes:
                self._gaussians.popitem(last=False)
            return found

    def ids(self, frame: int) -> np.ndarray:
        """(N,) int64 lineage ids of `original`. Where the run does not say which Gaussian is which, equal rows of frames with as many
        Gaussians as the first of them count as the same (`assumed`)."""
        with self._lock:
            return self._ids.find(frame, lambda: self._found_ids(frame))

    def is_known(self, frame: int) -> bool:
        """Whether the run says which of its Gaussians are those of other frames."""
        return self.lineage().origin(frame) is not None and self.lineage().of(frame) is not None

    def lineage(self) -> RunLineage:
        with self._lock:
            if self._lineage is None:
                self._lineage = self.run.lineage()
            return self._lineage

    def record(self, frame: int) -> str:
        """A hash of what the run keeps in words about a frame; "" if it keeps nothing."""
        path = self.run.record_path(frame)
        return "" if path is None else record_hash(read_file(path, JSON_LIMIT))

    def mark(self, birth: int) -> BirthMark:
        """Of a frame of birth. Raises InputError if it is not in the run."""
        return BirthMark.of(birth, self.record(birth), self._born(birth), self.original(birth).means.numpy())

    def fits(self, mark: BirthMark) -> bool | None:
        """Whether those born in the frame are still the same; None if the frame is not in the run."""
        if mark.birth not in self.frames:
            return None
        if mark.record and mark.record == self.record(mark.birth):
            return True
        return mark.fits(self._born(mark.birth), self.original(mark.birth).means.numpy())

    def _born(self, birth: int) -> np.ndarray:
        ids = self.ids(birth)
        return np.flatnonzero(ids >> INDEX_BITS == birth)

    def _found_ids(self, frame: int) -> np.ndarray:
        lineage = self.lineage().of(frame)
        found = self._assumed_ids(frame) if lineage is None else lineage.ids.numpy()
        found.setflags(write=False)
        return found

    def _assumed_ids(self, frame: int) -> np.ndarray:
        count = len(self.original(frame))
        first = min((other for other in self.frames if not self.is_known(other)), default=frame)
        same = first != frame and len(self.original(first)) == count
        return ((first if same else frame) << INDEX_BITS) + np.arange(count, dtype=np.int64)

    def _found(self) -> tuple[tuple[int, int], ...]:
        return tuple((frame, self.run.inode(frame)) for frame in self.run.frames())


def _bytes(gaussians: Gaussians) -> int:
    return sum(tensor.nbytes for tensor in gaussians.tensors().values())


def require_frame(frames: tuple[int, ...], frame: int) -> None:
    """Raises InputError if the run does not have the frame."""
    if frame not in frames:
        raise InputError(f"Frame {frame + 1} is not in the run: it is not reconstructed yet, or was removed.")
