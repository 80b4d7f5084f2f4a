"""The panel "Path": the keys of the camera path, its preview on the stage, and videos."""

from __future__ import annotations

import asyncio
import math
from functools import partial
from typing import TYPE_CHECKING, Any

from nicegui import background_tasks, ui

from trackersplat.camera_paths.moves.registry import MOVES
from trackersplat.camera_paths.path import MOST_SECONDS, CameraPath
from viewer.commands.registry import COMMANDS
from viewer.panels.panel import Panel
from viewer.panels.parts import button, named, note, with_key
from viewer.panels.video_card import VideoCard
from viewer.playback import Player, Transport
from viewer.tab import Tab

if TYPE_CHECKING:
    from trackersplat.camera_paths.trajectory import Trajectory

STEPS = 1000  # of the slider
PREVIEW_FPS = 30.0  # moments per second while the path is played
TYPED = "debounce=500"  # ms of rest until a number that is typed counts
MOST_SHOWN = 200  # keys in the list
FIELDS = frozenset({"camera_path", "run", "reconstructed", "path_key", "inspector"})


class CameraPathPanel(Panel):
    def __init__(self, tab: Tab) -> None:
        super().__init__(tab)
        self._drawn: object = None
        self._player = Player(PathClock(tab), PREVIEW_FPS)
        self._playing: asyncio.Task[None] | None = None

    def build(self) -> None:
        with ui.element("div").classes("ts-panel ts-stack"):
            self._build_making()
            self._keys = (
                ui.element("div")
                .props('role="listbox" aria-label="Keys of the camera path"')
                .style("max-height:min(34vh,300px);overflow:auto;border:1px solid var(--line);border-radius:3px")
            )
            self._empty = note(
                "No keys yet. Look where the video should begin and press View, go to the next place, press View, and so on; or choose a "
                "ready-made path."
            )
            self._stands = note(
                "All keys name one frame, so the clip stands still. Give them other frames, or empty their field Frame: then it plays."
            )
            self._build_key()
            self._build_whole()
            self._video = VideoCard(self.tab)
        self._playing = background_tasks.create(self._player.run(), name=f"path player {self.tab.id}")

    def _build_making(self) -> None:
        do = self.tab.do
        with ui.row().classes("ts-row w-full no-wrap"):
            ui.label("Camera path").classes("ts-title").style("flex:1")
            self._undo = button("", "undo", "Undo the last change of the path", lambda: do("path.undo"))
            self._clear = button("", "delete_sweep", "Delete the path; it can be undone", lambda: do("path.clear"))
        with ui.row().classes("ts-row w-full no-wrap"):
            button("View", "add_a_photo", with_key(COMMANDS["path.add"]), lambda: do("path.add"), props="outline").props(remove="flat")
            camera = "Adds the camera of the active pane, with its lens"
            button("Camera", "videocam", camera, lambda: do("path.add_camera"), props="outline").props(remove="flat")
            with ui.button("Ready-made", icon="auto_awesome").props("outline dense no-caps") as made:
                made._props["aria-label"] = "Ready-made camera path"
                hint = "A path made from the cameras; it takes the place of the one that is there, and can be undone"
                ui.tooltip(hint).props('anchor="top middle" self="bottom middle"')
                with ui.menu().props("auto-close"):
                    for facts in MOVES:
                        with ui.menu_item(on_click=partial(do, "path.ready_made", move=facts.name)):
                            ui.label(f"{facts.name}: {facts.title}")

    def _build_key(self) -> None:
        do = self.tab.do
        with ui.column().classes("w-full ts-stack ts-card") as self._editor:
            with ui.row().classes("ts-row w-full no-wrap"):
                self._title = ui.label("").classes("ts-title").style("flex:1")
                button("", "arrow_upward", "Earlier in the order", lambda: do("path.move", by=-1))
                button("", "arrow_downward", "Later in the order", lambda: do("path.move", by=1))
                button("", "delete", "Deletes this key", lambda: do("path.remove"), props="color=red-4")
            with ui.row().classes("ts-row w-full no-wrap"):
                self._at = _number("At, s", "When the camera passes this key", 0, MOST_SECONDS, 3, self._set_time)
                last = self.shared.frame_count
                self._frame = _number("Frame", "Of the clip, counted from 1; empty: the clip runs on", 1, last, 2, self._set_frame)
                self._frame.props('placeholder="runs on"')
                self._lens = _number("Angle, °", "Vertical angle of view", 1, 170, 2, self._set_lens)
            with ui.row().classes("ts-row w-full no-wrap"):
                button("Look from here", "visibility", "The stage looks from this key", lambda: do("path.look"))
                hint = "The key gets the stage's present view and lens"
                button("Set to the view", "my_location", hint, lambda: do("path.update"))

    def _build_whole(self) -> None:
        do = self.tab.do
        with ui.column().classes("w-full ts-stack") as self._whole:
            with ui.row().classes("ts-row w-full no-wrap"):
                self._length = _number("Length, s", "Of the whole path; the keys keep their shares", 0.1, MOST_SECONDS, 3, self._set_length)
                self._loop = self._switch("Loop", "The camera returns from the last key to the first one", "path.loop")
                self._even = self._switch(
                    "Constant speed", "The camera goes evenly along the curve; where it stands, times stay", "path.constant_speed"
                )
            with ui.row().classes("ts-row w-full no-wrap"):
                self._play = button("", "play_arrow", with_key(COMMANDS["path.play"]), lambda: do("path.play"))
                self._slider = ui.slider(min=0, max=STEPS, step=1, value=0, on_change=self._slid).props("dense").style("flex:1")
                named(self._slider, "Moment of the camera path", "Drag: the stage looks from there, in the frame that is shown then")
                self._moment = ui.label("").classes("ts-small").style("min-width:70px;text-align:right")
            with ui.row().classes("ts-row w-full no-wrap"):
                self._follow = self._switch("Stage follows", f"{with_key(COMMANDS['path.follow'])}, also on the timeline", "path.follow")
                self._show = self._switch("Path on the stage", "The curve, and a frustum for every key", "path.show")
                ui.space()
                ui.link("JSON", "/camera_path.json").props('download="camera_path.json"').classes("ts-small ts-accent").tooltip(
                    "Download the path for `trackersplat render --path`"
                )

    def _switch(self, label: str, hint: str, command: str) -> ui.switch:
        made = ui.switch(label, on_change=lambda event: self._switched(command, bool(event.value))).props("dense")
        made.tooltip(hint)
        return made

    def _switched(self, command: str, value: bool) -> None:
        """The store may have changed the switch; only a user's change is a command."""
        if value != self._switch_states().get(command):
            self.tab.do(command)
            self._set_switches()

    def _switch_states(self) -> dict[str, bool]:
        path, view = self.tab.document.camera_paths.get(), self.view
        return {
            "path.loop": path is not None and path.loop,
            "path.constant_speed": path is not None and path.constant_speed,
            "path.follow": view.path_moment is not None,
            "path.show": view.show_path,
        }

    def _set_switches(self) -> None:
        states = self._switch_states()
        for switch, command in (
            (self._loop, "path.loop"), (self._even, "path.constant_speed"), (self._follow, "path.follow"), (self._show, "path.show"),
        ):  # fmt: skip
            switch.set_value(states[command])

    # -- following ----------------------------------------------------------------------------------------------------

    def on_state(self, changed: frozenset[str]) -> None:
        if changed & FIELDS:
            self._draw()
        if changed & {"path_moment", "path_playing", "camera_path", "show_path", "run"}:
            self._draw_moment()
        if changed & {"video", "run", "reconstructed", "camera_path"}:
            self._video.show()
        if "path_playing" in changed and self.view.path_playing:
            self._player.wake()

    def _draw(self) -> None:
        paths, view = self.tab.document.camera_paths, self.view
        path, trajectory = paths.get(), paths.trajectory()
        self._undo.set_enabled(paths.can_undo)
        self._clear.set_enabled(path is not None)
        for part in (self._keys, self._whole):
            part.set_visibility(path is not None)
        self._empty.set_visibility(path is None)
        chosen = path is not None and view.path_key is not None and view.path_key < len(path.keys)
        self._editor.set_visibility(chosen)
        self._stands.set_visibility(path is not None and stands_still(path) and self.shared.frame_count > 1)
        if path is None or trajectory is None:
            self._drawn = None
            return
        if self._drawn != (path, view.path_key, self.shared.reconstructed):
            self._drawn = (path, view.path_key, self.shared.reconstructed)
            self._list(path, trajectory)
        self._length.set_value(round(path.seconds, 3))
        if chosen:
            assert view.path_key is not None
            key = path.keys[view.path_key]
            self._title.set_text(f"Key {view.path_key + 1} of {len(path.keys)}")
            self._at.set_value(round(key.at, 3))
            self._at.set_enabled(view.path_key > 0)
            self._frame.set_value(None if key.frame is None else round(key.frame + 1, 2))
            self._lens.set_value(round(math.degrees(key.fov), 2))
        self._set_switches()

    def _list(self, path: CameraPath, trajectory: Trajectory) -> None:
        arrivals = [float(time) for time in trajectory.arrivals[:MOST_SHOWN]]
        shown = [trajectory.frame_shown(time) for time in arrivals]
        self._keys.clear()
        with self._keys:
            for index, key in enumerate(path.keys[:MOST_SHOWN]):
                frame = f"frame {shown[index] + 1}, runs on" if key.frame is None else f"frame {key.frame + 1:g}"
                row = ui.element("div").classes("ts-item").props('role="option" tabindex="0"')
                row.props(f"aria-selected={'true' if index == self.view.path_key else 'false'}")
                row.classes("ts-chosen" if index == self.view.path_key else "")
                row.on("click", partial(self.tab.do, "path.select", key=index))
                row.on("keydown.enter", partial(self.tab.do, "path.select", key=index))
                with row:
                    ui.label(str(index + 1)).classes("ts-muted").style("width:24px;text-align:right")
                    ui.label(f"{arrivals[index]:.2f} s").style("width:64px;text-align:right")
                    ui.label(frame).style("flex:1")
                    ui.label(f"{math.degrees(key.fov):.0f}°").classes("ts-muted")
            if len(path.keys) > MOST_SHOWN:
                note(f"and {len(path.keys) - MOST_SHOWN} more keys")

    def _draw_moment(self) -> None:
        path, view = self.tab.document.camera_paths.get(), self.view
        self._set_switches()
        self._play.props(f"icon={'pause' if view.path_playing else 'play_arrow'}")
        if path is None:
            return
        moment = view.path_moment or 0.0
        self._slider.set_value(round(STEPS * moment / path.seconds))
        self._moment.set_text(f"{moment:.2f} / {path.seconds:.2f} s")

    # -- what people do -----------------------------------------------------------------------------------------------

    def _slid(self, event: Any) -> None:
        path = self.tab.document.camera_paths.get()
        if path is not None and event.value != round(STEPS * (self.view.path_moment or 0.0) / path.seconds):
            self.tab.do("path.seek", seconds=float(event.value) / STEPS * path.seconds)

    def _set_length(self, event: Any) -> None:
        path = self.tab.document.camera_paths.get()
        if path is not None and event.value is not None and event.value != round(path.seconds, 3):
            self.tab.do("path.length", seconds=event.value)

    def _set_time(self, event: Any) -> None:
        key = self._chosen()
        if key is not None and event.value is not None and event.value != round(key.at, 3):
            self.tab.do("path.time", seconds=event.value)

    def _set_frame(self, event: Any) -> None:
        key = self._chosen()
        if key is not None and event.value != (None if key.frame is None else round(key.frame + 1, 2)):
            self.tab.do("path.frame", frame=None if event.value is None else event.value - 1)

    def _set_lens(self, event: Any) -> None:
        key = self._chosen()
        if key is not None and event.value is not None and event.value != round(math.degrees(key.fov), 2):
            self.tab.do("path.lens", degrees=event.value)

    def _chosen(self) -> Any:
        path, index = self.tab.document.camera_paths.get(), self.view.path_key
        return path.keys[index] if path is not None and index is not None and index < len(path.keys) else None

    def close(self) -> None:
        if self._playing is not None:
            self._playing.cancel()


