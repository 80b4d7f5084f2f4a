"""PLY files of 3D Gaussian splatting, which every splat tool opens: in a folder, or in one zip archive."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from trackersplat.events import Event
from trackersplat.files import atomic_file, make_folder, working_folder
from trackersplat.gaussians.exporters.exporter import (
    UNKNOWN,
    About,
    Exporter,
    FrameExported,
    check_some,
    check_target,
    exported,
    next_frame,
)
from trackersplat.gaussians.exporters.numbered import file_name, numbered
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.gaussians.ply import write_ply
from trackersplat.gaussians.readers.reader import read_gaussians


def export_zip(frames: Iterable[tuple[int, Gaussians]], path: Path, about: About = UNKNOWN) -> Iterator[Event]:
    """See `exporters.exporter.Export`. The numbered PLY files, deflated, in one file."""
    check_target(path)
    make_folder(path.parent)
    written: list[int] = []
    with atomic_file(path) as temporary, working_folder(f".{path.name}.frames", path.parent) as folder:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
            for frame, gaussians in frames:
                next_frame(frame, written)
                one = folder / file_name(frame, ".ply")
                write_ply(one, gaussians)
                archive.write(one, one.name)
                one.unlink()
                yield FrameExported(frame, len(written))
        check_some(written)
    yield exported(path, written)


def read_zip(path: Path, frame: int, place: int, about: About = UNKNOWN) -> Gaussians:
    """See `exporters.exporter.ReadBack`."""
    with working_folder("trackersplat-zip") as folder, zipfile.ZipFile(path) as archive:
        return read_gaussians(Path(archive.extract(file_name(frame, ".ply"), folder))).gaussians


PLY = numbered(".ply", write_ply)
ZIP = Exporter(export_zip, read_zip)
