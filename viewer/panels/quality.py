"""The "Quality" tab: how good each reconstructed frame is on the held-out cameras."""

from __future__ import annotations

from trackersplat.events import FrameDone
from trackersplat.metrics.registry import METRICS
from viewer.panels.html import WARN, box, note, table
from viewer.panels.panel import Panel, PanelContext
from viewer.panels.plots import Plot
from viewer.panels.scores import Column, columns, missing
from viewer.state import State

COLOURS = ("#5fb37a", "#4c9be8", "#8b949e", "#e0a458", "#b78be8", "#e5746b")  # of the lines from the last to the first, over and over


class QualityPanel(Panel):
    """A table and curves of what the run recorded; the row of the present frame is marked."""

    def __init__(self, context: PanelContext) -> None:
        super().__init__(context)
        gui, names = context.gui, ", ".join(context.capture.held_out)
        self._columns: tuple[Column, ...] = ()
        gui.add_html(
            note(
                f"Mean over the held-out cameras ({names})."
                if names
                else "This capture holds out no camera, so there is nothing to measure on."
            )
        )
        for facts in METRICS:
            if facts.how:
                gui.add_html(note(f"{facts.label}: {facts.how}"))
        self._plot = Plot(gui, "frame", ("–",), COLOURS[:1], height=170)
        self._table = gui.add_html("")
        context.store.subscribe(self._on_change)
        self._show(context.store.state)

    def _on_change(self, state: State, changed: frozenset[str]) -> None:
        if "records" in changed:
            self._show(state)
        elif ("frame" in changed and not state.playing) or "playing" in changed:
            self._draw(state)

    def _show(self, state: State) -> None:
        records = _by_frame(state)
        self._columns = columns(records)
        # One axis has one unit: that of the first metric.
        lines = [column for column in self._columns if column.unit == self._columns[0].unit]
        if lines:
            colours = tuple(COLOURS[i % len(COLOURS)] for i in reversed(range(len(lines))))
            self._plot.relabel(tuple(column.title for column in lines), colours)
            self._plot.show([done.frame + 1.0 for done in records], [tuple(column.value(done) for column in lines) for done in records])
        else:
            self._plot.clear()
        self._draw(state)

    def _draw(self, state: State) -> None:
        self._table.content = scores_html(_by_frame(state), self._columns, state.frame)


def _by_frame(state: State) -> list[FrameDone]:
    return [state.records[frame] for frame in sorted(state.records)]


def scores_html(records: list[FrameDone], shown: tuple[Column, ...], frame: int) -> str:
    """A row per record, ``frame``'s marked, and under them what was not measured and why. Everything is escaped."""
    if not records:
        return note("No frame has been measured yet: reconstruct one in the next tab.")
    head = ("Frame", *(column.title for column in shown), "s")
    rows = [(str(done.frame + 1), *(column.cell(done) for column in shown), f"{done.total_seconds:.1f}") for done in records]
    marked = next((row for row, done in enumerate(records) if done.frame == frame), None)
    remarks = dict.fromkeys(remark for done in records for remark in done.remarks)
    notes = [f"Frame {done.frame + 1}: {text}" for done in records for text in done.notes]
    return table(head, rows, marked) + "".join(box(remark, WARN) for remark in remarks) + "".join(map(note, (*notes, *missing(records))))
