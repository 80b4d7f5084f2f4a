"""The timeline at the bottom of the page: where we are, what is there, and the transport keys."""

from __future__ import annotations

import time

import viser

from trackersplat.captures.capture import Capture
from viewer.panels.html import ACCENT, GOOD, MUTED, WARN, note, problems, text
from viewer.panels.panel import Panel, PanelContext
from viewer.panels.widgets import assign
from viewer.state import SPEEDS, State

PLAY, PAUSE = "▶ Play", "❚❚ Pause"
FIRST, BACK, FORWARD, LAST = "|◀", "‹", "›", "▶|"
LOOP_ON, LOOP_OFF = "Loop on", "Loop off"
PLAYING_INTERVAL = 0.1  # seconds between updates of the widgets while playing


class Timeline(Panel):
    """Follows the store and changes nothing but the store."""

    def __init__(self, context: PanelContext) -> None:
        super().__init__(context)
        gui, capture, store = context.gui, context.capture, context.store
        self._moved = 0.0  # when the widgets last followed the playing frame
        self._status = gui.add_html("")
        self._strip = gui.add_html("")
        last = max(capture.frame_count, 2)
        self._slider = gui.add_slider("Frame", 1, last, 1, 1, disabled=capture.frame_count < 2, hint="Type a number to go there")
        self._transport = gui.add_button_group("Play", (FIRST, BACK, PLAY, FORWARD, LAST), hint="Home, J, Space, L, End")
        self._pace = gui.add_button_group("Speed", (*(_speed_label(s) for s in SPEEDS), LOOP_ON))
        self._slider.on_update(self._scrub)
        self._transport.on_click(lambda event: self._press(str(event.target.value)))
        self._pace.on_click(lambda event: self._set_pace(str(event.target.value)))
        self._add_keys(gui)
        store.subscribe(self._on_change)
        self._on_change(store.state, frozenset({"frame", "reconstructed", "playing", "problems", "speed", "loop"}))

    def _add_keys(self, gui: viser.GuiApi) -> None:
        store = self._store
        for label, hotkey, action in (
            ("Play or pause", "space", self._toggle),
            ("Next frame", "L", lambda: store.step(1)),
            ("Previous frame", "J", lambda: store.step(-1)),
            ("Stop", "K", lambda: store.set(playing=False)),
            ("First frame", "home", lambda: store.set(playing=False, frame=0)),
            ("Last frame", "end", lambda: store.set(playing=False, frame=self._capture.frame_count - 1)),
        ):
            gui.add_command(label, hotkey=hotkey).on_trigger(lambda _, action=action: action())  # type: ignore[arg-type, misc]
        for label, frames, hotkey in (("Ten frames on", 10, "L"), ("Ten frames back", -10, "J")):
            gui.add_command(label, hotkey=hotkey, modifier="shift").on_trigger(lambda _, n=frames: store.step(n))  # type: ignore[arg-type, misc]

    def _scrub(self, event: viser.GuiEvent) -> None:
        if event.client is not None:  # a person; assigning from the program calls this too
            self._store.set(playing=False, frame=int(self._slider.value) - 1)

    def _toggle(self) -> None:
        self._store.set(playing=not self._store.state.playing)

    def _press(self, button: str) -> None:
        if button == FIRST:
            self._store.set(playing=False, frame=0)
        elif button == BACK:
            self._store.step(-1)
        elif button == FORWARD:
            self._store.step(1)
        elif button == LAST:
            self._store.set(playing=False, frame=self._capture.frame_count - 1)
        else:
            self._toggle()

    def _set_pace(self, button: str) -> None:
        for speed in SPEEDS:
            if button.strip("[ ]") == _speed_label(speed):
                self._store.set(speed=speed)
                return
        self._store.set(loop=not self._store.state.loop)

    def _on_change(self, state: State, changed: frozenset[str]) -> None:
        if changed == {"frame"} and state.playing:
            if time.monotonic() - self._moved < PLAYING_INTERVAL:
                return  # the next frame catches up; a slow page must not be flooded
            self._moved = time.monotonic()
        if changed & {"frame", "playing"}:
            assign(self._slider, state.frame + 1)
        if "playing" in changed:
            self._transport.options = (FIRST, BACK, PAUSE if state.playing else PLAY, FORWARD, LAST)
        if changed & {"speed", "loop"}:
            speeds = (f"[ {_speed_label(s)} ]" if s == state.speed else _speed_label(s) for s in SPEEDS)
            self._pace.options = (*speeds, LOOP_ON if state.loop else LOOP_OFF)
        for element, content in (
            (self._strip, strip(state)),
            (self._status, status(state, self._capture) + hint(state) + problems(state)),
        ):
            if element.content != content:
                element.content = content


