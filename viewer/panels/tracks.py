"""All tracks as a table, worst first; failures by category with what helps."""

from __future__ import annotations

import json
from typing import Any

from nicegui import ui
from nicegui.events import GenericEventArguments, ValueChangeEventArguments

from trackersplat.diagnosis.categories import Category
from trackersplat.words import counted
from viewer import theme
from viewer.commands.act import REMEDIES
from viewer.commands.selection import MOST_SELECTED
from viewer.components.checked import whole_numbers
from viewer.panels.panel import Panel
from viewer.panels.parts import keys
from viewer.panels.track_style import add_style
from viewer.views.table import COLUMNS, FAILED, MOST_ROWS, TrackList

ROW_HEIGHT, HEADER_HEIGHT = 22, 26  # pixels
NAME = str(len(COLUMNS))  # field of the name of a track in a row
TITLES = {int(category): category.title for category in Category}


class TracksPanel(Panel):
    def build(self) -> None:
        add_style()
        self._tracks: TrackList | None = None
        self._ready = False  # the grid is on the page
        self._selected: tuple[int, ...] | None = None  # as the grid shows it
        self._filtered: tuple[str, tuple[int, ...]] | None = None  # as the grid shows it
        with ui.element("div").classes("ts-panel ts-tracks"):
            with ui.row().classes("ts-note full-width no-wrap items-center") as self._status:
                self._status_text = ui.label("").classes("col")
                self._stop = ui.button("Stop", on_click=lambda: self.tab.do("selection.stop_diagnosis")).props("flat dense")
                self._stop.tooltip("Stop diagnosing")
                self._again = ui.button("Diagnose", on_click=lambda: self.tab.do("selection.diagnose")).props("flat dense")
                self._again.tooltip("Diagnose the tracks of this run again")
            with ui.row().classes("full-width items-center no-wrap ts-tracks-head"):
                self._text = ui.input(placeholder="Filter: camera, number, reason, state", on_change=self._type)
                self._text.props('dense outlined clearable debounce=120 aria-label="Filter the tracks"').classes("col")
                self._text.tooltip("Every word must occur in the number, camera, reason or state of a track")
                for name, icon in (("selection.previous", "navigate_before"), ("selection.next", "navigate_next")):
                    from viewer.commands.registry import COMMANDS

                    command = COMMANDS[name]
                    button = ui.button(icon=icon, on_click=lambda name=name: self.tab.do(name))
                    button.props(f'flat dense aria-label="{command.title}"').tooltip(
                        f"{command.title}, by score ({'+'.join(keys(command.hotkey))})"
                    )
            self._chips = ui.row().classes("full-width ts-chips").props('role="group" aria-label="Failures by category"')
            self._triage = ui.column().classes("full-width ts-triage")
            self._summary = ui.label("").classes("ts-small ts-muted").props('role="status"')
            self._grid = ui.aggrid(grid_options(), theme="balham", auto_size_columns=False).classes("full-width ts-track-grid")
            self._grid.props('aria-label="Tracks"')
            self._grid.on("gridReady", self._grid_ready, [])
            ids = f"getElement({self._grid.id}).api"
            # Only what the user does is sent; the row pointed at last is the main track and comes last.
            self._grid.on(
                "selectionChanged",
                self._select,
                js_handler=f"(e) => {{ if (e.source === 'api') return; const api = {ids}; const at = api.getFocusedCell();"
                " const main = at ? api.getDisplayedRowAtIndex(at.rowIndex)?.data[0] : null;"
                " const chosen = api.getSelectedRows().map(row => row[0]);"
                " emit({tracks: chosen.filter(id => id !== main).concat(chosen.includes(main) ? [main] : [])}) }",
            )
            self._grid.on("rowClicked", self._again_clicked, js_handler="(e) => emit({tracks: [e.data[0]]})")

    # -- what the user does -------------------------------------------------------------------------------------------

    def _type(self, event: ValueChangeEventArguments) -> None:
        self.tab.do("selection.filter", text=event.value or "")

    def _select(self, event: GenericEventArguments) -> None:
        chosen = whole_numbers(event.args, "tracks", MOST_ROWS)
        if chosen is None:
            return
        chosen = chosen[-MOST_SELECTED:]
        self._selected = tuple(chosen)
        if len(chosen) == 1:
            self.tab.do("selection.open", track=chosen[0])
        else:
            self.tab.do("selection.set", tracks=chosen)

    def _again_clicked(self, event: GenericEventArguments) -> None:
        """A click on the row that is selected goes back to its worst frame."""
        chosen = whole_numbers(event.args, "tracks", 1)
        if chosen and tuple(chosen) == self.view.tracks and self._tracks is not None:
            row = self._tracks.row_of.get(chosen[0])
            if row is not None and int(self._tracks.summary.worst[row]) != self.view.frame:
                self.tab.do("selection.open", track=chosen[0])

    # -- following ----------------------------------------------------------------------------------------------------

    def on_state(self, changed: frozenset[str]) -> None:
        if changed & {"diagnosed", "diagnosing", "run"}:
            self._follow_status()
        if changed & {"diagnosed", "run"}:
            tracks = self.tab.document.tracks()
            if tracks is not self._tracks:
                self._tracks = tracks
                self._send_rows()
        if changed & {"diagnosed", "run", "filter", "categories"}:
            self._follow_filter()
        if "tracks" in changed:
            self._follow_selection()

    def _follow_status(self) -> None:
        said, there = self.shared.diagnosing, self.tab.document.tracks() is not None
        running = self.tab.document.diagnosing.running
        self._status_text.set_text(said + (" What is below is of the state before." if said and there else ""))
        self._status.set_visibility(bool(said))
        self._stop.set_visibility(running)
        self._again.set_visibility((not running and "not diagnosed" in said) or "stopped" in said)

    def _follow_filter(self) -> None:
        view, tracks = self.view, self._tracks
        if (self._text.value or "") != view.filter:
            self._text.set_value(view.filter)
        self._send_filter()
        counts = {} if tracks is None else tracks.counts(view.filter)
        self._build_chips(counts)
        self._build_triage(counts)
        if tracks is None:
            self._summary.set_text("")
            return
        matching = len(tracks.matching(view.filter, view.categories))
        failed = len(tracks.failures(view.filter, view.categories))
        text = f"{matching:,} of {len(tracks):,} tracks, {failed:,} fail (score {FAILED} or more)"
        if len(tracks) > MOST_ROWS:
            text += f"; the table holds the worst {MOST_ROWS:,}"
        self._summary.set_text(text)

    def _build_chips(self, counts: dict[Category, int]) -> None:
        self._chips.clear()
        on = self.view.categories
        shown = [*counts, *(Category(number) for number in on if Category(number) not in counts)]
        with self._chips:
            for category in shown:
                chip = ui.element("button").classes("ts-chip" + (" on" if category in on else ""))
                chip.props(f"type=button aria-pressed={'true' if category in on else 'false'}")
                chip.on("click", lambda number=int(category): self.tab.do("selection.categories", category=number))
                with chip:
                    mark(category)
                    ui.label(category.title)
                    ui.label(f"{counts.get(category, 0):,}").classes("ts-chip-count")
                    ui.tooltip(f"{category.meaning} Click: show these alone.")
        self._chips.set_visibility(bool(shown))

    def _build_triage(self, counts: dict[Category, int]) -> None:
        self._triage.clear()
        chosen = [Category(number) for number in self.view.categories]
        self._triage.set_visibility(bool(chosen))
        with self._triage:
            for category in chosen:
                count = counts.get(category, 0)
                with ui.element("div").classes("ts-triage-row"):
                    with ui.row().classes("items-center no-wrap full-width"):
                        mark(category)
                        ui.label(f"{category.title}: {counted(count, 'failure')}").classes("text-weight-medium")
                    ui.label(f"{category.meaning} {category.action}").classes("ts-muted")
                    with ui.row().classes("items-center full-width"):
                        select = ui.button(
                            "Select", on_click=lambda number=int(category): self.tab.do("selection.category", category=number)
                        )
                        select.props("flat dense").tooltip(f"Select all {count:,} failures of this kind")
                        select.set_enabled(count > 0)
                        if category in REMEDIES:
                            act = ui.button(
                                REMEDIES[category], on_click=lambda number=int(category): self.tab.do("act.remedy", category=number)
                            )
                            act.props("outline dense").tooltip(
                                f"Adds this to the run's edits, for the selected tracks of this kind, else for all {count:,}; can be undone"
                            )
                            act.set_enabled(count > 0)

    # -- the grid -----------------------------------------------------------------------------------------------------

    def _grid_ready(self) -> None:
        self._ready = True
        self._selected = self._filtered = None
        self._send_rows()

    def _send_rows(self) -> None:
        if not self._ready:
            return
        rows = [] if self._tracks is None else self._tracks.page_rows
        empty = "No tracks yet." if self._tracks is None else "No track matches the filter."
        self._grid.run_grid_method("setGridOption", "overlayNoRowsTemplate", f'<span class="ts-muted">{empty}</span>')
        self._grid.run_grid_method("setGridOption", "rowData", rows)
        self._selected = self._filtered = None
        self._send_filter()
        self._follow_selection()

    def _send_filter(self) -> None:
        """The same as `TrackList.matching`, done by the page, which has the rows."""
        wanted = (self.view.filter, self.view.categories)
        if not self._ready or wanted == self._filtered:
            return
        self._filtered = wanted
        words, categories = json.dumps(self.view.filter.lower().split()), json.dumps(list(self.view.categories))
        ui.run_javascript(
            f"const api = getElement({self._grid.id})?.api, words = {words}, kinds = {categories}, titles = {json.dumps(TITLES)};"
            "if (api) { const shown = row => { if (kinds.length && !kinds.includes(row[3])) return false; if (!words.length) return true;"
            f" const text = [row[{NAME}], row[0], row[1], titles[row[3]], row[10]].join(' ').toLowerCase();"
            " return words.every(word => text.includes(word)); };"
            "api.forEachNode(node => { node.data.hidden = !shown(node.data); });"
            "api.getGridOption('context').filters = words.length + kinds.length > 0; api.onFilterChanged(); }"
        )

    def _follow_selection(self) -> None:
        wanted = self.view.tracks
        if not self._ready or wanted == self._selected:
            return
        self._selected = wanted
        ui.run_javascript(
            f"const api = getElement({self._grid.id})?.api; const wanted = {json.dumps([str(i) for i in wanted])};"
            "if (api) { const nodes = wanted.map(id => api.getRowNode(id)).filter(Boolean);"
            "api.deselectAll('all', 'api'); api.setNodesSelected({nodes, newValue: true, source: 'api'});"
            "const main = nodes[nodes.length - 1];"
            "if (main && main.displayed) { api.ensureNodeVisible(main, null);"
            "api.setFocusedCell(main.rowIndex, api.getFocusedCell()?.column ?? '0'); } else api.clearFocusedCell(); }"
        )


