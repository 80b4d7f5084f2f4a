"""The panel "Capture": what the capture is, what its reader remarks, and what a check finds wrong with it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from nicegui import ui

from trackersplat.captures.demo import is_demo_capture
from trackersplat.captures.summary import describe
from trackersplat.checks.findings import SEVERITIES, CameraMeasures, Finding, Report, name_frames
from trackersplat.checks.summary import CAPTION, COLUMNS, cells
from viewer.capture_check import CheckState
from viewer.panels.panel import Panel
from viewer.panels.parts import box, button, grid, note

KINDS = {"problem": "bad", "warning": "warn", "note": "accent"}
CLASSES = {"problem": "problem", "warning": "warning", "note": "note"}
EXPLANATION = (
    "Looks for missing, black, frozen and doubled frames, cameras out of step, poses that do not fit the images, "
    "and cameras whose focus, exposure or colours stand out. It changes nothing."
)


class CapturePanel(Panel):
    """A click on a finding shows the photograph that it is about."""

    def build(self) -> None:
        self._drawn: CheckState | None = None
        with ui.element("div").classes("ts-panel ts-stack"):
            with ui.element("div").classes("ts-facts"):
                for name, value in facts(self.tab.document.capture):
                    ui.label(name).classes("ts-muted")
                    ui.label(value).classes("ts-wrap")
            for remark in self.tab.document.capture.warnings:
                box(remark, "warning")
            with ui.row().classes("ts-row w-full"):
                self._start = button("Check capture", "fact_check", EXPLANATION, lambda: self.tab.do("check.start"), props="outline")
                self._start.props(remove="flat")
                self._cancel = button("Cancel", "stop", "Ends the check", lambda: self.tab.do("check.cancel"), props="color=red-4")
            self._bar = ui.linear_progress(0.0, show_value=False, size="6px").props("aria-label='Done share of the check' instant-feedback")
            self._text = note(EXPLANATION)
            self._report = ui.column().classes("w-full ts-stack")

    def on_state(self, changed: frozenset[str]) -> None:
        state = self.tab.document.check.state
        if state is self._drawn:
            return
        previous, self._drawn = self._drawn, state
        self._start.set_enabled(not state.running)
        self._cancel.set_visibility(state.running)
        self._bar.set_visibility(state.running)
        self._bar.value = state.share
        self._text.set_text(state.text or (EXPLANATION if state.report is None else ""))
        self._text.classes(replace="ts-problem w-full" if state.failed else "ts-muted ts-wrap")
        self._text.set_visibility(bool(self._text.text))
        if previous is None or state.report is not previous.report:
            self._report.clear()
            if state.report is not None:
                with self._report:
                    self._show(state.report)

    def _show(self, report: Report) -> None:
        worst = next((severity for severity in SEVERITIES if report.count(severity)), None)
        verdict = report.verdict()
        ui.label(verdict[:1].upper() + verdict[1:]).classes(f"ts-title ts-{'good' if worst is None else KINDS[worst]}")
        note(f"{name_frames(report.frames).capitalize()} in {report.seconds:.1f} s")
        for number, finding in enumerate(report.findings, 1):
            self._card(number, finding)
        ui.label("Cameras").classes("ts-title")
        table = grid(
            camera_columns(report),
            lambda row: self._go(row["camera"], None),
            row_id="camera",
            height=f"{min(len(report.cameras), 14) * 22 + 40}px",
        )
        table.options["rowData"] = [camera_row(measures) for measures in report.cameras]
        table.update()
        note(CAPTION[:1].upper() + CAPTION[1:] + ".").classes("ts-small")

    def _card(self, number: int, finding: Finding) -> None:
        with ui.column().classes(f"w-full ts-{CLASSES[finding.severity]} ts-stack"):
            with ui.element("div"):
                ui.label(f"{number}: {finding.severity.capitalize()}").classes(f"ts-{KINDS[finding.severity]}").style(
                    "font-weight:600;display:inline"
                )
                ui.label(" " + finding.what).style("display:inline")
            note(finding.advice)
            if finding.camera is not None:
                with ui.row().classes("ts-row"):
                    for frame in finding.frames[:4] or (None,):
                        where = finding.camera if frame is None else f"{finding.camera}, frame {frame + 1}"
                        button(
                            where,
                            "my_location",
                            f"Shows the photograph of {where}",
                            partial(self._go, finding.camera, frame),
                        )

    def _go(self, camera: str, frame: int | None) -> None:
        """Shows a photograph in the active pane."""
        index = self.tab.document.capture.camera_index(camera)
        self.tab.set(playing=False, grid=False, **({} if frame is None else {"frame": frame}))
        self.tab.set_pane(camera=index, compare="photo", channel="colour")


def facts(capture: Any) -> list[tuple[str, str]]:
    """What the capture is, as names and values."""
    known = describe(capture)
    sizes = ", ".join(f"{width} × {height}" for width, height in known.sizes[:3]) + (" …" if len(known.sizes) > 3 else "")
    return [
        ("Name", f"{known.name} ({known.layout})"),
        ("Cameras", f"{len(known.cameras)}, {sizes} px"),
        ("Frames", f"{known.frame_count}, {known.fps:g} per second, {known.seconds:.2f} s"),
        ("Held out", ", ".join(known.held_out) if known.held_out else "no camera"),
        ("Points", "none" if known.point_count is None else f"{known.point_count:,}"),
        ("Folder", "comes with TrackerSplat" if is_demo_capture(Path(known.path)) else str(known.path)),
    ]


def camera_row(measures: CameraMeasures) -> dict[str, str]:
    return dict(zip(map(_key, COLUMNS), cells(measures), strict=True))


def camera_columns(report: Report) -> list[dict[str, Any]]:
    """All that fits; what is the same of every camera is left out."""
    rows = [cells(measures) for measures in report.cameras]
    kept = [index for index, name in enumerate(COLUMNS) if index == 0 or name == "offset" or len({row[index] for row in rows}) > 1]
    return [
        {
            "headerName": COLUMNS[index],
            "field": _key(COLUMNS[index]),
            "headerTooltip": _meaning(COLUMNS[index]),
            **({"minWidth": 52} if index == 0 else {}),
        }
        for index in kept
    ]


def _key(name: str) -> str:
    return name.strip(".")


def _meaning(name: str) -> str:
    """What the caption says of a column."""
    return next((part.strip() for part in CAPTION.split(";") if part.strip().startswith(name)), name)
