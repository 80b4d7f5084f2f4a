"""Reads a frame back from what an exporter wrote, as another program would: its number, and its place in the order of the export."""

from __future__ import annotations

from pathlib import Path

from trackersplat.gaussians.exporters.exporter import UNKNOWN, About
from trackersplat.gaussians.exporters.fourdgs import read_fourdgs
from trackersplat.gaussians.exporters.html.read import read_html
from trackersplat.gaussians.exporters.numbered import file_name
from trackersplat.gaussians.exporters.packed import COMPRESSED_PLY
from trackersplat.gaussians.exporters.ply import read_zipped
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.gaussians.readers.reader import read_gaussians
from trackersplat.gaussians.sequence import GaussianSequence


def read_ply(path: Path, frame: int, place: int, about: About = UNKNOWN) -> Gaussians:
    return read_gaussians(path / file_name(frame, ".ply")).gaussians


def read_zip(path: Path, frame: int, place: int, about: About = UNKNOWN) -> Gaussians:
    return read_zipped(path, frame)


def read_compressed_ply(path: Path, frame: int, place: int, about: About = UNKNOWN) -> Gaussians:
    return read_gaussians(path / file_name(frame, COMPRESSED_PLY)).gaussians


def read_spz(path: Path, frame: int, place: int, about: About = UNKNOWN) -> Gaussians:
    return read_gaussians(path / file_name(frame, ".spz")).gaussians


def read_sog(path: Path, frame: int, place: int, about: About = UNKNOWN) -> Gaussians:
    return read_gaussians(path / file_name(frame, ".sog")).gaussians


def read_splat(path: Path, frame: int, place: int, about: About = UNKNOWN) -> Gaussians:
    return read_gaussians(path / file_name(frame, ".splat")).gaussians


def read_page(path: Path, frame: int, place: int, about: About = UNKNOWN) -> Gaussians:
    return read_html(path, place)


def read_4dgs(path: Path, frame: int, place: int, about: About = UNKNOWN) -> Gaussians:
    return read_fourdgs(path, place, about.frames_per_second)


def read_sequence(path: Path, frame: int, place: int, about: About = UNKNOWN) -> Gaussians:
    return GaussianSequence.open(path).read(frame)
