"""The panels of the page. Adding one is a module with a class (see `viewer.panels.panel`) and a line here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from trackersplat.registry import Facts, Registry


@dataclass(frozen=True)
class PanelFacts(Facts):
    """``title`` is that of its tab in the inspector; ``load`` names a class that is built with one `viewer.tab.Tab`."""

    place: Literal["top", "panes", "inspector", "below"] = "inspector"
    icon: str = ""  # Material name
    hint: str = ""  # tooltip of the tab


PANELS: Registry[PanelFacts] = Registry(
    "panel",
    (
        PanelFacts("header", "Header", "viewer.panels.header:HeaderPanel", place="top"),
        PanelFacts("palette", "Palette", "viewer.panels.palette:PalettePanel", place="top"),
        PanelFacts(
            "reconstruct", "Reconstruct", "viewer.panels.reconstruct:ReconstructPanel", hint="Reconstruct frames and watch them grow"
        ),
        PanelFacts("quality", "Quality", "viewer.panels.quality:QualityPanel", hint="How good every frame is"),
        PanelFacts("compare", "Compare", "viewer.panels.compare:ComparePanel", hint="Two runs: which is better where"),
        PanelFacts("notes", "Notes", "viewer.panels.notes:NotesPanel", hint="Flags and notes of frames and tracks"),
        PanelFacts("capture", "Capture", "viewer.panels.capture:CapturePanel", hint="What the capture is, and what is wrong with it"),
    ),
)
