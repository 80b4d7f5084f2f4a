"""The bottom of the page: transport, and the timeline with its lanes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from pathlib import Path

from nicegui import background_tasks, ui

from trackersplat.errors import InputError
from viewer.components.timeline import MenuRequest, Seek, Timeline
from viewer.editing import OF_THE_RUN
from viewer.panels.panel import Panel
from viewer.panels.parts import gives_keys_back
from viewer.playback import Player, Transport
from viewer.state import SPEEDS
from viewer.tab import Tab
from viewer.views.lanes import Lane, Work, delta_lane, lanes, training_psnr

_LANES = frozenset(
    {"records", "reconstructed", "revision", "run", "other", "stale", "failed", "working_on", "waiting", "diagnosed", "tracks"}
)
_TRANSPORT = frozenset({"frame", "shown", "playing", "speed", "loop", "first", "last", "linked", "run", "reconstructed", "dragging"})
IMPORTED = "The frames were imported: there is nothing to measure them with"
MENU_COMMANDS = ("time.in", "time.out", "time.no_range")


class TimelinePanel(Panel):
    def __init__(self, tab: Tab) -> None:
        super().__init__(tab)
        self._clock = TabClock(tab)
        self._player = Player(self._clock, tab.document.capture.fps)
        self._playing: asyncio.Task[None] | None = None
        self._training: tuple[object, dict[int, float]] | None = None

    def build(self) -> None:
        count = self.shared.frame_count
        with ui.element("div").style("display:flex;flex-direction:column;height:100%;min-height:0"):
            with ui.element("div").style(
                "display:flex;align-items:center;gap:2px;padding:2px 8px;"
                "border-bottom:1px solid var(--line);white-space:nowrap;overflow:hidden"
            ):
                self._button("first_page", "First frame (Home)", "time.first")
                self._button("chevron_left", "Previous frame (←)", "time.previous")
                self._play = self._button("play_arrow", "Play or pause (Space)", "time.play")
                self._button("chevron_right", "Next frame (→)", "time.next")
                self._button("last_page", "Last frame (End)", "time.last")
                self._number = (
                    ui.number(value=1, min=1, max=count, step=1, format="%d", on_change=self._typed)
                    .props('dense borderless hide-bottom-space input-style="text-align:right" aria-label="Frame"')
                    .style("width:52px")
                    .tooltip("The frame, counted from 1: type a number to go there")
                )
                ui.label(f"/ {count}").classes("ts-muted")
                self._speed = (
                    ui.select(
                        {speed: f"{speed:g}×" for speed in SPEEDS}, value=1.0, on_change=lambda event: self.tab.set(speed=event.value)
                    )
                    .props('dense borderless options-dense hide-bottom-space aria-label="Speed"')
                    .style("width:64px;margin-left:8px")
                    .tooltip("Speed (, and .)")
                )
                gives_keys_back(self._speed)
                self._loop = self._button("repeat", "Loop (Shift+L)", "time.loop")
                self._button("start", "In point here (I)", "time.in")
                self._button("keyboard_tab", "Out point here (O)", "time.out")
                self._range = ui.label("").classes("ts-small ts-muted").style("margin-left:4px")
                ui.space()
                self._unedited = ui.label("Scores: without your edits").classes("ts-small ts-warn").tooltip(OF_THE_RUN)
                self._unedited.set_visibility(False)
                self._shown = ui.label("").classes("ts-small ts-muted").props('id="shown"')
            with ui.element("div").style("flex:1;min-height:0"):
                self._timeline = Timeline(
                    count,
                    self.tab.document.capture.fps,
                    on_seek=self._seek,
                    on_range=self._ranged,
                    on_run_range=self._run,
                    on_menu=self._menu,
                    number=self._number.html_id,
                )
                self._timeline.style("height:100%;width:100%")
        self._popup = ui.menu().props("no-parent-event")
        self._playing = background_tasks.create(self._player.run(), name=f"player {self.tab.id}")

    def _button(self, icon: str, hint: str, command: str) -> ui.button:
        button = ui.button(icon=icon, on_click=lambda: self.tab.do(command))
        return button.props(f'flat dense round size=sm aria-label="{hint.split(" (")[0]}"').tooltip(hint)

    # -- following ----------------------------------------------------------------------------------------------------

    def on_state(self, changed: frozenset[str]) -> None:
        """What the timeline draws by itself follows at once, see `on_rest`."""
        view, shared = self.view, self.shared
        if changed & _TRANSPORT and not view.dragging:  # what is dragged is on the page already
            self._timeline.set_frame(view.frame, view.shown if view.shown >= 0 else None)
        if changed & {"playing", "tabs"} and view.playing:  # it may be this tab's turn to move the time
            self._player.wake()
        if "working_on" in changed:
            self._timeline.set_busy(shared.working_on)
        if changed & _LANES:
            self._timeline.set_lanes(self._lanes())

    def on_rest(self, changed: frozenset[str]) -> None:
        view = self.view
        if changed & _TRANSPORT:
            if self._number.value != view.frame + 1:
                self._number.set_value(view.frame + 1)
            if self._speed.value != view.speed:
                self._speed.set_value(view.speed)
            self._play.props(f"icon={'pause' if view.playing else 'play_arrow'}")
            self._loop.props(f"color={'primary' if view.loop else 'grey-6'} aria-pressed={str(view.loop).lower()}")
            first, last = self._clock.span()
            self._timeline.set_range(None if view.first is None and view.last is None else first, last)
            self._range.set_text("" if view.first is None and view.last is None else f"in {first + 1}, out {last + 1}")
            late = view.shown >= 0 and view.shown != view.frame
            self._shown.set_text(f"picture of frame {view.shown + 1}" if late else "")
        if changed & {"scene", "run", "ready"}:
            self._unedited.set_visibility(self.tab.document.editing.is_edited)

    def _lanes(self) -> tuple[Lane, ...]:
        shared, view = self.shared, self.view
        work = Work(shared.reconstructed, shared.working_on, shared.failed, shared.stale)
        tracks = self.tab.document.tracks()
        values = None if tracks is None else tracks.in_lanes
        chosen = [] if tracks is None else [tracks.row_of[track] for track in view.tracks if track in tracks.row_of]
        found = lanes(shared.frame_count, shared.records, self._training_psnr(), work, values, chosen)
        if not self.tab.document.capture.filmed:
            found = tuple(replace(lane, note=lane.note and IMPORTED) for lane in found)
        if shared.other is None or shared.run is None:
            return found
        try:
            other = self.tab.document.runs.records(shared.other)
        except InputError as error:
            self.tab.store.problem("other run", str(error))
            return found
        return (*found[:2], delta_lane(shared.frame_count, shared.records, other), *found[2:])

    def _training_psnr(self) -> dict[int, float]:
        shared = self.shared
        if shared.run is None:
            return {}
        key: tuple[Path, int] = (shared.run, shared.revision)
        if self._training is None or self._training[0] != key:
            try:
                run = self.tab.document.runs.get(shared.run)
                records = {frame: record for frame in shared.reconstructed if (record := run.record(frame)) is not None}
            except InputError as error:
                self.tab.store.problem("run", str(error))
                records = {}
            self._training = (key, training_psnr(records, self.tab.document.capture.held_out))
        return self._training[1]

    # -- what people do -----------------------------------------------------------------------------------------------

    def _seek(self, seek: Seek) -> None:
        self.tab.set(playing=False, frame=seek.frame, dragging=seek.phase != "up")

    def _typed(self) -> None:
        value = self._number.value
        if value is not None and 1 <= value <= self.shared.frame_count and int(value) - 1 != self.view.frame:
            self.tab.set(playing=False, frame=int(value) - 1)

    def _ranged(self, span: tuple[int, int] | None) -> None:
        first, last = span if span is not None else (None, None)
        self.tab.set(first=first, last=last)

    def _run(self, span: tuple[int, int]) -> None:
        self.tab.do("job.run", first=span[0], last=span[1])

    def _menu(self, asked: MenuRequest) -> None:
        from viewer.commands.registry import COMMANDS

        self.tab.set(playing=False, frame=asked.frame)
        self._popup.clear()
        with self._popup:
            for name in (*MENU_COMMANDS, "job.frame", "notes.flag"):
                if name in COMMANDS:
                    ui.menu_item(COMMANDS[name].title, on_click=partial(self.tab.do, name))
        self._popup.props(f'target="#c{self._timeline.id}" :offset="[0, 0]"')
        self._popup.open()

    def close(self) -> None:
        if self._playing is not None:
            self._playing.cancel()


class TabClock:
    """A `viewer.playback.Watched`: the time of one tab. Of tabs that share one, the first whose page is there moves it."""

    def __init__(self, tab: Tab) -> None:
        self._tab = tab

    def span(self) -> tuple[int, int]:
        """What is played: between the in and out points; without them the reconstructed frames if there are several, else all."""
        view, shared = self._tab.view, self._tab.shared
        known = shared.reconstructed
        first, last = (known[0], known[-1]) if len(known) > 1 else (0, shared.frame_count - 1)
        return (view.first if view.first is not None else first), (view.last if view.last is not None else last)

    def transport(self) -> Transport:
        try:
            view = self._tab.view
        except KeyError:
            return Transport()
        first, last = self.span()
        return Transport(view.frame, view.playing and self._leads(), view.speed, view.loop, first, last)

    def show(self, frame: int, playing: bool) -> None:
        self._tab.set(frame=frame, playing=playing)

    def acknowledged_frame(self) -> int | None:
        """-1 before the first picture: nothing plays while the page is still being made."""
        return self._tab.view.shown

    def is_watched(self) -> bool:
        return self._tab.id in self._tab.store.tabs()

    def _leads(self) -> bool:
        store = self._tab.store
        if not self._tab.view.present:
            return False
        if not self._tab.view.linked:
            return True
        leader = next((tab for tab in store.tabs() if store.view(tab).linked and store.view(tab).present), None)
        return leader == self._tab.id
