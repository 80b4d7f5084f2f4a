"""What is said, and that it survives its way through JSON."""

from __future__ import annotations

import json
import math

import pytest

from trackersplat.checks import events
from trackersplat.checks.events import Checked, Step
from trackersplat.checks.findings import CameraMeasures, Finding, Report, from_json, name_frames, name_some, sort_findings, to_json
from trackersplat.checks.summary import COLUMNS, cells


@pytest.fixture
def report() -> Report:
    findings = (
        Finding("frames", "problem", "cam01", "What.", "Do.", (4, 5, 8), {"frames": 3.0, "unknown": math.inf}),
        Finding("poses", "note", None, "Else.", "Nothing."),
    )
    measures = (
        CameraMeasures("cam00", 10, blur=0.25, matches=90, epipolar=0.5, reprojection=0.75, gain=(2.0, 1.0, 0.5), offset=-0.04),
        CameraMeasures("cam01", 7, unreadable=1, blank=2, repeated=3),
    )
    return Report("c", "n3dv", tuple(range(10)), measures, findings, 1.5)


def test_a_report_comes_back_from_json_and_counts_from_one_there(report: Report) -> None:
    data = json.loads(json.dumps(to_json(report), allow_nan=False))
    assert data["frames"][0] == 1
    assert data["findings"][0]["frames"] == [5, 6, 9]
    back = from_json(data)
    assert back.cameras == report.cameras
    assert back.frames == report.frames
    assert back.findings[0].frames == (4, 5, 8)
    assert back.findings[0].numbers["frames"] == 3.0
    assert math.isnan(back.findings[0].numbers["unknown"])
    assert back.findings[1] == report.findings[1]


def test_events_come_back_from_json(report: Report) -> None:
    step = Step("reading frames", 3, 10)
    assert events.from_json(json.loads(json.dumps(events.to_json(step)))) == step
    back = events.from_json(json.loads(json.dumps(events.to_json(Checked(report)))))
    assert isinstance(back, Checked)
    assert back.report.cameras == report.cameras


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"event": "StepDone", "step": 1},
        {"event": "Step", "name": "x"},
        {"event": "Checked", "report": {"findings": [], "cameras": [{"name": 1}], "frames": []}},
        {"event": "Checked", "report": {"findings": [{"severity": "<b>"}], "cameras": [], "frames": []}},
        {"event": "Checked", "report": 3},
    ],
)
def test_what_is_no_event_is_refused(data: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="not "):
        events.from_json(data)


def test_frames_are_named_as_people_count() -> None:
    assert name_frames((4,)) == "frame 5"
    assert name_frames((0, 1, 2, 6)) == "frames 1 to 3, 7"
    assert name_frames(range(0, 20, 2)) == "frames 1, 3, 5, 7 and 6 more"
    assert name_some("abcdefgh") == "a, b, c, d, e, f and 2 more"


def test_the_worst_comes_first_and_the_verdict_counts(report: Report) -> None:
    ordered = sort_findings([*reversed(report.findings), Finding("x", "warning", None, "w", "a")])
    assert [finding.severity for finding in ordered] == ["problem", "warning", "note"]
    assert report.verdict() == "1 problem, 1 note"
    assert Report("c", "l", (0,), (), (), 0.0).verdict() == "nothing wrong was found"


def test_a_row_says_what_was_measured(report: Report) -> None:
    first, second = (dict(zip(COLUMNS, cells(measures), strict=True)) for measures in report.cameras)
    assert first == {
        "camera": "cam00", "frames": "10", "broken": "-", "blur": "0.25", "points": "90", "epipolar": "0.50", "reproj.": "0.75",
        "light": "1.00", "offset": "+0.0",
    }  # fmt: skip
    assert (second["broken"], second["reproj."], second["light"], second["offset"]) == ("6", "-", "-", "-")
