"""The bar at the top: what is open, what the program does, what is wrong."""

from __future__ import annotations

from nicegui import ui

from viewer.panels.panel import Panel

FIELDS = frozenset({"activity", "problems", "renderer", "run", "runs", "reconstructed", "frame", "working_on", "draft", "stale", "failed"})


class HeaderPanel(Panel):
    def build(self) -> None:
        ui.label("TrackerSplat").classes("ts-title")
        ui.label(self.tab.document.capture.name).classes("ts-ellipsis").tooltip("The capture that is open")
        self._state = ui.label("").classes("ts-ellipsis").props('role="status" aria-live="polite"')
        ui.space()
        self._activity = ui.label("").classes("ts-ellipsis ts-muted")
        self._problems = ui.button("", icon="warning", on_click=lambda: self._dialog.open()).props(
            "flat dense color=red-4 aria-label=Problems"
        )
        self._problems.tooltip("What went wrong, in sentences")
        with ui.dialog() as self._dialog, ui.card().style("max-width:640px;background:var(--surface)"):
            ui.label("Problems").classes("ts-title")
            self._list = ui.column().classes("w-full")

    def on_state(self, changed: frozenset[str]) -> None:
        if not changed & FIELDS:
            return
        shared = self.shared
        text, kind = frame_words(self)
        self._state.set_text(text)
        self._state.classes(replace=f"ts-ellipsis ts-{kind}")
        self._activity.set_text(shared.activity or shared.renderer)
        count = len(shared.problems)
        self._problems.set_visibility(count > 0)
        self._problems.set_text(f"{count} problem{'s' if count != 1 else ''}")
        if "problems" in changed:
            self._list.clear()
            with self._list:
                for _, sentence in shared.problems:
                    ui.label(sentence).classes("ts-problem w-full")


def frame_words(panel: Panel) -> tuple[str, str]:
    """What is known of the current frame, in words, and the class of their colour."""
    shared, frame = panel.shared, panel.view.frame
    head = f"Frame {frame + 1} of {shared.frame_count}: "
    if shared.draft is not None and shared.draft.frame == frame:
        return head + "being optimised", "warn"
    state = shared.frame_state(frame)
    if state == "running":
        return head + "being reconstructed", "warn"
    if state == "stale":
        return head + "out of date: an edit came after it", "warn"
    if state == "done":
        return head + "reconstructed", "good"
    source = shared.source_of(frame)
    lead = head + ("failed; " if state == "failed" else "not reconstructed; ")
    return (lead + "photographs only", "muted") if source is None else (lead + f"showing frame {source + 1}, dimmed", "warn")
