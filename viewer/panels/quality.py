"""The panel "Quality": how good each reconstructed frame is on the held-out cameras."""

from __future__ import annotations

from typing import Any

from nicegui import ui

from trackersplat.errors import InputError
from trackersplat.events import FrameDone
from trackersplat.metrics.names import ScoreName
from trackersplat.metrics.registry import METRICS
from viewer.editing import OF_THE_RUN
from viewer.panels.panel import Panel
from viewer.panels.parts import box, grid, note, select
from viewer.views.plots import Line, by_frame, chart
from viewer.views.scores import Column, columns, missing

STAGES_OF, CAMERAS_OF = "stages", "cameras"
MAIN, EVERY = "main", "every"
SHORT = {"unmoved": "do nothing", "moved": "moved", "": "refined"}


class QualityPanel(Panel):
    """A table and curves of what the run recorded; a row and a point are ways to their frame."""

    def build(self) -> None:
        self._columns: tuple[Column, ...] = ()
        self._cameras: list[str] = []
        self._old = True
        names = ", ".join(self.tab.document.capture.held_out)
        with ui.element("div").classes("ts-panel ts-stack"):
            note(
                f"Mean over the held-out cameras ({names})."
                if names
                else "This capture holds out no camera, so there is nothing to measure on."
            )
            self._edited = box(OF_THE_RUN, "note")
            self._edited.set_visibility(False)
            with ui.row().classes("ts-row w-full no-wrap"):
                self._metric = select("Metric", "Which metric the curves show", {}, None, self._draw_curves, "ts-half")
                self._lines = select(
                    "Curves",
                    "Do nothing, moved and refined on the held-out cameras, or every camera by itself",
                    {STAGES_OF: "Stages, held out", CAMERAS_OF: "Every camera"},
                    STAGES_OF,
                    self._draw_curves,
                    "ts-half",
                )
            self._plot = ui.echart(chart([], "frame", ""), on_point_click=self._point).classes("ts-plot ts-high")
            self._which = select(
                "Columns", "All scores of the run, or those that fit", {MAIN: "The main ones", EVERY: "Every score"}, MAIN, self._fill
            )
            self._table = grid([], lambda row: self._seek(row["frame"] - 1), row_id="frame", height="min(46vh, 420px)")
            self._empty = note("No frame has been measured yet: reconstruct one in the panel Run.")
            self._remarks = ui.column().classes("w-full ts-stack")
            for facts in METRICS:
                if facts.how:
                    note(f"{facts.label}: {facts.how}").classes("ts-small")

    def on_state(self, changed: frozenset[str]) -> None:
        if changed & {"records", "run"}:
            self._old = True
        if self.view.inspector != "quality":
            return
        if changed & {"scene", "run", "inspector"}:
            self._edited.set_visibility(self.tab.document.editing.is_edited)
        if self._old:
            self._old = False
            self._fill()
            self._draw_curves()
        if changed & {"frame", "records", "inspector", "playing"} and not self.view.playing:
            self._mark()

    # -- table --------------------------------------------------------------------------------------------------------

    def _records(self) -> list[FrameDone]:
        return [self.shared.records[frame] for frame in sorted(self.shared.records)]

    def _fill(self) -> None:
        records = self._records()
        self._columns = columns(records)
        shown = self._columns if self._which.value == EVERY else tuple(column for column in self._columns if _is_main(column))
        self._table.options["columnDefs"] = definitions(shown, self._which.value == EVERY)
        self._table.options["rowData"] = rows(records, shown)
        self._table.update()
        for widget in (self._table, self._which, self._plot):
            widget.set_visibility(bool(records))
        self._empty.set_visibility(not records)
        groups = {name.metric + "|" + name.region: _heading(name) for name in map(_name, self._columns)}
        self._metric.set_options(groups, value=self._metric.value if self._metric.value in groups else next(iter(groups), None))
        self._remarks.clear()
        with self._remarks:
            for remark in dict.fromkeys(remark for done in records for remark in done.remarks):
                box(remark, "warning")
            for done in records:
                for text in done.notes:
                    note(f"Frame {done.frame + 1}: {text}")
            for sentence in missing(records):
                note(sentence)

    def _mark(self) -> None:
        frame = self.view.frame
        if frame in self.shared.records:
            self._table.run_row_method(str(frame + 1), "setSelected", True, True)
            self._table.run_grid_method("ensureIndexVisible", sorted(self.shared.records).index(frame))
        else:
            self._table.run_grid_method("deselectAll")
        line = [{"xAxis": frame + 1}]
        for series in self._plot.options.get("series", [])[:1]:
            if "markLine" in series and series["markLine"]["data"] != line:
                series["markLine"]["data"] = line
                self._plot.update()

    def _seek(self, frame: int) -> None:
        self.tab.do("time.seek", frame=int(frame))

    # -- curves -------------------------------------------------------------------------------------------------------

    def _draw_curves(self) -> None:
        metric, _, region = str(self._metric.value or "").partition("|")
        if not metric:
            return
        lines, title, digits = self._curves(metric, region)
        self._plot.options.clear()
        self._plot.options.update(chart(lines, "frame", title, digits=digits, mark=self.view.frame + 1))
        self._plot.update()

    def _curves(self, metric: str, region: str) -> tuple[list[Line], str, int]:
        facts, heading = METRICS.facts(metric), _heading(ScoreName(metric, region))
        self._cameras = []
        if self._lines.value == CAMERAS_OF and self.shared.run is not None:
            try:
                found = self.tab.document.runs.camera_scores(self.shared.run, str(ScoreName(metric, region)))
            except InputError as error:
                self.tab.store.problem("quality", str(error))
                found = {}
            held_out = self.tab.document.capture.held_out
            self._cameras = sorted(found, key=lambda name: (name not in held_out, name))
            labels = {name: f"{name} (held out)" if name in held_out else name for name in self._cameras}
            lines = [Line(labels[name], by_frame(dict(found[name])), faint=name not in held_out) for name in self._cameras]
            return lines, heading, facts.digits
        stages = [column for column in self._columns if (_name(column).metric, _name(column).region) == (metric, region)]
        lines = [
            Line(
                SHORT[_name(column).stage],
                by_frame({done.frame: column.value(done) for done in self._records()}),
                faint=_name(column).stage != "",
            )
            for column in reversed(stages)
        ]
        return lines, f"{heading}, held out", facts.digits

    def _point(self, event: Any) -> None:
        """The frame of a point; on the curve of a camera, that camera too."""
        frame, series = int(event.value[0]) - 1, int(event.series_index)
        self._seek(frame)
        if series < len(self._cameras):
            self.tab.do("camera.show", camera=self.tab.document.capture.camera_index(self._cameras[series]))


