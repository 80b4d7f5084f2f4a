"""The formats that moving scenes can be exported to, by name."""

from __future__ import annotations

from trackersplat.registry import Facts, Registry

# ``load`` names an `exporters.exporter.Exporter`.
EXPORTERS: Registry[Facts] = Registry(
    "exporter",
    (
        Facts("ply", "a folder of numbered PLY files of 3D Gaussian splatting", "trackersplat.gaussians.exporters.ply:export_ply"),
        Facts(
            "sequence",
            "the compact sequence of trackersplat, for frames moved from one another",
            "trackersplat.gaussians.exporters.sequence:export_sequence",
        ),
    ),
)
