"""The formats that moving scenes can be exported to, by name."""

from __future__ import annotations

from dataclasses import dataclass

from trackersplat.registry import Facts, Registry

_MODULES = "trackersplat.gaussians.exporters"


@dataclass(frozen=True, kw_only=True)
class ExporterFacts(Facts):
    """What is known about a format. ``load`` names an `exporters.exporter.Exporter`."""

    suffix: str = ""  # of the one file that is written; "" for a folder
    timed: bool = False  # it keeps the rate of the frames
    read: str  # a function of the path, the frame (index from 0), its place in the export, and what was known of the scene


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
            name="sog",
            title="a folder of numbered SOG files (PlayCanvas, SuperSplat)",
            load=f"{_MODULES}.sog:export_sog",
            read=f"{_MODULES}.back:read_sog",
        ),
        ExporterFacts(
            name="splat",
            title="a folder of numbered .splat files (colours without direction)",
            load=f"{_MODULES}.splat:export_splat",
            read=f"{_MODULES}.back:read_splat",
        ),
        ExporterFacts(
            name="html",
            title="one HTML file that plays the scene in a browser, without network (colours without direction)",
            load=f"{_MODULES}.html.export:export_html",
            suffix=".html",
            timed=True,
            read=f"{_MODULES}.back:read_page",
        ),
        ExporterFacts(
            name="4dgs",
            title="one .4dgs file (colours without direction)",
            load=f"{_MODULES}.fourdgs:export_fourdgs",
            suffix=".4dgs",
            timed=True,
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