def mark(category: Category) -> None:
    """The coloured mark of a category."""
    ui.element("i").classes("ts-mark").style(f"background:{theme.CATEGORY_COLOURS[category]}").props('aria-hidden="true"')


def grid_options() -> dict[str, Any]:
    """Options of AG Grid; those that begin with a colon are JavaScript."""
    return {
        "columnDefs": [_column(index) for index in range(len(COLUMNS))],
        "defaultColDef": {
            "sortable": True,
            "resizable": True,
            "suppressMovable": True,
            "suppressHeaderMenuButton": True,
            "wrapHeaderText": False,
        },
        "rowData": [],
        "overlayNoRowsTemplate": '<span class="ts-muted">No tracks yet.</span>',
        "rowHeight": ROW_HEIGHT,
        "headerHeight": HEADER_HEIGHT,
        "context": {"filters": False},
        ":getRowId": "p => String(p.data[0])",
        ":isExternalFilterPresent": "p => p.context.filters",
        ":doesExternalFilterPass": "node => !node.data.hidden",
        "rowSelection": {"mode": "multiRow", "checkboxes": False, "headerCheckbox": False, "enableClickSelection": True},
        # Up and Down select; Left and Right are left to time.
        ":navigateToNextCell": (
            "p => { const next = p.nextCellPosition; if (!next || !p.key.match(/Up|Down/)) return p.previousCellPosition;"
            " p.api.deselectAll('all', 'api'); p.api.getDisplayedRowAtIndex(next.rowIndex)?.setSelected(true, true, 'rowClicked');"
            " return next; }"
        ),
        "suppressColumnVirtualisation": True,
        "animateRows": False,
        "suppressDragLeaveHidesColumns": True,
        "tooltipShowDelay": 400,
    }


