"""The strategies for first points, by name."""

from __future__ import annotations

from trackersplat.registry import Facts, Registry

_PACKAGE = "trackersplat.training.points.strategies"

# ``load`` names a `task.PointStrategy`.
POINT_STRATEGIES: Registry[Facts] = Registry(
    "points strategy",
    (
        Facts("capture", "the capture's own points", f"{_PACKAGE}.captured:find"),
        Facts("planes", "multi-view plane sweep", f"{_PACKAGE}.planes:find"),
        Facts("patches", "PatchMatch with slanted windows, for cameras far apart", f"{_PACKAGE}.patches:find"),
        Facts("ground", "ground, backdrop and movers, for cameras far apart", f"{_PACKAGE}.ground:find"),
        Facts("surround", "shell and visual hull, for cameras that surround the scene", f"{_PACKAGE}.surroundings:find"),
    ),
)
