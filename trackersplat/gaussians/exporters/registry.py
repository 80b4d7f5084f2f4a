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


EXPORTERS: Registry[ExporterFacts] = Registry(
    "exporter",
    (
        ExporterFacts(
            name="ply",
            title="a folder of numbered PLY files of 3D Gaussian splatting",
            load=f"{_MODULES}.ply:PLY",
        ),
        ExporterFacts(
            name="zip",
            title="the same PLY files in one zip archive",
            load=f"{_MODULES}.ply:ZIP",
            suffix=".zip",
        ),
        ExporterFacts(
            name="compressed-ply",
            title="a folder of numbered compressed PLY files (SuperSplat)",
            load=f"{_MODULES}.packed:COMPRESSED_PLY",
            packages=("gsply",),
            extra="export",
            licence="MIT (gsply)",
        ),
        ExporterFacts(
            name="spz",
            title="a folder of numbered SPZ files (Niantic)",
            load=f"{_MODULES}.packed:SPZ",
            packages=("gsply",),
            extra="export",
            licence="MIT (gsply)",
        ),
        ExporterFacts(
            name="sog",
            title="a folder of numbered SOG files (PlayCanvas, SuperSplat)",
            load=f"{_MODULES}.sog:SOG",
        ),
        ExporterFacts(
            name="splat",
            title="a folder of numbered .splat files (colours without direction)",
            load=f"{_MODULES}.splat:SPLAT",
        ),
        ExporterFacts(
            name="html",
            title="one HTML file that plays the scene in a browser, without network (colours without direction)",
            load=f"{_MODULES}.html.export:HTML",
            suffix=".html",
            timed=True,
        ),
        ExporterFacts(
            name="4dgs",
            title="one .4dgs file (colours without direction)",
            load=f"{_MODULES}.fourdgs:FOURDGS",
            suffix=".4dgs",
            timed=True,
            packages=("fourdgs",),
            extra="export",
            licence="Apache-2.0 (fourdgs)",
        ),
        ExporterFacts(
            name="sequence",
            title="the compact sequence of trackersplat, for frames moved from one another",
            load=f"{_MODULES}.sequence:SEQUENCE",
        ),
    ),
)
