"""The panel "Compare": another run beside the one on the screen, and which of them is better where."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nicegui import ui

from trackersplat.errors import InputError
from trackersplat.events import FrameDone
from trackersplat.words import counted
from viewer.panels.panel import Panel
from viewer.panels.parts import button, grid, note, select
from viewer.views.comparison import MetricDelta, camera_deltas, frame_deltas, metric_deltas
from viewer.views.plots import Line, by_frame, chart

NONE = ""


class ComparePanel(Panel):
    """Differences are of the run shown minus the other; what is better is said in words, because some metrics are better when lower."""

    def build(self) -> None:
        self._old = True
        self._titles: dict[str, str] = {}
        with ui.element("div").classes("ts-panel ts-stack"):
            self._shown = note("", "text")
            self._other = select("Compare with", "The run beside the one on the screen", {NONE: "–"}, NONE, self._choose)
            with ui.row().classes("ts-row w-full") as self._ways:
                button(
                    "A-B",
                    "swap_horiz",
                    "Shows the other run in the active pane, or this one again (B)",
                    lambda: self.tab.do("camera.other"),
                )
                button("Swap", "swap_vert", "The other run comes to the screen (Shift+B)", lambda: self.tab.do("run.swap"))
                button("End", "close", "Ends the comparison", lambda: self.tab.do("run.alone"))
            self._verdict = note("", "text")
            self._means = grid(mean_columns(), lambda row: None, row_id="metric", height="124px")
            self._plot = ui.echart(chart([], "frame", ""), on_point_click=self._point).classes("ts-plot ts-high")
            self._cameras = grid(camera_columns(), lambda row: self._show_camera(row["camera"]), row_id="camera", height="180px")
            self._frames = grid(frame_columns(), lambda row: self._seek(row["frame"] - 1), row_id="frame", height="220px")
            self._empty = note("")

    def on_state(self, changed: frozenset[str]) -> None:
        if changed & {"run", "other", "records", "runs", "revision"}:
            self._old = True
        if self.view.inspector != "compare":
            return
        if self._old:
            self._old = False
            self._draw()
        elif "frame" in changed and not self.view.playing:
            self._mark()

    def _choose(self) -> None:
        path = self._other.value or None
        if path != (None if self.shared.other is None else str(self.shared.other)):
            self.tab.do("run.compare", path=path)

    def _draw(self) -> None:
        shared, runs = self.shared, self.tab.document.runs
        self._shown.set_text("No run is shown." if shared.run is None else f"On the screen: {runs.facts(shared.run).title()}")
        titles = {NONE: "–"} | {str(path): runs.facts(path).title() for path in shared.runs if path != shared.run}
        chosen = NONE if shared.other is None else str(shared.other)
        if titles != self._titles or self._other.value != chosen:
            self._titles = titles
            self._other.set_options(titles, value=chosen if chosen in titles else NONE)
        other: Mapping[int, FrameDone] = {}
        if shared.other is not None:
            try:
                other = runs.records(shared.other)
            except InputError as error:
                self.tab.store.problem("compare", str(error))
        self._fill(metric_deltas(shared.records, other), frame_deltas(shared.records, other))

    def _fill(self, metrics: tuple[MetricDelta, ...], frames: dict[int, float]) -> None:
        chosen = self.shared.other is not None
        self._ways.set_visibility(chosen)
        for widget in (self._means, self._plot, self._frames, self._verdict):
            widget.set_visibility(bool(metrics))
        why = "The two runs share no measured frame." if chosen else "Choose a run above to see which is better where."
        if not chosen and len(self.shared.runs) < 2:
            why = "There is only one run of this capture. A new run is begun in the panel Run."
        self._empty.set_text(why)
        self._empty.set_visibility(not metrics)
        cameras = self._camera_rows() if metrics else []
        self._cameras.set_visibility(bool(cameras))
        if not metrics:
            return
        self._verdict.set_text(verdict(metrics[0]))
        self._means.options["rowData"] = [mean_row(delta) for delta in metrics]
        self._cameras.options["rowData"] = cameras
        self._frames.options["rowData"] = [{"frame": frame + 1, "delta": value} for frame, value in frames.items()]
        for table in (self._means, self._cameras, self._frames):
            table.update()
        lines = [Line("this run minus the other", by_frame(dict(frames)), "#cc79a7")]
        self._plot.options.clear()
        self._plot.options.update(chart(lines, "frame", "PSNR of this run minus the other, dB", mark=self.view.frame + 1))
        self._plot.update()
        self._mark()

    def _camera_rows(self) -> list[dict[str, Any]]:
        runs, run, other = self.tab.document.runs, self.shared.run, self.shared.other
        if run is None or other is None:
            return []
        try:
            found = camera_deltas(runs.camera_scores(run, "psnr"), runs.camera_scores(other, "psnr"))
        except InputError as error:
            self.tab.store.problem("compare", str(error))
            return []
        return [{"camera": name, "shown": a, "other": b, "delta": a - b} for name, (a, b, _) in found.items()]

    def _mark(self) -> None:
        self._frames.run_row_method(str(self.view.frame + 1), "setSelected", True, True)

    def _point(self, event: Any) -> None:
        self._seek(int(event.value[0]) - 1)

    def _seek(self, frame: int) -> None:
        self.tab.do("time.seek", frame=int(frame))

    def _show_camera(self, name: str) -> None:
        self.tab.do("camera.show", camera=self.tab.document.capture.camera_index(name))


def verdict(delta: MetricDelta) -> str:
    """One sentence on the first metric."""
    unit = "" if "(" not in delta.title else " " + delta.title.rpartition("(")[2].rstrip(")")
    name = delta.title.partition(" (")[0]
    gain = round(delta.gain, delta.digits)
    side = "is as good" if gain == 0 else f"is {abs(gain):.{delta.digits}f}{unit} {'better' if gain > 0 else 'worse'}"
    mean = f"By {name} the run shown {side} in the mean of {counted(delta.frames, 'frame')}"
    return f"{mean}." if gain == 0 and not delta.better else f"{mean}; it is the better one in {delta.better} of them."


def mean_row(delta: MetricDelta) -> dict[str, Any]:
    gain = round(delta.gain, delta.digits)
    return {
        "metric": delta.title,
        "shown": f"{delta.shown:.{delta.digits}f}",
        "other": f"{delta.other:.{delta.digits}f}",
        "better": "equal" if gain == 0 else f"this, {gain:.{delta.digits}f}" if gain > 0 else f"other, {-gain:.{delta.digits}f}",
    }


def mean_columns() -> list[dict[str, Any]]:
    return [
        {"headerName": "Mean", "field": "metric", "flex": 1.4},
        {"headerName": "this run", "field": "shown"},
        {"headerName": "other run", "field": "other"},
        {"headerName": "better", "field": "better", "flex": 1.4, "headerTooltip": "Which of them is better, and by how much"},
    ]


def camera_columns() -> list[dict[str, Any]]:
    return [
        {"headerName": "Camera", "field": "camera", "headerTooltip": "A click shows this camera", "flex": 1.4},
        {"headerName": "this run, dB", "field": "shown", **_decibels()},
        {"headerName": "other run, dB", "field": "other", **_decibels()},
        {"headerName": "difference, dB", "field": "delta", "sort": "asc", **_decibels(True)},
    ]


def frame_columns() -> list[dict[str, Any]]:
    return [
        {"headerName": "Frame", "field": "frame", "headerTooltip": "A click goes to this frame"},
        {
            "headerName": "difference, dB",
            "field": "delta",
            "sort": "asc",
            "headerTooltip": "PSNR of this run minus the other; the worst first",
            **_decibels(True),
        },
    ]


def _decibels(signed: bool = False) -> dict[str, Any]:
    sign = "(p.value > 0 ? '+' : '') + " if signed else ""
    return {":valueFormatter": f"(p) => p.value == null ? '–' : {sign}p.value.toFixed(2)"}
