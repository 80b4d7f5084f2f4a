"""The panels of the page, in their order. Adding one is a module with a class (see `viewer.panels.panel`) and a line here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from trackersplat.registry import Facts, Registry


@dataclass(frozen=True)
class PanelFacts(Facts):
    """``title`` is that of the panel's tab; ``load`` names a class that is built with one `PanelContext`."""

    place: Literal["side", "below"] = "side"  # a tab of the panel on the right, or a floating panel at the bottom


PANELS: Registry[PanelFacts] = Registry(
    "panel",
    (
        PanelFacts("view", "View", "viewer.panels.view:ViewPanel"),
        PanelFacts("reconstruct", "Reconstruct", "viewer.panels.reconstruct:ReconstructPanel"),
        PanelFacts("quality", "Quality", "viewer.panels.quality:QualityPanel"),
        PanelFacts("capture", "Capture", "viewer.panels.capture:CapturePanel"),
        PanelFacts("timeline", "Timeline", "viewer.panels.timeline:Timeline", place="below"),
    ),
)
