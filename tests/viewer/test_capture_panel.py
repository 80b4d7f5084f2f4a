"""What the "Capture" tab says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import Capture
from trackersplat.checks.findings import CameraMeasures, Finding, Report
from viewer.panels.capture import facts, findings_html, places

NASTY = "<img src=x onerror=alert(1)>\"'"
REPORT = Report(
    "c",
    "n3dv",
    tuple(range(30)),
    (CameraMeasures("cam00", 30, matches=5), CameraMeasures(NASTY, 30)),
    (
        Finding("frames", "problem", "cam00", f"{NASTY} is black.", f"Remove {NASTY}.", (6, 7)),
        Finding("colours", "warning", None, "They differ.", "Never mind."),
        Finding("poses", "note", "cam01", "Not checked.", "Nothing."),
    ),
    2.0,
)


def test_facts_name_the_held_out_cameras_and_escape_names() -> None:
    K = np.array([[90.0, 0, 50], [0, 90.0, 40], [0, 0, 1]])
    cameras = tuple(Camera(name, 100, 80, K, np.eye(4)) for name in (NASTY, "cam08"))
    capture = Capture(NASTY, Path("nowhere"), "test", cameras, 30, 25.0, SimpleNamespace(), held_out=("cam08",))
    page = facts(capture)
    for part in ("2 cameras × 30 frames", "100 × 80 px", "25 fps", "Held out: cam08"):
        assert part in page
    assert "<img" not in page
    assert "no camera" in facts(replace(capture, held_out=()))


def test_findings_are_cards_in_order_under_their_verdict_and_escaped() -> None:
    page = findings_html(REPORT)
    assert "<img" not in page
    assert page.count("&lt;img") == 3
    places_of = [page.index(part) for part in ("1 problem, 1 warning, 1 note", "1: Problem", "2: Warning", "3: Note", "Epipolar")]
    assert places_of == sorted(places_of)
    assert "Frames 1 to 30 in 2.0 s" in page
    assert "Nothing wrong was found" in findings_html(replace(REPORT, findings=()))


def test_a_finding_about_a_camera_has_a_place_to_go_to() -> None:
    assert places(REPORT) == {"1: cam00, frame 7": ("cam00", 6), "3: cam01": ("cam01", None)}
