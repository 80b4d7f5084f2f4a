"""The compact sequence (see `gaussians.sequence`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from safetensors.torch import load_file, save_file

from trackersplat.events import Event
from trackersplat.files import unwritable, working_folder
from trackersplat.gaussians.exporters.exporter import FrameExported, check_some, check_target, exported, next_frame
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.gaussians.sequence import written_frames


def export_sequence(frames: Iterable[tuple[int, Gaussians]], path: Path) -> Iterator[Event]:
    """See `exporters.exporter.Exporter`. All frames must hold the same Gaussians in the same order.

    The ranges of the quantisation are those of all frames, so they are kept in a temporary folder beside ``path`` until all are there.
    """
    check_target(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with working_folder(f".{path.name}.frames", path.parent) as kept:
            order: list[int] = []
            for frame, gaussians in frames:
                next_frame(frame, order)
                save_file({name: tensor.detach().cpu().contiguous() for name, tensor in gaussians.tensors().items()}, _kept(kept, frame))
            check_some(order)
            order.sort()
            for done, frame in enumerate(written_frames(path, order, lambda frame: Gaussians(**load_file(_kept(kept, frame)))), start=1):
                yield FrameExported(frame, done)
    except OSError as error:
        raise unwritable(path.parent, error) from error
    yield exported(path, order)


def _kept(folder: Path, frame: int) -> Path:
    return folder / f"{frame}.safetensors"
