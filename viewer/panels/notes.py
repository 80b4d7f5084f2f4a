"""The panel "Notes": flags and notes of frames and tracks."""

from __future__ import annotations

from collections.abc import Callable

from nicegui import ui

from viewer.notes import LONGEST, Note
from viewer.panels.panel import Panel
from viewer.panels.parts import button, grid, named, note


class NotesPanel(Panel):
    """A note is written when its field is left or Enter is pressed in it."""

    def build(self) -> None:
        with ui.element("div").classes("ts-panel ts-stack"):
            with ui.row().classes("ts-row w-full no-wrap"):
                self._frame = ui.label("").classes("ts-title ts-ellipsis").style("flex:1")
                self._flag = button("Flag", "flag", "Flags this frame, or takes the flag away (M)", lambda: self.tab.do("notes.flag"))
            self._text = self._field("Note on this frame", lambda: self._write(None))
            with ui.column().classes("w-full ts-stack") as self._of_track:
                with ui.row().classes("ts-row w-full no-wrap"):
                    self._track = ui.label("").classes("ts-title ts-ellipsis").style("flex:1")
                    self._flag_track = button(
                        "Flag", "flag", "Flags the selected track in this frame (Shift+M)", lambda: self.tab.do("notes.flag_track")
                    )
                self._track_text = self._field("Note on the track in this frame", lambda: self._write(self.view.main_track()))
            with ui.row().classes("ts-row w-full no-wrap"):
                self._count = ui.label("").classes("ts-title").style("flex:1")
                self._save = button(
                    "Save as CSV", "download", "Downloads all flags and notes as notes.csv", lambda: ui.download("/notes.csv")
                )
            self._table = grid(
                [
                    {"headerName": "Frame", "field": "frame", "width": 52, "flex": 0},
                    {"headerName": "Track", "field": "name", "width": 62, "flex": 0},
                    {"headerName": "Flag", "field": "flag", "width": 42, "flex": 0},
                    {"headerName": "Note", "field": "text", "tooltipField": "text"},
                ],
                self._go,
                row_id="key",
                height="min(50vh, 420px)",
            )
            self._empty = note("No flag and no note yet. M flags the frame shown; a note is written above.")
            self._remove = button("Remove what is chosen", "delete", "Removes the flag and the note of the row chosen", self._remove_row)
        self._chosen: Note | None = None

    def _field(self, label: str, write: Callable[[], None]) -> ui.textarea:
        made = ui.textarea(label).props(f"dense outlined autogrow stack-label maxlength={LONGEST} rows=2").classes("w-full")
        made.on("blur", write)
        made.on("keydown.enter.prevent", write)
        named(made, label, f"{label}; kept when the field is left")
        return made

    def on_state(self, changed: frozenset[str]) -> None:
        if not changed & {"notes", "frame", "tracks", "run", "inspector", "out"} or self.view.inspector != "notes" or self.view.playing:
            return
        notes, frame, track = self.tab.document.notes, self.view.frame, self.view.main_track()
        here = notes.get(frame)
        self._frame.set_text(f"Frame {frame + 1}")
        _show_flag(self._flag, here.flag)
        self._text.value = here.text
        self._of_track.set_visibility(track is not None)
        if track is not None:
            of_track = notes.get(frame, track)
            self._track.set_text(f"Track {self._name(track)} in frame {frame + 1}")
            _show_flag(self._flag_track, of_track.flag)
            self._track_text.value = of_track.text
        if changed & {"notes", "run", "inspector", "out"}:
            self._fill(notes.all())

    def _fill(self, notes: tuple[Note, ...]) -> None:
        self._count.set_text(f"{len(notes)} {'entry' if len(notes) == 1 else 'entries'}")
        for widget in (self._table, self._save, self._remove, self._count):
            widget.set_visibility(bool(notes))
        self._empty.set_visibility(not notes)
        self._table.options["rowData"] = [
            {
                "key": f"{entry.frame}/{entry.track}",
                "frame": entry.frame + 1,
                "track": "" if entry.track is None else entry.track,
                "name": "" if entry.track is None else self._name(entry.track),
                "flag": "⚑" if entry.flag else "",
                "text": entry.text,
            }
            for entry in notes
        ]
        self._table.update()

    def _name(self, track: int) -> str:
        """As in the table of tracks; the number itself where the tracks are not known."""
        tracks = self.tab.document.tracks()
        row = None if tracks is None else tracks.row_of.get(track)
        return str(track) if tracks is None or row is None else tracks.names[row]

    def _write(self, track: int | None) -> None:
        field = self._text if track is None else self._track_text
        if (field.value or "").strip() != self.tab.document.notes.get(self.view.frame, track).text:
            self.tab.do("notes.write", text=field.value or "", track=track)

    def _go(self, row: dict[str, object]) -> None:
        frame, track = int(str(row["frame"])) - 1, None if row["track"] == "" else int(str(row["track"]))
        self._chosen = Note(frame, track)
        self._table.run_row_method(f"{frame}/{track}", "setSelected", True, True)
        self.tab.set(playing=False, frame=frame, **({} if track is None else {"tracks": (track,)}))

    def _remove_row(self) -> None:
        if self._chosen is not None:
            self.tab.do("notes.remove", frame=self._chosen.frame, track=self._chosen.track)
            self._chosen = None


def _show_flag(widget: ui.button, on: bool) -> None:
    widget.set_text("Flagged" if on else "Flag")
    widget.props(f"color={'orange-4' if on else 'blue-3'}")
