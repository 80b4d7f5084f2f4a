"""What the 3D stage and the marks of the camera panes show, and what their colours mean."""

from __future__ import annotations

from nicegui import ui
from nicegui.events import ValueChangeEventArguments

from viewer.commands.cameras import RESIDUAL_SCALES
from viewer.commands.stage import MOST_TRAIL
from viewer.panels.panel import Panel
from viewer.panels.parts import gives_keys_back
from viewer.stage.frusta import ACTIVE_COLOUR, COLOUR, HELD_OUT_COLOUR
from viewer.stage.trails import gaussian_scale, track_scale
from viewer.views.colours import RGB, ColourScale
from viewer.views.compare import role

TITLES = {
    "category": "Category of failure", "score": "Failure score", "error": "Reprojection residual", "id": "Track",
    "confidence": "Confidence", "age": "Age", "speed": "Speed", "views": "Supporting views",
}  # fmt: skip
FIELDS = frozenset(
    {
        "show_cameras", "show_trails", "trails_of", "trail_length", "trail_fade", "colour_by", "diagnosed", "paths", "run", "tracks",
        "measured", "reprojected", "rendered", "residual_scale",
    }
)  # fmt: skip
MARK_WORDS = {
    "measured": ("measured", "Dots: where the tracker measured the point"),
    "reprojected": ("triangulated", "Crosses: the point that all views agree on, projected"),
    "rendered": ("rendered", "Diamonds: the point that the Gaussians carry, projected"),
}


