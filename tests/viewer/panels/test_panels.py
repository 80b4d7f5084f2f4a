"""The panels as NiceGUI builds them, without a browser."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from nicegui import ui
from nicegui.testing import User, user_simulation
from no_edits import no_edits

from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import Capture
from trackersplat.checks.findings import CameraMeasures, Finding, Report
from trackersplat.edits.log import EditLog
from trackersplat.events import Event, FrameDone, Stage, Started, StepDone
from viewer.capture_check import CheckState
from viewer.jobs import Options
from viewer.notes import Notes
from viewer.panels.capture import CapturePanel
from viewer.panels.compare import ComparePanel
from viewer.panels.header import HeaderPanel
from viewer.panels.notes import NotesPanel
from viewer.panels.palette import PalettePanel
from viewer.panels.panel import Panel
from viewer.panels.quality import QualityPanel
from viewer.panels.reconstruct import ReconstructPanel, _continued
from viewer.reconstruction import Reconstruction
from viewer.runs import RunFacts
from viewer.state import Shared, Store, View
from viewer.tab import Tab

NASTY = "<img src=x onerror=alert(1)>\"'"
K = np.array([[90.0, 0, 50], [0, 90.0, 40], [0, 0, 1]])


def done(frame: int, **scores: float) -> FrameDone:
    base = None if frame == 0 else frame - 1
    return FrameDone(frame, base, scores, {"lpips": NASTY}, 100, 0.25, 0.75, {"refine": 2.0}, remarks=(NASTY,), notes=("Chosen.",))


RECORDS = {0: done(0, psnr=28.0), 1: done(1, psnr=27.0, unmoved_psnr=22.0, moved_psnr=25.0)}


class Runs:
    """Two runs without a disk."""

    def facts(self, path: Path) -> RunFacts:
        return RunFacts(path, (0, 1), 27.5, None, "")

    def records(self, path: Path) -> dict[int, FrameDone]:
        return {0: done(0, psnr=27.0), 1: done(1, psnr=27.5)} if path.name == "b" else RECORDS

    def camera_scores(self, path: Path, score: str) -> dict[str, dict[int, float]]:
        return {"cam08": {0: 28.0, 1: 27.0}, NASTY: {0: 30.0}}


class Job:
    """A worker that the test speaks for."""

    running, outcome, last = True, "running", None

    def __init__(self, command: Any, on_event: Callable[[Event], None], kind: Any, *, on_halt: Callable[[bool], None]) -> None:
        self.say, self.halt = on_event, on_halt
        Job.last = self  # type: ignore[assignment]

    def pause(self) -> bool:
        self.halt(True)
        return True

    def resume(self) -> None:
        self.halt(False)

    def wait(self, seconds: float) -> bool:
        return True

    def tail(self) -> tuple[str, ...]:
        return ()


@pytest.fixture
def tab(tmp_path: Path) -> Tab:
    cameras = (Camera(NASTY, 100, 80, K, np.eye(4)), Camera("cam08", 100, 80, K, np.eye(4)))
    capture = Capture("c", Path("nowhere"), "test", cameras, 30, 30.0, SimpleNamespace(), held_out=("cam08",))
    out = tmp_path / "c"
    store = Store(Shared(frame_count=30, out=out))
    store.open_tab("t", View())
    runs = Runs()
    work = Reconstruction(capture, store, runs, "demo", lambda path, frame: None, start=Job)  # type: ignore[arg-type]
    runs.know = lambda path: None  # type: ignore[attr-defined]
    runs.show = lambda path: True  # type: ignore[attr-defined]
    document = SimpleNamespace(
        capture=capture,
        runs=runs,
        reconstruction=work,
        notes=Notes(store),
        check=SimpleNamespace(state=CheckState()),
        arguments=SimpleNamespace(backend=None, pipeline=None),
        edits=SimpleNamespace(log=EditLog()),
        editing=no_edits(),
    )
    return Tab("t", store, document)  # type: ignore[arg-type]


def shown(kind: type[Panel], tab: Tab, then: Callable[[Any, User], None]) -> None:
    """Builds a panel, lets it follow, and hands it to the test."""

    async def run() -> None:
        built: list[Panel] = []

        def root() -> None:
            panel = kind(tab)
            panel.build()
            everything = frozenset(View.__dataclass_fields__) | frozenset(Shared.__dataclass_fields__)
            panel.on_state(everything)
            panel.on_rest(everything)
            built.append(panel)

        async with user_simulation(root=root) as user:
            await user.open("/")
            with user:
                then(built[0], user)

    asyncio.run(run())


def texts(user: User, kind: type = ui.label) -> str:
    return "\n".join(getattr(element, "text", "") for element in user.find(kind).elements)


def test_the_plan_is_said_before_the_start_and_a_job_is_followed(tab: Tab) -> None:
    tab.set(inspector="reconstruct")

    def then(panel: ReconstructPanel, user: User) -> None:
        panel._tick()
        assert "Frame 1 will be reconstructed." in texts(user)
        panel._preset.value = "draft"
        assert (panel._options.steps, panel._options.first_steps, panel._options.match_rounds) == (30, 300, 0)
        panel._numbers["steps"].value = 31
        assert panel._preset.value == "custom"
        assert panel._choices["tracking"].value == "fast"
        panel._choices["tracking"].value = "accurate"
        panel._scope.value = "all"
        panel._tick()
        panel.start()
        task = tab.document.reconstruction.current
        assert task is not None
        assert task.plan.asked == (0, 29)
        assert (task.plan.options.steps, task.plan.options.first_steps, task.plan.options.match_rounds) == (31, 300, 0)
        assert task.plan.options.tracking == "accurate"
        job: Any = Job.last
        job.say(Started(tuple(range(30)), "CPU", "base-propagate", 10, 5))
        job.say(Stage(0, "points", NASTY))
        panel._tick()
        assert panel._job._head.text == "Frame 1: finding first points"
        assert NASTY in panel._job._detail.text
        for step in (5, 10):
            job.say(StepDone(0, step, 10, 0.5, 100))
        panel._tick()
        assert panel._job._loss.options["series"][0]["data"] == [[5, 0.5], [10, 0.5]]
        tab.do("job.pause")
        panel._tick()
        assert panel._job._left.text == "Paused"

    shown(ReconstructPanel, tab, then)


def test_what_a_run_is_continued_with_is_counted_in_words() -> None:
    one = _continued(Options(pipeline="base-propagate", steps=1, first_steps=1000, batch=1, match_rounds=1, seed=0))
    assert "(base-propagate, 1 step, first frame 1,000 steps, batch 1, 1 match round, seed 0)" in one
    assert "0 match rounds" in _continued(Options(match_rounds=0))


def test_a_frame_without_an_earlier_one_asks_and_offers_the_way(tab: Tab) -> None:
    tab.set(inspector="reconstruct", frame=28)

    def then(panel: ReconstructPanel, user: User) -> None:
        panel._tick()
        assert "fitted from scratch" in texts(user)
        assert panel._instead.visible
        assert panel._instead.text == "Frames 1 to 29 instead"

    shown(ReconstructPanel, tab, then)


def test_quality_shows_the_records_and_a_row_and_a_point_lead_to_their_frame(tab: Tab) -> None:
    tab.store.set(run=Path("a"), records=RECORDS, reconstructed=(0, 1))
    tab.set(inspector="quality")

    def then(panel: QualityPanel, user: User) -> None:
        rows = panel._table.options["rowData"]
        assert [row["frame"] for row in rows] == [1, 2]
        assert (rows[1]["unmoved_psnr"], rows[1]["psnr"], rows[1]["static"], rows[0]["static"]) == (22.0, 27.0, 75.0, None)
        titles = [column["headerName"] for column in panel._table.options["columnDefs"]]
        assert titles == ["Frame", "do nothing", "moved", "refined", "tracked %", "static %", "s"]
        assert [series["name"] for series in panel._plot.options["series"]] == ["refined", "moved", "do nothing"]
        for sentence in (NASTY, f"LPIPS not available: {NASTY}", "Frame 1: Chosen.", "PSNR: of renderings before they are rounded"):
            assert sentence in texts(user)
        panel._seek(rows[1]["frame"] - 1)
        assert tab.view.frame == 1
        panel._lines.value = "cameras"
        panel._point(SimpleNamespace(value=[1, 28.0], series_index=0))
        assert (tab.view.frame, tab.view.pane().camera) == (0, 1)

    shown(QualityPanel, tab, then)


def test_a_finding_leads_to_its_photograph(tab: Tab) -> None:
    findings = (
        Finding("frames", "problem", "cam08", f"{NASTY} is black.", "Remove it.", (6, 7)),
        Finding("colours", "warning", None, "They differ.", "Never mind."),
    )
    report = Report("c", "n3dv", tuple(range(30)), (CameraMeasures("cam08", 30, matches=5, offset=2.0),), findings, 2.0)
    tab.document.check.state = CheckState(report=report)  # type: ignore[misc]
    tab.set(inspector="capture")

    def then(panel: CapturePanel, user: User) -> None:
        said = texts(user)
        for sentence in ("1 problem, 1 warning", "Frames 1 to 30 in 2.0 s", f"{NASTY} is black.", "Never mind.", "Held out", "cam08"):
            assert sentence in said
        user.find("cam08, frame 7").click()
        panel._go("cam08", 6)
        assert (tab.view.frame, tab.view.pane().camera, tab.view.pane().compare) == (6, 1, "photo")

    shown(CapturePanel, tab, then)


def test_two_runs_are_compared_and_a_row_leads_to_its_frame(tab: Tab) -> None:
    tab.store.set(run=Path("a"), other=Path("b"), runs=(Path("a"), Path("b")), records=RECORDS)
    tab.set(inspector="compare")

    def then(panel: ComparePanel, user: User) -> None:
        assert "By PSNR the run shown is 0.25 dB better" in panel._verdict.text
        assert [row["delta"] for row in panel._frames.options["rowData"]] == [1.0, -0.5]
        assert {row["camera"] for row in panel._cameras.options["rowData"]} == {"cam08", NASTY}
        panel._seek(1)
        assert tab.view.frame == 1

    shown(ComparePanel, tab, then)


def test_a_note_is_written_and_listed(tab: Tab) -> None:
    tab.set(inspector="notes", frame=3, tracks=(12,))
    tab.document.tracks = lambda: SimpleNamespace(row_of={12: 1}, names=("1.1.1", "2.1.7"))  # type: ignore[assignment,method-assign,misc]

    def then(panel: NotesPanel, user: User) -> None:
        panel._track_text.value = NASTY
        panel._write(12)
        tab.do("notes.flag")
        panel.on_state(frozenset({"notes"}))
        rows = [(row["frame"], row["track"], row["name"], row["text"]) for row in panel._table.options["rowData"]]
        assert rows == [(4, "", "", ""), (4, 12, "2.1.7", NASTY)]
        assert "Track 2.1.7 in frame 4" in texts(user)
        panel._go({"frame": 4, "track": 12})
        panel._remove_row()
        assert tab.document.notes.get(3, 12).empty

    shown(NotesPanel, tab, then)


def test_the_palette_finds_runs_and_says_why_not(tab: Tab) -> None:
    def then(panel: PalettePanel, user: User) -> None:
        tab.do("help.palette")
        panel.on_state(frozenset({"dialog"}))
        assert panel._palette.value
        panel._input.value = "next frame"
        assert panel._found[0].name == "time.next"
        panel._press(SimpleNamespace(args={"key": "Enter"}))
        assert (tab.view.frame, tab.view.dialog) == (1, "")
        panel._input.value = "pause or resume"
        panel._press(SimpleNamespace(args={"key": "Enter"}))
        assert "No reconstruction is at work." in texts(user)
        panel._input.value = "frame"
        panel._press(SimpleNamespace(args={"key": "ArrowDown"}))
        assert panel._at == 1

    shown(PalettePanel, tab, then)


def test_the_header_names_the_run_and_counts_the_problems(tab: Tab) -> None:
    tab.store.set(run=Path("output/a"), runs=(Path("output/a"), Path("output/b")), reconstructed=(0, 1))
    tab.store.problem("x", NASTY)

    def then(panel: HeaderPanel, user: User) -> None:
        panel._list_runs()
        assert panel._run.text == "a"
        assert "b: 2 frames, 27.50 dB" in texts(user)
        assert panel._problems.text == "1 problem"
        assert NASTY in texts(user)
        tab.do("time.link")
        panel.on_rest(frozenset({"linked"}))
        assert not tab.view.linked

    shown(HeaderPanel, tab, then)
