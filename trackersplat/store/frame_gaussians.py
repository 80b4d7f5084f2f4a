"""The Gaussians of the frames of a run, in whichever form each is on the disk: PLY, compact, or in a sequence of older versions."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from trackersplat.errors import InputError
from trackersplat.files import aside, restore, size_of
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.gaussians.readers.reader import read_gaussians
from trackersplat.gaussians.sequence import GaussianSequence
from trackersplat.store.compact_frames import CompactFrames
from trackersplat.store.index import RunIndex

SEQUENCE = "sequence"


class FrameGaussians:
    """Of the run at ``path``. What is there is known from the index of the run when `refresh` is called."""

    def __init__(self, path: Path, index: RunIndex) -> None:
        self.compact = CompactFrames()
        self._path, self._index = path, index
        self._sequence: GaussianSequence | None = None
        self._remarks: dict[str, None] = {}

    def restore(self) -> None:
        """Completes what a killed process began with the sequence."""
        restore(self._path / SEQUENCE)

    def refresh(self) -> None:
        """Raises InputError if the sequence is damaged."""
        self.compact.update(self._index.compact_files())
        path = self._path / SEQUENCE
        path = path if path.is_dir() else aside(path)  # while another one takes its place
        self._sequence = GaussianSequence.open(path) if path.is_dir() else None

    def frames(self) -> tuple[int, ...]:
        """Indices of those that can be read, ascending."""
        broken = self.compact.broken
        found = {
            frame
            for frame, entry in self._index.entries.items()
            if entry.cloud is not None or (entry.compact is not None and frame not in broken)
        }
        return tuple(sorted(found | set(self._sequence.frames if self._sequence else ())))

    def read(self, frame: int) -> Gaussians:
        """On the CPU: as they were computed where there is a PLY. Raises InputError if the frame is not there or its file is broken."""
        entry = self._index.entries.get(frame)
        if entry is not None and entry.cloud is not None:
            file = read_gaussians(entry.cloud)
            self.remark(file.remarks)
            return file.gaussians
        if entry is not None and entry.compact is not None:
            return self.compact.read(frame)
        if self._sequence is None or frame not in self._sequence.frames:
            raise InputError(f"Frame {frame + 1} of the run {self._path} is not reconstructed yet.")
        return self._sequence.read(frame)

    def remark(self, sentences: Iterable[str]) -> None:
        """Keeps what is to be said about the frames that were read."""
        self._remarks |= dict.fromkeys(sentences)

    @property
    def remarks(self) -> tuple[str, ...]:
        return tuple(self._remarks)

    def compact_bytes(self) -> int:
        """Of all frames that are in a compact form."""
        return sum(map(size_of, self._index.compact_files().values())) + (size_of(self._sequence.path) if self._sequence else 0)
