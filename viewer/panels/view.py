"""The "View" tab: which camera, what is compared, which layers."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import viser

from trackersplat.captures.capture import Capture
from viewer.panels.html import MUTED, note, text
from viewer.panels.panel import Panel, PanelContext
from viewer.panels.widgets import assign
from viewer.state import COMPARES, MODES, State

FREE = "Free view"
COMPARE_LABELS = {"render": "Render", "photo": "Photo", "wipe": "Wipe", "error": "Error"}
MODE_LABELS = {"colour": "Colour", "depth": "Depth", "opacity": "Opacity"}
TRAIL_COLOURS = {"speed": "Speed", "track": "Track"}


class ViewPanel(Panel):
    """Changes nothing but the store."""

    def __init__(self, context: PanelContext) -> None:
        super().__init__(context)
        gui, capture, store = context.gui, context.capture, context.store
        self._runs = context.runs
        self._names = tuple(_label(capture, index) for index in range(len(capture.cameras)))
        self._run = gui.add_dropdown("Run", ("–",), initial_value="–", visible=False, hint="Which reconstruction of this capture is shown")
        self._camera = gui.add_dropdown("Camera", (FREE, *self._names), initial_value=FREE, hint="Or click a camera in the scene")
        self._free = gui.add_button("Back to free view", icon=viser.Icon.ARROW_BACK_UP, visible=False)
        self._compare = gui.add_button_group("Compare", tuple(COMPARE_LABELS.values()), visible=False)
        self._wipe = gui.add_slider(
            "Wipe", 0.0, 1.0, 0.01, 0.5, visible=False, hint="Left of the line the photograph, right of it the render"
        )
        self._explain = gui.add_html("", visible=False)
        self._mode = gui.add_dropdown("Show", tuple(MODE_LABELS.values()), initial_value="Colour")
        gui.add_divider()
        self._cameras = gui.add_checkbox("Cameras", True, hint="Camera frusta with their images (free view)")
        self._trails = gui.add_checkbox("3D trails", True, hint="Where the fastest Gaussians came from (free view)")
        self._length = gui.add_slider("Trail length", 2, 30, 1, store.state.trail_length, hint="Frames that trails and 2D tracks lead back")
        self._colour = gui.add_dropdown("Trail colour", tuple(TRAIL_COLOURS.values()), initial_value="Speed")
        self._tracks = gui.add_checkbox(
            "2D tracks", store.state.show_tracks, hint="Where the tracked points of a training camera came from; a cross where a track ends"
        )
        with gui.add_folder("Keys", expand_by_default=False):
            gui.add_html(_keys())

        self._run.on_update(lambda _: self._choose_run())
        self._camera.on_update(lambda _: self._choose())
        self._free.on_click(lambda _: store.set(camera=None))
        self._compare.on_click(lambda event: store.set(compare=_key(COMPARE_LABELS, str(event.target.value).strip("[ ]"))))
        self._wipe.on_update(lambda _: store.set(wipe=float(self._wipe.value)))
        self._mode.on_update(lambda _: store.set(mode=_key(MODE_LABELS, self._mode.value)))
        self._cameras.on_update(lambda _: store.set(show_cameras=self._cameras.value))
        self._trails.on_update(lambda _: store.set(show_trails=self._trails.value))
        self._length.on_update(lambda _: store.set(trail_length=int(self._length.value)))
        self._colour.on_update(lambda _: store.set(trail_colour=_key(TRAIL_COLOURS, self._colour.value)))
        self._tracks.on_update(lambda _: store.set(show_tracks=self._tracks.value))
        self._add_keys(gui)
        store.subscribe(self._on_change)
        self._on_change(store.state, frozenset({"camera", "compare"}))

    def _add_keys(self, gui: viser.GuiApi) -> None:
        store = self._store
        for label, hotkey, change in (
            ("Free view", "F", lambda s: {"camera": None}),
            ("Next camera", "N", lambda s: {"camera": self._neighbour(s, 1)}),
            ("Previous camera", "P", lambda s: {"camera": self._neighbour(s, -1)}),
            ("Compare with the photograph: next way", "G", lambda s: {"compare": _after(COMPARES, s.compare)}),
            ("Colour, depth or opacity", "M", lambda s: {"mode": _after(MODES, s.mode)}),
            ("2D tracks on or off", "T", lambda s: {"show_tracks": not s.show_tracks}),
        ):
            gui.add_command(label, hotkey=hotkey).on_trigger(lambda _, change=change: store.set(**change(store.state)))  # type: ignore[arg-type, misc]

    def _neighbour(self, state: State, step: int) -> int:
        if state.camera is None:
            return 0 if step > 0 else len(self._names) - 1
        return (state.camera + step) % len(self._names)

    def _choose(self) -> None:
        value = self._camera.value
        self._store.set(camera=None if value == FREE else self._names.index(value))

    def _choose_run(self) -> None:
        state = self._store.state
        chosen = next((path for path in state.runs if run_label(path) == self._run.value), None)
        if chosen is not None and chosen != state.run:
            self._runs.show(chosen)

    def _on_change(self, state: State, changed: frozenset[str]) -> None:
        through = state.camera is not None
        assign(self._camera, FREE if state.camera is None else self._names[state.camera])
        assign(self._mode, MODE_LABELS[state.mode])
        assign(self._wipe, state.wipe)
        assign(self._tracks, state.show_tracks)
        if changed & {"run", "runs"} and state.run is not None:
            labels = tuple(run_label(path) for path in state.runs)
            if self._run.options != labels:
                self._run.options = labels
            self._run.visible = len(labels) > 1
            assign(self._run, run_label(state.run))
        if changed & {"camera", "compare"}:
            self._free.visible = self._compare.visible = self._explain.visible = through
            self._wipe.visible = through and state.compare == "wipe"
            self._compare.options = tuple(f"[ {label} ]" if key == state.compare else label for key, label in COMPARE_LABELS.items())
            self._explain.content = note(_EXPLANATIONS[state.compare])


def run_label(path: Path) -> str:
    """The path as seen from the working folder, if it lies in it."""
    with contextlib.suppress(ValueError):
        return str(path.resolve().relative_to(Path.cwd()))
    return str(path)


def _label(capture: Capture, index: int) -> str:
    name = capture.cameras[index].name
    return f"{name} (held out)" if name in capture.held_out else name


def _key(labels: dict[str, str], label: str) -> str:
    return next(key for key, value in labels.items() if value == label)


def _after(options: tuple[Any, ...], current: object) -> Any:
    return options[(options.index(current) + 1) % len(options)]


_KEYS = (
    ("Space", "play or pause"),
    ("J  L", "one frame back, on (with Shift: ten)"),
    ("K", "stop"),
    ("Home  End", "first, last frame"),
    ("N  P", "next, previous camera"),
    ("F", "free view"),
    ("G", "render, photo, wipe, error"),
    ("M", "colour, depth, opacity"),
    ("T", "2D tracks"),
    ("W A S D Q E", "walk"),
    ("Ctrl K", "all commands"),
)


def _keys() -> str:
    cell = '<td style="padding:1px 14px 1px 0;white-space:nowrap">'
    rows = "".join(f"<tr>{cell}<b>{text(key)}</b></td><td>{text(what)}</td></tr>" for key, what in _KEYS)
    return f'<table style="font-size:12px;color:{MUTED};margin:0 12px">{rows}</table>'


_EXPLANATIONS = {
    "render": "The reconstruction, pixel for pixel as this camera sees it.",
    "photo": "The photograph of this camera.",
    "wipe": "Left of the line the photograph, right of it the reconstruction.",
    "error": "Mean absolute difference of the colours: dark blue 0, red 64 of 255 levels and more.",
}