def _speed_label(speed: float) -> str:
    return {0.25: "¼×", 0.5: "½×"}.get(speed, f"{speed:g}×")


def strip(state: State) -> str:
    """One cell per frame: reconstructed, in work, or missing; a line at the frame shown."""
    n = state.frame_count
    # In the slider's own scale: frame i at i, from 0 to n - 1; each cell reaches half a frame to both sides.
    span = max(n - 1, 1)
    stretches: list[tuple[float, float, str]] = [(first - 0.5, last - first + 1, GOOD) for first, last in runs_of(state.reconstructed)]
    if state.working_on is not None:
        stretches.append((state.working_on - 0.5, 1, WARN))
    line = span / 300  # a thin one in short and long captures alike
    stretches.append((state.frame - line / 2, line, "#fff"))
    cells = "".join(f'<rect x="{x:g}" y="0" width="{width:g}" height="6" fill="{colour}"/>' for x, width, colour in stretches)
    title = f"{len(state.reconstructed)} of {n} frames reconstructed"
    # The padding puts the cells over the slider's track.
    return (
        f'<div title="{title}" style="padding:0 66px 0 119px">'
        f'<svg viewBox="0 0 {span} 6" preserveAspectRatio="none" role="img" aria-label="{title}" '
        f'style="display:block;width:100%;height:8px;border-radius:3px;background:#ffffff18">{cells}</svg></div>'
    )


def runs_of(frames: tuple[int, ...]) -> list[tuple[int, int]]:
    """First and last of each stretch without a gap."""
    stretches: list[tuple[int, int]] = []
    for frame in frames:
        if stretches and frame == stretches[-1][1] + 1:
            stretches[-1] = (stretches[-1][0], frame)
        else:
            stretches.append((frame, frame))
    return stretches


def status(state: State, capture: Capture) -> str:
    """One line: frame and what is seen of it on the left, the view and its score on the right."""
    left = f"<b>Frame {state.frame + 1} / {state.frame_count}</b>&ensp;" + _frame_state(state)
    if state.activity:
        left += f'&ensp;<span style="color:{ACCENT}">{text(state.activity)}</span>'
    return (
        '<div id="status" style="display:flex;justify-content:space-between;gap:16px;font-size:13px;padding:4px 12px 2px;'
        f'font-variant-numeric:tabular-nums"><span>{left}</span><span id="view">{view_text(state, capture)}</span></div>'
    )


def hint(state: State) -> str:
    """What to do with a capture that nobody has reconstructed yet."""
    if state.reconstructed or state.preview is not None or state.working_on is not None or not state.ready:
        return ""
    return note("Nothing is reconstructed yet: press Reconstruct in the tab of that name. N and P walk through the cameras.")


def _frame_state(state: State) -> str:
    def part(words: str, colour: str) -> str:
        return f'<span style="color:{colour}">{text(words)}</span>'

    if state.preview is not None and state.preview.frame == state.frame:
        return part("being optimised", WARN)
    if state.frame in state.reconstructed:
        return part("reconstructed", GOOD)
    if state.working_on == state.frame:
        return part("being reconstructed", WARN)
    source = state.source_frame()
    if source is None:
        return part("not reconstructed: photographs only", MUTED)
    return part(f"not reconstructed: showing frame {source + 1}, dimmed", WARN)


def view_text(state: State, capture: Capture) -> str:
    """What is looked at, and the score of the pixels shown."""
    if state.camera is None:
        return f'<span style="color:{MUTED}">Free view</span>'
    camera = capture.cameras[state.camera]
    role = "held out" if camera.name in capture.held_out else "training"
    name = f"<b>{text(camera.name)}</b> ({role})"
    score = state.comparison
    if score is None or score.camera != camera.name:
        return name
    return f"{name}&ensp;PSNR <b>{score.psnr:.2f} dB</b> of frame {score.frame + 1}, {score.width} × {score.height} px"