class StageSettingsPanel(Panel):
    def build(self) -> None:
        do = self.tab.do
        with ui.element("div").classes("ts-panel").style("display:flex;flex-direction:column;gap:10px"):
            self._cameras = ui.switch("Cameras", on_change=lambda e: self._switch(e.value, "show_cameras", "stage.cameras")).props("dense")
            self._cameras.tooltip("The capture's cameras (P). Click one: it is shown in the pane. Double click: look through it")
            with ui.element("div").classes("ts-row ts-small"):
                capture = self.tab.document.capture
                _swatch(role(False, capture.filmed), COLOUR)
                if capture.held_out:
                    _swatch(role(True), HELD_OUT_COLOUR)
                _swatch("in the active pane", ACTIVE_COLOUR)
            self._trails = ui.switch("Trails", on_change=lambda e: self._switch(e.value, "show_trails", "stage.trails")).props("dense")
            self._trails.tooltip("Where tracks or Gaussians were before (Shift T). Click a head: its track is selected; Shift adds")
            self._of = (
                ui.toggle({"tracks": "of tracks", "gaussians": "of Gaussians"}, on_change=lambda e: self._choose_of(str(e.value)))
                .props('dense no-caps unelevated aria-label="Trails of"')
                .tooltip("Tracks: the points that all views agree on. Gaussians: what the reconstruction made of them")
            )
            with ui.element("div").classes("ts-row no-wrap").style("width:100%"):
                ui.label("Length").classes("ts-muted")
                self._length = (
                    ui.slider(min=0, max=MOST_TRAIL, step=1, value=8, on_change=lambda e: do("stage.trail_length", frames=int(e.value)))
                    .props('dense aria-label="Length of the trails in frames"')
                    .style("flex:1")
                )
                self._frames = ui.label("").style("min-width:64px;text-align:right")
            self._fade = ui.switch("Older parts are fainter", on_change=lambda e: self._switch(e.value, "trail_fade", "stage.fade")).props(
                "dense"
            )
            self._fade.tooltip("Off: the whole trail is equally bright")
            self._by = (
                ui.select(TITLES, label="Colour by", on_change=lambda e: do("stage.colour_by", by=str(e.value)))
                .props("dense outlined options-dense")
                .classes("w-full")
                .tooltip("What the colour of tracks means, here and in the camera panes")
            )
            gives_keys_back(self._by)
            ui.label("Marks in the camera panes").classes("ts-title")
            with ui.element("div").classes("ts-row"):
                self._marks = {mark: self._mark(mark, words, hint) for mark, (words, hint) in MARK_WORDS.items()}
            self._residual = (
                ui.select(
                    {factor: f"{factor:g}×" if factor else "none" for factor in RESIDUAL_SCALES},
                    label="Residual arrows",
                    on_change=lambda e: do("marks.residual", factor=e.value),
                )
                .props("dense outlined options-dense")
                .classes("w-full")
                .tooltip("From the measured to the triangulated point, this many times as long as it is (Shift A)")
            )
            gives_keys_back(self._residual)
            self._legend = ui.column().classes("w-full").style("gap:4px")
            self._note = ui.label("").classes("ts-muted ts-small")

    def _switch(self, value: bool, field: str, command: str) -> None:
        """The store may have changed the switch; only a user's change is a command."""
        if bool(value) != getattr(self.view, field):
            self.tab.do(command)

    def _mark(self, mark: str, words: str, hint: str) -> ui.switch:
        def changed(event: ValueChangeEventArguments[bool | None]) -> None:
            if bool(event.value) != getattr(self.view, mark):
                self.tab.do("marks.show", mark=mark)

        made = ui.switch(words, on_change=changed).props("dense")
        made.tooltip(hint)
        return made

    def _choose_of(self, what: str) -> None:
        if what != self.view.trails_of:
            self.tab.do("stage.trails_of", what=what)

    def on_state(self, changed: frozenset[str]) -> None:
        if not changed & FIELDS:
            return
        view = self.view
        self._cameras.set_value(view.show_cameras)
        self._trails.set_value(view.show_trails)
        self._of.set_value(view.trails_of)
        self._length.set_value(view.trail_length)
        self._frames.set_text(f"{view.trail_length} frame{'' if view.trail_length == 1 else 's'}")
        self._fade.set_value(view.trail_fade)
        self._by.set_value(view.colour_by)
        for mark, switch in self._marks.items():
            switch.set_value(getattr(view, mark))
        self._residual.set_value(view.residual_scale)
        if changed & {"colour_by", "trails_of", "diagnosed", "paths", "run"}:
            self._draw_legend()

    def _draw_legend(self) -> None:
        view, document = self.view, self.tab.document
        diagnosis = document.diagnosis()
        of_gaussians = view.trails_of == "gaussians"
        scale = gaussian_scale(view.colour_by, document.paths.get()) if of_gaussians else track_scale(view.colour_by, diagnosis)
        self._legend.clear()
        with self._legend:
            colour_bar(scale)
        known = (
            "Gaussians have a speed; by anything else each has a colour of its own." if of_gaussians and view.colour_by != "speed" else ""
        )
        missing = "The tracks are not diagnosed yet." if diagnosis is None and not of_gaussians else ""
        self._note.set_text(
            known or missing or "A gap in a trail: no position there. Hollow head: the track says it is hidden. Faint: behind a surface."
        )


def colour_bar(scale: ColourScale) -> None:
    """A scale with its ends, or the kinds with their colours."""
    ui.label(scale.title + (f", {scale.unit}" if scale.unit else "")).classes("ts-small")
    if scale.labels:
        with ui.element("div").classes("ts-small").style("display:grid;grid-template-columns:1fr 1fr;gap:2px 10px"):
            for text, colour in scale.labels:
                _swatch(text, colour)
    elif scale.map != "grey":
        stops = ",".join(f"rgb({red},{green},{blue})" for red, green, blue in scale.stops())
        ui.element("div").style(f"height:10px;width:100%;border-radius:2px;background:linear-gradient(90deg,{stops})").props(
            f'role="img" aria-label="Colours from {scale.low:.3g} to {scale.high:.3g}"'
        )
        with ui.element("div").classes("ts-small").style("display:flex;justify-content:space-between;width:100%"):
            for value in (scale.low, (scale.low + scale.high) / 2, scale.high):
                ui.label(f"{value:.3g}")
    if scale.empty:
        _swatch(scale.empty, (125, 135, 148))


def _swatch(text: str, colour: RGB) -> None:
    red, green, blue = colour
    with ui.element("div").style("display:flex;align-items:center;gap:5px;min-width:0"):
        ui.element("span").style(f"flex:none;width:10px;height:10px;border-radius:2px;background:rgb({red},{green},{blue})")
        ui.label(text).classes("ts-ellipsis")