def _column(index: int) -> dict[str, Any]:
    column = COLUMNS[index]
    found: dict[str, Any] = {
        "colId": str(index),
        "field": str(index),
        "headerName": column.title,
        "headerTooltip": column.hint,
        "width": column.width,
        "minWidth": 40,
        "sortingOrder": ["asc", "desc"] if column.text or column.key == "id" else ["desc", "asc"],
        "cellClass": "ts-text" if column.text else "ts-right",
        "headerClass": "" if column.text else "ts-right",
    }
    if column.digits is not None:
        found[":valueFormatter"] = f"p => p.value == null ? '–' : p.value.toFixed({column.digits})"
    if column.key == "id":
        found |= {":valueFormatter": f"p => p.data[{NAME}]", "pinned": "left", "cellClass": "ts-text", "headerClass": ""}
    if column.key == "category":
        titles = json.dumps(TITLES)
        found |= {
            ":valueFormatter": f"p => ({titles})[p.value] ?? ''",
            ":cellClass": "p => ['ts-text', 'ts-cat', 'ts-cat-' + p.value]",
            ":comparator": f"(a, b) => ({titles})[a].localeCompare(({titles})[b])",
            ":tooltipValueGetter": f"p => ({titles})[p.value]",
        }
    if column.key == "span":
        found |= {":valueFormatter": "p => p.value[0] + '–' + p.value[1]", ":comparator": "(a, b) => a[0] - b[0] || a[1] - b[1]"}
    return found
