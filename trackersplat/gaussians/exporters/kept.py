"""Frames that an exporter must read more than once, kept in a temporary folder beside the export."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from safetensors.torch import load_file, save_file

from trackersplat.files import unwritable, working_folder
from trackersplat.gaussians.exporters.exporter import check_some, next_frame
from trackersplat.gaussians.gaussians import Gaussians


@dataclass
class KeptFrames:
    folder: Path
    order: list[int] = field(default_factory=list)  # as they came
    largest: int = 0  # Gaussians in one frame

    def read(self, frame: int) -> Gaussians:
        return Gaussians(**load_file(self._file(frame)))

    def add(self, frame: int, gaussians: Gaussians) -> None:
        next_frame(frame, self.order)
        self.largest = max(self.largest, len(gaussians))
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in gaussians.tensors().items()}, self._file(frame))

    def _file(self, frame: int) -> Path:
        return self.folder / f"{frame}.safetensors"


@contextmanager
def kept_frames(frames: Iterable[tuple[int, Gaussians]], path: Path) -> Iterator[KeptFrames]:
    """All ``frames``, in a folder beside ``path`` removed in the end. Raises InputError if it cannot be written, or none comes."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with working_folder(f".{path.name}.frames", path.parent) as folder:
            kept = KeptFrames(folder)
            for frame, gaussians in frames:
                kept.add(frame, gaussians)
            check_some(kept.order)
            yield kept
    except OSError as error:
        raise unwritable(path.parent, error) from error
