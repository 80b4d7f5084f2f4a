"""The formats that moving scenes can be exported to, by name."""

from __future__ import annotations

from dataclasses import dataclass

from trackersplat.registry import Facts, Registry

_MODULES = "trackersplat.gaussians.exporters"


@dataclass(frozen=True, kw_only=True)
class ExporterFacts(Facts):
    """What is known about a format. ``load`` names an `exporters.exporter.Exporter`."""

    suffix: str = ""  # of the one file that is written; "" for a folder
    read: str  # "package.module:function" of the path, the frame (index from 0) and its place in the export, that gives Gaussians


EXPORTERS: Registry[ExporterFacts] = Registry(
    "exporter",
    (
        ExporterFacts(
            name="ply",
            title="a folder of numbered PLY files of 3D Gaussian splatting",
            load=f"{_MODULES}.ply:export_ply",
            read=f"{_MODULES}.back:read_ply",
        ),
        ExporterFacts(
            name="zip",
            title="the same PLY files in one zip archive",
            load=f"{_MODULES}.ply:export_zip",
            suffix=".zip",
            read=f"{_MODULES}.back:read_zip",
        ),
        ExporterFacts(
            name="compressed-ply",
            title="a folder of numbered compressed PLY files (SuperSplat)",
            load=f"{_MODULES}.packed:export_compressed_ply",
            read=f"{_MODULES}.back:read_compressed_ply",
            packages=("gsply",),
            extra="export",
            licence="MIT (gsply)",
        ),
        ExporterFacts(
            name="spz",
            title="a folder of numbered SPZ files (Niantic)",
            load=f"{_MODULES}.packed:export_spz",
            read=f"{_MODULES}.back:read_spz",
            packages=("gsply",),
            extra="export",
            licence="MIT (gsply)",
        ),
        ExporterFacts(
            name="splat",
            title="a folder of numbered .splat files (colours without direction)",
            load=f"{_MODULES}.splat:export_splat",
            read=f"{_MODULES}.back:read_splat",
        ),
        ExporterFacts(
            name="4dgs",
            title="one .4dgs file (colours without direction)",
            load=f"{_MODULES}.fourdgs:export_fourdgs",
            suffix=".4dgs",
            read=f"{_MODULES}.back:read_4dgs",
            packages=("fourdgs",),
            extra="export",
            licence="Apache-2.0 (fourdgs)",
        ),
        ExporterFacts(
            name="sequence",
            title="the compact sequence of trackersplat, for frames moved from one another",
            load=f"{_MODULES}.sequence:export_sequence",
            read=f"{_MODULES}.back:read_sequence",
        ),
    ),
)
