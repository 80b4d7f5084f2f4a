"""The camera panes: one to four, or all cameras as a grid."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from nicegui import ui

from trackersplat.words import counted
from viewer.components.camera_pane import CameraPane, MarkStyle, PanePoint
from viewer.components.select_tool import SelectTool
from viewer.panels.camera_grid import CameraGrid
from viewer.panels.panel import Panel
from viewer.panels.parts import gives_keys_back
from viewer.photographs import photo_url
from viewer.theme import CATEGORY_COLOURS
from viewer.views.compare import why_impossible
from viewer.views.overlays import mark_colours, track_line

COMPARE_WORDS = {"render": "Render", "photo": "Photograph", "wipe": "Wipe", "error": "Error map", "other": "Other run"}
CHANNEL_WORDS = {
    "colour": "Colour", "depth": "Depth", "opacity": "Opacity", "motion": "Motion", "static": "Static", "age": "Age",
    "error": "Error of Gaussians",
}  # fmt: skip
COLUMNS = {1: 1, 2: 1, 3: 2, 4: 2}  # of the grid of panes, by their number
_FIELDS = frozenset(
    {
        "panes", "active", "tracks", "epipolar_from", "measured", "reprojected", "rendered", "residual_scale", "trail_length", "colour_by",
        "frame", "diagnosed", "grid", "run", "other", "reconstructed", "tool", "brush", "answered",
    }
)  # fmt: skip


class PanesPanel(Panel):
    """Rebuilds its panes when their number changes; all else is set on them."""

    def build(self) -> None:
        self._panes: list[CameraPane] = []
        self._bars: list[_Bar] = []
        self._tools: list[SelectTool] = []
        self._grid = CameraGrid(self.tab)
        self._box = ui.element("section").props('aria-label="Cameras"').style("height:100%;width:100%")

    def on_state(self, changed: frozenset[str]) -> None:
        view = self.view
        if "grid" in changed or len(self._panes) != (0 if view.grid else len(view.panes)):
            self._rebuild()
        if view.grid:
            self._grid.on_state(changed)
        elif changed & _FIELDS:
            self._follow()

    def _rebuild(self) -> None:
        view = self.view
        self._box.clear()
        self._panes, self._bars, self._tools = [], [], []
        with self._box:
            if view.grid:
                self._grid.build()
                return
            columns = COLUMNS[len(view.panes)]
            rows = -(-len(view.panes) // columns)
            style = f"grid-template-columns:repeat({columns},minmax(0,1fr));grid-template-rows:repeat({rows},minmax(0,1fr))"
            with ui.element("div").style(f"display:grid;gap:1px;background:var(--line);height:100%;width:100%;{style}"):
                for index in range(len(view.panes)):
                    with ui.element("div").style("display:flex;flex-direction:column;min-width:0;min-height:0;background:var(--bg)"):
                        self._bars.append(_Bar(self, index))
                        with ui.element("div").style("flex:1;min-height:0;position:relative"):
                            self._panes.append(self._pane(index))
                            self._tools.append(self._tool(index))

    def _pane(self, index: int) -> CameraPane:
        view = self.view
        pane = CameraPane(index, self.tab.id, photo=photo_url(view.panes[index].camera, view.frame))
        pane.on_pick(self._pick)
        pane.on_hover(self._hover)
        pane.on_correct(self._correct)
        pane.on_wipe(lambda value: self.tab.set_pane(index, wipe=value))
        pane.on_activate(lambda at: self.tab.set(active=at))
        return pane

    def _tool(self, index: int) -> SelectTool:
        tool = SelectTool()
        tool.on_outline(lambda outline: self.tab.do("select.drawn", outline=outline, pane=index))
        tool.on_brush(lambda radius: self.tab.do("tool.radius", radius=radius))
        return tool

    def _follow(self) -> None:
        view, document = self.view, self.tab.document
        diagnosis = document.diagnosis()
        categories = _categories() if diagnosis is not None else ()
        by = view.colour_by if diagnosis is not None or view.colour_by in ("id", "speed", "confidence") else "confidence"
        style = MarkStyle(
            measured=view.measured,
            reprojected=view.reprojected,
            rendered=view.rendered,
            trails=view.trail_length > 0,
            residual=view.residual_scale,
            colour=mark_colours(by, categories=categories),
            categories=tuple(name for name, _ in categories),
        )
        for index, (pane, bar) in enumerate(zip(self._panes, self._bars, strict=True)):
            pane.set_active(index == view.active and len(view.panes) > 1)
            pane.set_marks(style)
            pane.select(view.tracks)
            pane.set_epipolar(*self._epipolar(view.panes[index].camera))
            bar.follow()
        for tool in self._tools:
            tool.follow(view.tool, view.brush, view.answered)

    def _epipolar(self, camera: int) -> tuple[str, tuple[float, float, float, float] | None]:
        view, document = self.view, self.tab.document
        diagnosis, track = document.diagnosis(), view.main_track()
        if diagnosis is None or track is None:
            return "", None
        return track_line(diagnosis, document.capture.cameras, track, view.frame, camera, view.epipolar_from)

    # -- what people do -----------------------------------------------------------------------------------------------

    def _pick(self, point: PanePoint) -> None:
        chosen = self.view.tracks
        if point.track is None:
            tracks: tuple[int, ...] = chosen if point.shift else ()
        elif point.shift:
            rest = tuple(track for track in chosen if track != point.track)
            tracks = rest if point.track in chosen else (*rest, point.track)
        else:
            tracks = (point.track,)
        self.tab.set(tracks=tracks, active=point.pane)

    def _hover(self, point: PanePoint) -> None:
        view = self.view
        if 0 <= point.pane < len(view.panes):
            self.tab.set(epipolar_from=view.panes[point.pane].camera)

    def _correct(self, point: PanePoint) -> None:
        camera = self.view.panes[point.pane].camera
        self.tab.do("act.correct", camera=camera, x=point.x, y=point.y)


class _Bar:
    """The controls above one pane."""

    def __init__(self, panel: PanesPanel, index: int) -> None:
        self._panel, self._index = panel, index
        cameras = panel.tab.document.capture.cameras
        names = {i: camera.name for i, camera in enumerate(cameras)}
        with ui.element("div").classes("ts-panebar"), ui.element("div"):
            self._camera = self._select(names, "Camera (C, Shift+C)", lambda value: self._do("camera.show", camera=value), "flex:1 1 90px")
            self._compare = self._select(
                COMPARE_WORDS,
                "What is shown: G photograph, W wipe, E error map, B other run",
                lambda value: self._do("camera.compare", how=value),
                "flex:1 1 84px",
                "ts-compare",
            )
            self._channel = self._select(
                CHANNEL_WORDS, "Channel (1 to 7)", lambda value: self._do("camera.channel", channel=value), "flex:1 1 80px", "ts-channel"
            )
            self._overlay = (
                ui.button(icon="scatter_plot", on_click=lambda: panel.tab.do("panes.overlay"))
                .props('flat dense size=sm aria-label="Tracks over the pictures"')
                .tooltip("Tracks over the pictures (T)")
            )
            if index == 0:
                self._panes_menu()

    def _panes_menu(self) -> None:
        tab = self._panel.tab
        with ui.button(icon="grid_view").props('flat dense size=sm aria-label="Number of panes"').tooltip("Number of panes"), ui.menu():
            for count in (1, 2, 3, 4):
                ui.menu_item(f"{counted(count, 'pane')} (Alt+{count})", on_click=partial(tab.do, f"panes.{count}"))
            ui.menu_item("All cameras as a grid (A)", on_click=partial(tab.do, "panes.grid"))

    def _select(
        self, options: dict[int, str] | dict[str, str], hint: str, chosen: Callable[[object], None], style: str, kind: str = ""
    ) -> ui.select:
        element = ui.select(options, on_change=lambda event: chosen(event.value)).classes(kind)
        element.props(f'dense options-dense borderless hide-bottom-space aria-label="{hint.split(" (")[0].split(":")[0]}"')
        element.style(style + ";min-width:0").tooltip(hint)
        return gives_keys_back(element)

    def _do(self, command: str, **arguments: object) -> None:
        pane = self._panel.view.panes[self._index]
        present = {"camera": pane.camera, "how": pane.compare, "channel": pane.channel}
        ((name, value),) = arguments.items()
        if value is not None and value != present[name]:
            self._panel.tab.do(command, pane=self._index, **arguments)
            self.follow()

    def follow(self) -> None:
        view = self._panel.view
        pane = view.panes[self._index]
        for element, value in ((self._camera, pane.camera), (self._compare, pane.compare), (self._channel, pane.channel)):
            if element.value != value:
                element.set_value(value)
        self._overlay.props(f"color={'primary' if pane.overlay else 'grey-6'}")
        # A channel that the comparison cannot have is not offered as if it did.
        off = pane.compare == "photo" or why_impossible(pane.compare, "depth") is not None
        self._channel.set_enabled(not off)


def _categories() -> tuple[tuple[str, tuple[int, int, int]], ...]:
    from trackersplat.diagnosis.categories import Category

    return tuple((category.title, _rgb(CATEGORY_COLOURS[int(category) % len(CATEGORY_COLOURS)])) for category in Category)


def _rgb(text: str) -> tuple[int, int, int]:
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)
