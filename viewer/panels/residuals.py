"""Which camera is wrong, and when: findings in sentences, and evidence by camera and time as a heat map."""

from __future__ import annotations

from nicegui import ui
from nicegui.events import ValueChangeEventArguments

from trackersplat.diagnosis.diagnosis import CameraFinding
from viewer.components.heatmap import HeatMapElement
from viewer.panels.panel import Panel
from viewer.panels.parts import gives_keys_back
from viewer.panels.track_style import add_style
from viewer.views.heatmap import available, camera_time
from viewer.views.table import TrackList

FIRST = "reprojection"


class ResidualsPanel(Panel):
    def build(self) -> None:
        add_style()
        self._tracks: TrackList | None = None
        self._measure = FIRST
        with ui.element("div").classes("ts-panel ts-residuals"):
            self._status = ui.label("").classes("ts-note full-width")
            self._findings = ui.column().classes("full-width").style("gap:6px")
            with ui.row().classes("full-width items-center no-wrap") as self._head:
                self._choice = (
                    ui.select({}, on_change=self._choose)
                    .props('dense outlined options-dense aria-label="What the map shows"')
                    .classes("col")
                )
                gives_keys_back(self._choice).tooltip(
                    "Mean over the visible tracks of each camera in each frame, without the worst 5 %: those are in the table of tracks"
                )
            self._map = HeatMapElement(self._pick)
            self._hint = ui.label(
                "A camera that is wrong is a stripe; a frame that is wrong is a column. Click: go to the frame and look through the camera."
            ).classes("ts-small ts-muted")

    def _choose(self, event: ValueChangeEventArguments) -> None:
        if isinstance(event.value, str) and event.value != self._measure:
            self._measure = event.value
            self._draw()

    def _pick(self, camera: int, frame: int | None) -> None:
        if self._tracks is None:
            return
        if frame is not None:
            self.tab.do("time.seek", frame=frame)
        self.tab.do("camera.show", camera=self.tab.document.capture.camera_index(self._tracks.diagnosis.cameras[camera]))

    def on_state(self, changed: frozenset[str]) -> None:
        if changed & {"diagnosed", "diagnosing", "run"}:
            said = self.shared.diagnosing
            self._status.set_text(said)
            self._status.set_visibility(bool(said))
        if changed & {"diagnosed", "run"}:
            tracks = self.tab.document.tracks()
            if tracks is not self._tracks or "diagnosed" in changed:
                self._tracks = tracks
                self._build_findings()
                self._draw()
        if changed & {"frame", "panes", "active", "diagnosed", "run"}:
            self._mark()

    def _mark(self) -> None:
        names = () if self._tracks is None else self._tracks.diagnosis.cameras
        name = self.tab.document.capture.cameras[self.view.pane().camera].name
        self._map.set_cursor(self.view.frame, names.index(name) if name in names else None)

    def _draw(self) -> None:
        there = self._tracks is not None
        for element in (self._head, self._map, self._hint):
            element.set_visibility(there)
        if self._tracks is None:
            self._map.set_nothing()
            return
        diagnosis = self._tracks.diagnosis
        choices = available(diagnosis)
        if self._measure not in choices:
            self._measure = next(iter(choices))
        self._choice.set_options(choices, value=self._measure)
        found = {diagnosis.cameras.index(finding.camera) for finding in diagnosis.cameras_found if finding.camera in diagnosis.cameras}
        self._map.show(camera_time(diagnosis, self._measure), found)

    def _build_findings(self) -> None:
        self._findings.clear()
        if self._tracks is None:
            return
        diagnosis = self._tracks.diagnosis
        with self._findings:
            for finding in diagnosis.cameras_found:
                self._build_finding(finding)
            if not diagnosis.cameras_found:
                ui.label("No camera contradicts the others.").classes("ts-good")
            for remark in diagnosis.remarks:
                ui.label(remark).classes("ts-muted")

    def _build_finding(self, finding: CameraFinding) -> None:
        camera = self.tab.document.capture.camera_index(finding.camera)
        with ui.element("div").classes("ts-finding"):
            ui.label(finding.sentence)
            ui.label(finding.action).classes("ts-muted ts-small")
            with ui.row().classes("items-center").style("gap:4px;margin-top:2px"):
                look = ui.button("Look through it", on_click=lambda: self.tab.do("camera.show", camera=camera)).props("flat dense")
                look.tooltip(f"Show {finding.camera} in the active pane")
                drop = ui.button("Drop the camera", on_click=lambda: self.tab.do("act.drop_camera", camera=finding.camera))
                drop.props("outline dense").tooltip("Adds to the edits of the run: the camera is used no more; can be undone")
