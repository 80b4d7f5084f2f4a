"""The clip: which frames are played, and how fast."""

from __future__ import annotations

from nicegui import ui

from viewer.panels.panel import Panel
from viewer.panels.parts import button, named, note


class ClipSection(Panel):
    def build(self) -> None:
        with ui.element("div").classes("w-full ts-stack").style("gap:6px"):
            self._words = note("")
            with ui.row().classes("ts-row w-full no-wrap"):
                self._trim = button(
                    "Trim",
                    "content_cut",
                    "The clip is the frames from in to out point (I and O); nothing is lost",
                    lambda: self.tab.do("clip.trim"),
                )
                self._speed = ui.number("Speed", value=1.0, min=0.01, max=100, step=0.25).props(
                    "dense outlined stack-label hide-bottom-space"
                )
                self._speed.classes("ts-number")
                named(self._speed, "Speed of the clip", "2 plays twice as fast and leaves out every other frame; 0.5 shows each twice")
                self._backwards = named(ui.checkbox("Backwards").props("dense"), "Backwards", "The clip is played from its end")
                button("Retime", "speed", "Gives the clip this speed; can be undone", self._retime)

    def on_state(self, changed: frozenset[str]) -> None:
        if not changed & {"scene", "inspector", "run", "first", "last", "reconstructed"} or self.view.inspector != "edit":
            return
        self._trim.set_enabled(self.view.first is not None or self.view.last is not None)
        document = self.tab.document.editing.current()
        self._words.set_text("" if document is None else clip_words(document.frames, self.shared.reconstructed))

    def _retime(self) -> None:
        self.tab.do("clip.retime", speed=float(self._speed.value or 1.0), backwards=bool(self._backwards.value))


def clip_words(frames: tuple[int, ...], reconstructed: tuple[int, ...]) -> str:
    """What is played, in a sentence."""
    if frames == reconstructed:
        return f"The clip is all {len(frames)} reconstructed frames." if len(frames) > 1 else "The clip is the only reconstructed frame."
    if not frames:
        return "The clip has no frames."
    order = "" if list(frames) == sorted(set(frames)) else ", in an order or at a speed of its own"
    first, last = min(frames) + 1, max(frames) + 1
    return f"The clip has {len(frames)} of {len(reconstructed)} frames: {first if first == last else f'{first} to {last}'}{order}."
