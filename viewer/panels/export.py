"""The panel "Export": the scene in the formats of other programs, how large the files are and what they lose."""

from __future__ import annotations

from nicegui import ui

from trackersplat.captures.camera_files.registry import CAMERA_FILES
from trackersplat.gaussians.exporters.registry import EXPORTERS
from trackersplat.jobs.tracks_format import TITLE, TRACKS
from viewer.export_job import ExportChoice
from viewer.panels.file_card import FileCard, FileWork
from viewer.panels.panel import Panel
from viewer.panels.parts import note, number, offers, select

AS_IT_IS = -1  # degree of the harmonics
DEGREES = {AS_IT_IS: "as in the run", 3: "3", 2: "2", 1: "1", 0: "0: colours without direction"}
SHARES = {0.0: "none", 0.001: "0.1 % of the picture", 0.01: "1 % of the picture", 0.05: "5 % of the picture"}
WORK = FileWork("export", "Export", "ios_share", "Writes in a process of its own", "export.cancel", "/exports")


class ExportPanel(Panel):
    """What is chosen here belongs to the tab; the export and its files to all tabs."""

    def build(self) -> None:
        names, missing = offers(EXPORTERS)
        cameras, _ = offers(CAMERA_FILES)
        count = self.shared.frame_count
        with ui.element("div").classes("ts-panel ts-stack"):
            ui.label("Export").classes("ts-title")
            self._titles = {facts.name: facts.title for registry in (EXPORTERS, CAMERA_FILES) for facts in registry}
            self._titles[TRACKS] = TITLE
            names |= cameras | {TRACKS: f"{TRACKS}: {TITLE}"}
            self._format = select("Format", "What is written, and by which program it can be opened", names, "html", self._follow)
            self._about = note("").classes("ts-small")
            with ui.row().classes("ts-row w-full no-wrap"):
                self._first = number("In point", "First frame; the key I sets it to the frame shown", 1, count, "1", self._set_ends)
                self._last = number("Out point", "Last frame; the key O sets it to the frame shown", 1, count, str(count), self._set_ends)
            with ui.element("div").classes("ts-options").style("grid-template-columns:1fr 1fr;padding:0"):
                self._degree = select("Harmonics up to", "Lower degrees make smaller files", DEGREES, AS_IT_IS)
                self._share = select("Leave out", "The faintest Gaussians, which together make this share of what cameras see", SHARES, 0.0)
            self._edits = ui.switch("With the edits of the scene", value=True).props("dense")
            for sentence in missing:
                note(sentence).classes("ts-small")
            self._card = FileCard(self.tab, WORK, self._begin)
        self._follow()

    def _begin(self) -> None:
        degree = int(self._degree.value)
        self.tab.do(
            "export.start",
            choice=ExportChoice(
                str(self._format.value),
                self.view.first,
                self.view.last,
                None if degree == AS_IT_IS else degree,
                float(self._share.value),
                bool(self._edits.value),
            ),
        )

    def _set_ends(self) -> None:
        """The numbers typed here are the in and out points of the timeline."""
        first, last = (None if field.value is None else int(field.value) - 1 for field in (self._first, self._last))
        if (first, last) != (self.view.first, self.view.last):
            self.tab.set(first=first, last=last)

    def _follow(self) -> None:
        """Cameras have neither harmonics nor frames, tracks no harmonics."""
        self._about.set_text(what_it_is(self._titles.get(str(self._format.value), "")))
        gaussians = self._format.value in EXPORTERS
        for field in (self._degree, self._share):
            field.set_enabled(gaussians)
        for end in (self._first, self._last):
            end.set_enabled(gaussians or self._format.value == TRACKS)

    def on_state(self, changed: frozenset[str]) -> None:
        if changed & {"first", "last"}:
            self._first.value = None if self.view.first is None else self.view.first + 1
            self._last.value = None if self.view.last is None else self.view.last + 1
        if not changed & {"export", "run", "reconstructed", "inspector"}:
            return
        why = "" if self.shared.run is not None else "Nothing is reconstructed yet."
        self._card.show(self.tab.document.export, why)


def what_it_is(title: str) -> str:
    """A sentence of the title of a format."""
    return f"{title[:1].upper()}{title[1:]}." if title else ""
