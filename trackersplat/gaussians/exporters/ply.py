"""PLY files of 3D Gaussian splatting, which every splat tool opens: in a folder, or in one zip archive."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from trackersplat.events import Event
from trackersplat.files import atomic_file, unwritable, working_folder
from trackersplat.gaussians.exporters.exporter import UNKNOWN, About, FrameExported, check_some, check_target, exported, next_frame
from trackersplat.gaussians.exporters.numbered import export_numbered, file_name
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.gaussians.ply import write_ply
from trackersplat.gaussians.readers.reader import read_gaussians


def export_ply(frames: Iterable[tuple[int, Gaussians]], path: Path, about: About = UNKNOWN) -> Iterator[Event]:
    """See `exporters.exporter.Exporter`."""
    return export_numbered(frames, path, ".ply", write_ply)


def export_zip(frames: Iterable[tuple[int, Gaussians]], path: Path, about: About = UNKNOWN) -> Iterator[Event]:
    """See `exporters.exporter.Exporter`. The numbered PLY files, deflated, in one file."""
    check_target(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(path.parent, error) from error
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


def read_zipped(path: Path, frame: int) -> Gaussians:
    """The Gaussians of one frame of an archive that `export_zip` wrote."""
    with working_folder("trackersplat-zip") as folder, zipfile.ZipFile(path) as archive:
        return read_gaussians(Path(archive.extract(file_name(frame, ".ply"), folder))).gaussians
