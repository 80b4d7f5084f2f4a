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
        PanelFacts(
            "tracks", "Tracks", "viewer.panels.tracks:TracksPanel", icon="table_rows", hint="All tracks, worst first, and why they fail"
        ),
        PanelFacts(
            "track",
            "Track",
            "viewer.panels.track:TrackPanel",
            icon="timeline",
            hint="The selected track: patches, residuals, evidence, mending",
        ),
        PanelFacts("residuals", "Residuals", "viewer.panels.residuals:ResidualsPanel", icon="grid_on", hint="Residuals by camera and time"),
    ),
)
