"""The panels of the page. Adding one is a module with a class (see `viewer.panels.panel`) and a line here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from trackersplat.registry import Facts, Registry


@dataclass(frozen=True)
class PanelFacts(Facts):
    """``title`` is that of its tab in the inspector; ``load`` names a class that is built with one `viewer.tab.Tab`."""

    place: Literal["top", "tools", "stage", "panes", "inspector", "below"] = "inspector"
    icon: str = ""  # Material name
    hint: str = ""  # tooltip of the tab


PANELS: Registry[PanelFacts] = Registry(
    "panel",
    (
        PanelFacts("header", "Header", "viewer.panels.header:HeaderPanel", place="top"),
        PanelFacts("palette", "Palette", "viewer.panels.palette:PalettePanel", place="top"),
        PanelFacts("tool_strip", "Tools", "viewer.panels.tool_strip:ToolStripPanel", place="tools"),
        PanelFacts("stage_view", "3D stage", "viewer.panels.stage_view:StageViewPanel", place="stage"),
        PanelFacts("panes", "Cameras", "viewer.panels.panes:PanesPanel", place="panes"),
        PanelFacts("timeline", "Timeline", "viewer.panels.timeline:TimelinePanel", place="below"),
        PanelFacts(
            "tracks", "Tracks", "viewer.panels.tracks:TracksPanel", icon="table_rows", hint="All tracks, worst first, and why they fail"
        ),
        PanelFacts(
            "track", "Track", "viewer.panels.track:TrackPanel", icon="timeline", hint="The selected track: patches, evidence, mending"
        ),
        PanelFacts("residuals", "Residuals", "viewer.panels.residuals:ResidualsPanel", icon="grid_on", hint="Residuals by camera and time"),
        PanelFacts("gaussian", "Gaussian", "viewer.panels.gaussian:GaussianPanel", icon="lens_blur", hint="The Gaussian that was picked"),
        PanelFacts(
            "edit",
            "Edit",
            "viewer.panels.edit:EditPanel",
            icon="edit",
            hint="Select and change Gaussians in all frames; groups, clip, history",
        ),
        PanelFacts(
            "reconstruct",
            "Run",
            "viewer.panels.reconstruct:ReconstructPanel",
            icon="play_circle",
            hint="Reconstruct frames and watch them grow",
        ),
        PanelFacts("quality", "Quality", "viewer.panels.quality:QualityPanel", icon="insights", hint="How good every frame is"),
        PanelFacts("compare", "Compare", "viewer.panels.compare:ComparePanel", icon="compare", hint="Two runs: which is better where"),
        PanelFacts("notes", "Notes", "viewer.panels.notes:NotesPanel", icon="flag", hint="Flags and notes of frames and tracks"),
        PanelFacts("stage", "Stage", "viewer.panels.stage_settings:StageSettingsPanel", icon="tune", hint="What the 3D stage shows"),
        PanelFacts(
            "camera_path",
            "Path",
            "viewer.panels.camera_path:CameraPathPanel",
            icon="movie",
            hint="A camera path through the scene, and videos",
        ),
        PanelFacts(
            "export",
            "Export",
            "viewer.panels.export:ExportPanel",
            icon="ios_share",
            hint="The scene as files for other programs",
        ),
        PanelFacts(
            "capture", "Capture", "viewer.panels.capture:CapturePanel", icon="videocam", hint="The capture, and what is wrong with it"
        ),
    ),
)