def _name(column: Column) -> ScoreName:
    return ScoreName.parse(column.score)


def _heading(name: ScoreName) -> str:
    return ScoreName(name.metric, name.region).title


def _is_main(column: Column) -> bool:
    """The stages of PSNR and the first two other metrics, over whole images: what fits into the panel."""
    name = _name(column)
    return not name.region and (name.metric == "psnr" or (name.stage == "" and name.metric in ("ssim", "lpips")))


def definitions(shown: tuple[Column, ...], every: bool) -> list[dict[str, Any]]:
    """Columns of the table; where all are shown they keep a width and the table scrolls sideways."""
    width: dict[str, Any] = {"flex": 0, "width": 84} if every else {}
    found: list[dict[str, Any]] = [
        {
            "headerName": "Frame",
            "field": "frame",
            "headerTooltip": "Frame, from 1; a click goes there",
            "pinned": "left",
            "width": 46,
            "flex": 0,
        }
    ]
    for column in shown:
        name = _name(column)
        short = SHORT[name.stage] if name.metric == "psnr" and not every else column.title if every else METRICS.facts(name.metric).label
        found.append(
            {
                "headerName": short,
                "field": column.score,
                "headerTooltip": f"{column.title}: {SHORT[name.stage]}",
                **_fixed(column.digits),
                **width,
            }
        )
    for key, title, hint in (
        ("measured", "tracked %", "Share of the Gaussians moved by their own tracks"),
        ("static", "static %", "Share found static"),
    ):
        found.append({"headerName": title, "field": key, "headerTooltip": hint, **_fixed(0), **width})
    found.append({"headerName": "s", "field": "seconds", "headerTooltip": "Seconds in all", **_fixed(1), **width})
    return found


def _fixed(digits: int) -> dict[str, Any]:
    return {":valueFormatter": f"(p) => p.value == null ? '–' : p.value.toFixed({digits})"}


def rows(records: list[FrameDone], shown: tuple[Column, ...]) -> list[dict[str, Any]]:
    return [
        {
            "frame": done.frame + 1,
            **{column.score: column.value(done) for column in shown},
            "measured": None if done.base is None else 100 * done.measured,
            "static": None if done.base is None else 100 * done.static,
            "seconds": done.total_seconds,
        }
        for done in records
    ]
