"""The selected track: why it fails, its patches and residuals over time, all evidence, and what can be done about it."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Sequence

from nicegui import background_tasks, context, ui

from trackersplat.diagnosis.categories import Category
from trackersplat.errors import InputError
from viewer import history, theme
from viewer.commands.registry import COMMANDS
from viewer.components.evidence import EvidenceTable
from viewer.components.filmstrip import FilmStrip
from viewer.components.track_curve import TrackCurve
from viewer.panels.panel import Panel
from viewer.panels.parts import gives_keys_back, keys, tracker_offers, with_key
from viewer.panels.track_style import add_style
from viewer.views import evidence
from viewer.views.filmstrip import Strip, cut_strip, empty_strip, strip_frames, strip_rows
from viewer.views.table import TrackList

# Command, label, icon, tooltip
ACTIONS = (
    (
        "act.retrack_forward",
        "Re-track forward",
        "east",
        "Follows the selected tracks anew from this frame on, with the tracker chosen here",
    ),
    (
        "act.retrack_backward",
        "Re-track back",
        "west",
        "Follows the selected tracks anew from this frame back, with the tracker chosen here",
    ),
    ("act.end", "End track here", "block", "The selected tracks end in this frame"),
    (
        "act.drop_view",
        "Drop this view",
        "visibility_off",
        "The tracks of this camera have no weight in the frames in which the track fails",
    ),
    ("act.reseed", "Start new tracks", "add_location", "New tracks start in this frame in the camera of the active pane, where none are"),
    ("act.rerun", "Run the span again", "replay", "The frames between in and out point, or those in which the track fails, are made again"),
)
LATEST_EDITS = 30  # that the panel lists

log = logging.getLogger(__name__)


class TrackPanel(Panel):
    def build(self) -> None:
        add_style()
        self._shown: tuple[int, int] | None = None  # id of the diagnosis, row
        self._strip_key: tuple[object, ...] | None = None
        self._serial = 0  # of the filmstrip that is wanted
        self._client = context.client
        self._lock = threading.Lock()
        with ui.element("div").classes("ts-panel ts-track-panel"):
            self._nothing = ui.label("").classes("ts-muted")
            with ui.element("div").classes("ts-track") as self._body:
                self._build_head()
                capture = self.tab.document.capture
                ui.label("Patches").classes("ts-section")
                self._film = FilmStrip(len(capture.cameras), capture.frame_count, self._pick)
                ui.label("Residuals").classes("ts-section")
                self._curve = TrackCurve(lambda frame: self.tab.do("time.seek", frame=frame))
                self._build_actions()
                self._facts_title = ui.label("").classes("ts-section")
                self._facts = EvidenceTable()
            self._edits_box = ui.column().classes("full-width").style("gap:4px;margin-top:8px")
            with self._edits_box:
                with ui.row().classes("full-width items-center no-wrap").style("gap:4px"):
                    self._edits_title = ui.label("").classes("ts-section col")
                    self._undo, self._redo, self._again = (
                        self._command_button(name, icon)
                        for name, icon in (("act.undo", "undo"), ("act.redo", "redo"), ("job.stale", "restart_alt"))
                    )
                self._edits = ui.element("div").classes("ts-edits full-width")

    def _build_head(self) -> None:
        with ui.element("div").classes("ts-track-head"):
            self._mark = ui.element("i").classes("ts-mark").props('aria-hidden="true"')
            self._title = ui.label("").classes("ts-title col ts-ellipsis")
            for name, icon in (("selection.previous", "navigate_before"), ("selection.next", "navigate_next")):
                self._command_button(name, icon)
        self._reason = ui.label("")
        self._help = ui.label("").classes("ts-muted")
        self._others = ui.label("").classes("ts-small ts-muted")

    def _build_actions(self) -> None:
        ui.label("Mend").classes("ts-section")
        usable = {name: name or "the run's tracker" for name in tracker_offers()[0]}
        with ui.row().classes("items-center no-wrap").style("gap:6px"):
            ui.label("Re-track with").classes("ts-muted")
            self._tracker = (
                ui.select(usable, value="").props('dense outlined options-dense aria-label="Tracker to re-track with"').classes("col")
            )
            gives_keys_back(self._tracker).tooltip("The tracker that the two buttons below take")
        with ui.element("div").classes("ts-actions"):
            for name, label, icon, hint in ACTIONS:
                command = COMMANDS[name]
                button = ui.button(label, icon=icon, on_click=lambda name=name: self._act(name)).props("outline dense no-wrap")
                button.tooltip(hint + (f" ({'+'.join(keys(command.hotkey))})" if command.hotkey else "") + "; can be undone")
        ui.label("Ctrl-click in a camera pane puts the track where the point is. Edits take effect when the frames are run again.").classes(
            "ts-small ts-muted"
        )

    def _command_button(self, name: str, icon: str) -> ui.button:
        command = COMMANDS[name]
        button = ui.button(icon=icon, on_click=lambda: self.tab.do(name)).props(f'flat dense aria-label="{command.title}"')
        button.tooltip(with_key(command))
        return button

    # -- what the user does -------------------------------------------------------------------------------------------

    def _act(self, name: str) -> None:
        if name.startswith("act.retrack"):
            self.tab.do(name, tracker=self._tracker.value or None)
        else:
            self.tab.do(name)

    def _pick(self, camera: int, frame: int) -> None:
        self.tab.do("time.seek", frame=frame)
        self.tab.do("camera.show", camera=camera)

    # -- following ----------------------------------------------------------------------------------------------------

    def on_state(self, changed: frozenset[str]) -> None:
        if changed & {"edits", "run", "stale"}:
            self._list_edits()
        if self.view.inspector != "track":
            return
        if changed & {"tracks", "frame", "diagnosed", "diagnosing", "run", "inspector"}:
            self._follow()

    def _follow(self) -> None:
        tracks, main = self.tab.document.tracks(), self.view.main_track()
        row = None if tracks is None or main is None else tracks.row_of.get(main)
        self._body.set_visibility(row is not None)
        self._nothing.set_visibility(row is None)
        if tracks is None or row is None:
            self._shown = self._strip_key = None
            self._nothing.set_text(self._why_nothing(tracks, main))
            return
        frame = self.view.frame
        if self._shown != (id(tracks), row):
            self._shown = (id(tracks), row)
            self._curve.show(evidence.curve(tracks, row))
        self._curve.set_cursor(frame)
        self._film.set_cursor(frame)
        self._head(tracks, row, frame)
        self._facts_title.set_text(f"Evidence in frame {frame + 1}" + ("" if tracks.frame_row(frame) is not None else ": not diagnosed"))
        self._facts.show(evidence.values(tracks, row, frame))
        self._want_strip(tracks, row, frame)

    def _why_nothing(self, tracks: TrackList | None, main: int | None) -> str:
        if tracks is None:
            return self.shared.diagnosing or "There are no diagnosed tracks yet: reconstruct first."
        if main is None:
            return "No track is selected. Click one in the table or in a picture, or press N for the worst failure."
        return f"The selected track {main} is not in this run."

    def _head(self, tracks: TrackList, row: int, frame: int) -> None:
        category, sentence = evidence.reason(tracks, row, frame)
        camera = tracks.diagnosis.cameras[int(tracks.diagnosis.camera[row])]
        self._mark.style(f"background:{theme.CATEGORY_COLOURS[category]}")
        self._title.set_text(f"Track {tracks.names[row]} in {camera}: {evidence.state_at(tracks, row, frame)}")
        self._reason.set_text(sentence)
        self._help.set_text(f"What helps: {category.action}" if category.action and category != Category.NONE else "")
        self._help.set_visibility(bool(self._help.text))
        others = len(self.view.tracks) - 1
        self._others.set_text(f"{others:,} more selected: the actions below are for all of them." if others else "")
        self._others.set_visibility(others > 0)

    def _list_edits(self) -> None:
        edits = self.tab.document.edits.log
        count = edits.position
        stale = f"; {len(self.shared.stale):,} frames are out of date" if self.shared.stale else ""
        self._edits_title.set_text(f"Edits of this run: {count:,}{stale}" if edits.entries else "Edits of this run: none yet")
        self._undo.set_enabled(edits.can_undo)
        self._redo.set_enabled(edits.can_redo)
        self._again.set_enabled(bool(self.shared.stale))
        self._edits.clear()
        first = max(len(edits.entries) - LATEST_EDITS, 0)
        with self._edits:
            for index in range(len(edits.entries) - 1, first - 1, -1):
                entry = edits.entries[index]
                with ui.element("div").classes("ts-edit" + ("" if index < count else " undone")):
                    ui.label(f"{index + 1}").classes("ts-muted")
                    ui.label(history.named(self.tab.document, entry)).tooltip(
                        f"Made {entry.time.replace('T', ' ')[:16]}" + ("" if index < count else "; undone")
                    )
            if first:
                ui.label(f"and {first:,} earlier").classes("ts-muted")

    # -- the filmstrip ------------------------------------------------------------------------------------------------

    def _want_strip(self, tracks: TrackList, row: int, frame: int) -> None:
        frames = strip_frames(tracks, row, frame)
        key = (id(tracks), row, frames)
        if key == self._strip_key:
            return
        self._strip_key = key
        with self._lock:
            self._serial += 1
            serial = self._serial
        background_tasks.create(self._make_strip(tracks, row, frame, frames, serial), name="filmstrip")

    async def _make_strip(self, tracks: TrackList, row: int, frame: int, frames: Sequence[int], serial: int) -> None:
        """Cuts the patches on a thread, row by row; a newer wish ends it."""
        capture = self.tab.document.capture
        rows = strip_rows(tracks, capture.cameras, row, frames, frame)
        strips = [empty_strip(one, frames) for one in rows]
        self._put_strip(frames, strips, serial)
        loop = asyncio.get_running_loop()
        for place, one in enumerate(rows):
            try:
                source = await loop.run_in_executor(
                    None, cut_strip, one, frames, capture.cameras[one.camera], capture.image, lambda: self._serial != serial
                )
            except InputError as error:
                self.tab.store.problem("filmstrip", str(error))
                return
            if source is None or self._serial != serial:
                return
            was = strips[place]
            strips[place] = Strip(was.camera, was.label, was.hint, was.states, was.titles, source)
            self._put_strip(frames, strips, serial)

    def _put_strip(self, frames: Sequence[int], strips: Sequence[Strip], serial: int) -> None:
        if self._serial == serial and not self._client.is_deleted:
            with self._client:
                self._film.show(frames, strips)

    def close(self) -> None:
        self._serial += 1
