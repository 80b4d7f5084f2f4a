"""The 3D stage: viser's picture in a frame, what is done or missing in words, and the few buttons that belong to it."""

from __future__ import annotations

import math
from typing import Any

from nicegui import ui
from nicegui.events import GenericEventArguments

from viewer.components.select_tool import SelectTool
from viewer.panels.panel import Panel
from viewer.panels.parts import with_key
from viewer.photographs import photo_url

LARGEST = 8192  # pixels, width and height
BUTTONS = (
    ("stage.cameras", "videocam", "show_cameras"),
    ("stage.trails", "timeline", "show_trails"),
    ("stage.start", "home", ""),
    ("stage.overview", "zoom_out_map", ""),
    ("stage.selection", "center_focus_strong", ""),
)

# The frame starts at the screen's own pixels; it tells its size whenever it changes: viser does so only now and then.
_START = """
const frame = document.getElementById('%(frame)s'), ratio = window.devicePixelRatio || 1;
frame.src = 'stage/%(tab)s/?fixedDpr=' + ratio + '&hideViserLogo';
const tell = () => { const w = Math.round(frame.clientWidth * ratio), h = Math.round(frame.clientHeight * ratio);
  if (w > 0 && h > 0) frame.dispatchEvent(new CustomEvent('stage-size', {detail: {w, h, ratio}})); };
new ResizeObserver(tell).observe(frame); tell();
"""
# Keys pressed in the frame are the page's keys, too; what viser does with keys of its own (flying by W, A, S, D) is left out.
_KEYS = """(e) => { const d = e.target.contentWindow; if (!d) return;
  for (const kind of ['keydown', 'keyup']) d.addEventListener(kind, (k) => { k.stopImmediatePropagation(); k.preventDefault();
    document.dispatchEvent(new KeyboardEvent(kind, {key: k.key, code: k.code, location: k.location, repeat: k.repeat, ctrlKey: k.ctrlKey,
      altKey: k.altKey, shiftKey: k.shiftKey, metaKey: k.metaKey, bubbles: true})); }, true); }"""


class StageViewPanel(Panel):
    def build(self) -> None:
        from viewer.commands.registry import COMMANDS

        with (
            ui.element("section")
            .props('aria-label="3D stage"')
            .style("position:relative;width:100%;height:100%;background:var(--bg);overflow:hidden")
        ):
            (
                ui.element("img")
                .props(f'alt="" src="{photo_url(*self.tab.document.home_photo_frame(self.view.frame))}"')
                .style("position:absolute;inset:0;width:100%;height:100%;object-fit:cover;filter:brightness(.4)")
            )
            self._frame = (
                ui.element("iframe")
                .props('title="3D stage" tabindex="0"')
                .style("position:absolute;inset:0;width:100%;height:100%;background:transparent;opacity:0;pointer-events:none")
            )
            self._frame.on("load", js_handler=_KEYS)
            self._frame.on("stage-size", self._sized, js_handler="(e) => emit(e.detail)")
            self._tool = SelectTool(stage=True)
            self._tool.on_outline(lambda outline: self.tab.do("select.drawn", outline=outline))
            self._tool.on_brush(lambda radius: self.tab.do("tool.radius", radius=radius))
            with (
                ui.element("div")
                .style("position:absolute;left:8px;top:8px;display:flex;gap:2px;align-items:center")
                .classes("ts-stage-bar")
            ):
                self._buttons = []
                for name, icon, field in BUTTONS:
                    command = COMMANDS[name]
                    button = ui.button(icon=icon, on_click=lambda _, name=name: self.tab.do(name)).props("flat dense size=sm color=grey-4")
                    button.props(f'aria-label="{command.title}"').style("background:#14171cc0")
                    with button:
                        ui.tooltip(with_key(command))
                    self._buttons.append((button, field))
            self._words = (
                ui.label("")
                .props('role="status" aria-live="polite"')
                .classes("ts-small")
                .style("position:absolute;left:8px;bottom:8px;max-width:calc(100% - 16px);padding:3px 8px;border-radius:3px")
                .style("background:#14171cd0;color:var(--text);pointer-events:none")
            )
        # The size is told to a listener that has to be there first.
        ui.timer(0.01, lambda: ui.run_javascript(_START % {"frame": self._frame.html_id, "tab": self.tab.id}), once=True)

    def _sized(self, event: GenericEventArguments) -> None:
        canvas = read_canvas(event.args)
        if canvas is not None:
            self.tab.set(canvas=canvas)

    def on_state(self, changed: frozenset[str]) -> None:
        if "stage_shown" in changed:
            shown = self.view.stage_shown  # a click into an empty frame would take the keys away from the page
            self._frame.style(f"opacity:{1 if shown else 0};pointer-events:{'auto' if shown else 'none'}")
        if changed & {"tool", "brush", "answered"}:
            self._tool.follow(self.view.tool, self.view.brush, self.view.answered)
        if changed & {"show_cameras", "show_trails"}:
            for button, field in self._buttons:
                if field:
                    on = bool(getattr(self.view, field))
                    button.props(f"color={'light-blue-3' if on else 'grey-6'} aria-pressed={'true' if on else 'false'}")
        if changed & WORDS:
            text = self.words()
            self._words.set_text(text)
            self._words.set_visibility(bool(text))

    def words(self) -> str:
        """What is done or missing, while it matters here."""
        shared, view, document = self.shared, self.view, self.tab.document
        home = document.capture.cameras[document.framing.home].name
        if not shared.ready:
            return f"{sentence(shared.activity) or 'Starting the renderer …'} Until then: photograph of {home}."
        if shared.source_of(view.frame) is None:
            return f"Nothing is reconstructed yet: photograph of {home}, in its place."
        if not view.stage_shown:
            return "Drawing the first picture …"
        if view.show_trails and view.trails_of == "tracks" and document.diagnosis() is None:
            return "No trails: the tracks are not diagnosed yet."
        if view.show_trails and view.trails_of == "gaussians":
            if not document.paths.is_read():
                return "Reading where the Gaussians are in all frames …"
            if document.paths.get() is None:
                return "No trails: no Gaussian moves in this run."
        if view.show_trails and view.frame not in shared.reconstructed:
            return f"No trails: frame {view.frame + 1} is not reconstructed."
        return ""


WORDS = frozenset(
    {"ready", "activity", "frame", "stage_shown", "reconstructed", "draft", "show_trails", "trails_of", "diagnosed", "paths", "run"}
)


def sentence(activity: str) -> str:
    """With a capital and a full stop."""
    text = activity.strip().rstrip(".")
    return f"{text[:1].upper()}{text[1:]}." if text and not text.endswith("…") else f"{text[:1].upper()}{text[1:]}"


def read_canvas(told: Any) -> tuple[int, int, float] | None:
    """Width, height and device pixels per CSS pixel as a page tells them; None if that is nonsense."""
    if not isinstance(told, dict):
        return None
    width, height, ratio = (told.get(name) for name in ("w", "h", "ratio"))
    if not (isinstance(width, int) and isinstance(height, int) and isinstance(ratio, (int, float))) or isinstance(width, bool):
        return None
    if not (0 < width <= LARGEST and 0 < height <= LARGEST and math.isfinite(ratio) and 0.1 <= ratio <= 10):
        return None
    return width, height, float(ratio)
