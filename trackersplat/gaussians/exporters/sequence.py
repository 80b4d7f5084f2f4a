"""The compact sequence (see `gaussians.sequence`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from trackersplat.events import Event
from trackersplat.gaussians.exporters.exporter import UNKNOWN, About, Exporter, FrameExported, check_target, exported
from trackersplat.gaussians.exporters.kept import kept_frames
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.gaussians.sequence import GaussianSequence, written_frames


def export_sequence(frames: Iterable[tuple[int, Gaussians]], path: Path, about: About = UNKNOWN) -> Iterator[Event]:
    """See `exporters.exporter.Export`. All frames must hold the same Gaussians in the same order.

    The ranges of the quantisation are those of all frames, so they are kept in a temporary folder beside ``path`` until all are there.
    """
    check_target(path)
    with kept_frames(frames, path) as kept:
        order = sorted(kept.order)
        for done, frame in enumerate(written_frames(path, order, kept.read), start=1):
            yield FrameExported(frame, done)
    yield exported(path, order)


def read_sequence(path: Path, frame: int, place: int, about: About = UNKNOWN) -> Gaussians:
    """See `exporters.exporter.ReadBack`."""
    return GaussianSequence.open(path).read(frame)


SEQUENCE = Exporter(export_sequence, read_sequence)