def stands_still(path: CameraPath) -> bool:
    """Whether several keys name one and the same frame of the clip, so that nothing moves but the camera."""
    frames = {key.frame for key in path.keys}
    return len(path.keys) > 1 and len(frames) == 1 and None not in frames


class PathClock:
    """A `viewer.playback.Watched`: the moments of the camera path of one tab, counted like the frames of a video."""

    def __init__(self, tab: Tab) -> None:
        self._tab = tab

    def transport(self) -> Transport:
        path = self._tab.document.camera_paths.get()
        try:
            view = self._tab.view
        except KeyError:
            return Transport()
        if path is None:
            return Transport()
        last = max(math.floor(path.seconds * PREVIEW_FPS), 1)
        here = min(round((view.path_moment or 0.0) * PREVIEW_FPS), last)
        return Transport(here, view.path_playing and view.path_moment is not None and view.present, 1.0, path.loop, 0, last)

    def show(self, frame: int, playing: bool) -> None:
        trajectory = self._tab.document.camera_paths.trajectory()
        if trajectory is not None:
            moment = min(frame / PREVIEW_FPS, trajectory.seconds)
            self._tab.set(path_moment=moment, path_playing=playing, frame=trajectory.frame_shown(moment))

    def acknowledged_frame(self) -> int | None:
        shown = self._tab.view.path_shown
        return -1 if shown is None else round(shown * PREVIEW_FPS)

    def is_watched(self) -> bool:
        return self._tab.id in self._tab.store.tabs()


def _number(label: str, hint: str, least: float, most: float, digits: int, on_change: Any) -> ui.number:
    made = ui.number(label, min=least, max=most, precision=digits, on_change=on_change)
    made.props(f"dense outlined stack-label hide-bottom-space {TYPED}").classes("ts-number")
    named(made, label, hint)
    return made
