"""Commands that select Gaussians and change them, through all frames. The engine is `trackersplat.document`; here is no algorithm."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from trackersplat.document.camera_json import camera_to_json
from trackersplat.errors import InputError
from viewer.commands.command import Command
from viewer.state import SCOPES, Scope, Zone, vector

if TYPE_CHECKING:
    from trackersplat.captures.camera import Camera
    from trackersplat.document.selection import Selection
    from trackersplat.gaussians.gaussians import Gaussians
    from viewer.components.select_tool import Mode, Outline
    from viewer.tab import Tab

SELECT, EDIT = "Select", "Edit the scene"
NEAR = 0.005  # of the scene's extent: how far a selection grows and shrinks
TOGETHER = 0.15  # of their distance: by how much that of two Gaussians may change that move together
STRAY = 4.0  # median deviations from the median, along any axis, from which on a centre is a stray that a fitted box leaves out
MIDDLE = (0.2, 0.8)  # quantiles of the centres, along each axis, between which a new box lies
TAKE_AWAY = ("hide", "delete")  # edits after which what was selected is not shown
NONE = "No Gaussian is selected: use a tool on the left in a camera pane or on the stage."


# -- selecting ------------------------------------------------------------------------------------------------------------


def source_of(tab: Tab) -> int:
    """The frame whose Gaussians are on the screen. Raises InputError if there are none that can be edited."""
    shared = tab.shared
    source = shared.source_of(tab.view.frame)
    if source is None or shared.run is None:
        raise InputError("Nothing is reconstructed yet, so there is nothing to select.")
    if shared.draft is not None and shared.draft.frame == source:
        raise InputError(f"Frame {source + 1} is still being optimised: it can be edited when it is done.")
    return source


class _Changed(Exception):
    """The selection was changed while what continues it was looked for."""


def _select(tab: Tab, what: str, find: Callable[[], Selection], mode: Mode = "replace", carry_from: int | None = None) -> None:
    """Combines what is found with what is selected; on the thread of the edits. ``carry_from``: what is found is of this frame, and what
    continues it in other frames is added."""

    def work() -> None:
        from trackersplat.document.selection import NOTHING

        before = tab.view.selected or NOTHING
        try:
            found = find()
            _show_selected(tab, before.combine(found, mode))
        finally:
            tab.set(answered=tab.view.answered + 1)
        if carry_from is not None and len(found) and len(tab.document.editing.document().scene.run_frames.frames) > 1:
            whole = _carried(tab, found, carry_from)
            if whole is not None:
                _show_selected(tab, before.combine(whole, mode), len(whole) - len(found))

    tab.document.editing.run(what, work, tab.refuse)


def _show_selected(tab: Tab, selection: Selection, carried: int = 0) -> None:
    tab.set(selected=selection if len(selection) else None, carried=carried)


def _carried(tab: Tab, found: Selection, frame: int) -> Selection | None:
    """None if the selection is changed meanwhile."""
    from trackersplat.document.carrying import CarrySettings, carried

    scene, shown = tab.document.editing.document().scene, tab.view.selected

    def read(other: int) -> tuple[np.ndarray, Gaussians]:
        if tab.view.selected is not shown:
            raise _Changed
        return scene.ids(other), scene.gaussians(other)

    tab.set(carrying=True)
    try:
        return carried(found, frame, scene.run_frames.frames, read, CarrySettings())
    except _Changed:
        return None
    finally:
        tab.set(carrying=False)


def select_way(tab: Tab, way: dict[str, Any], mode: Mode = "replace", carry_from: int | None = None) -> None:
    """By a way of selecting, as JSON (`trackersplat.document`)."""
    _select(tab, "Select", lambda: tab.document.editing.document().selection_of(way), mode, carry_from)


def _drawn(tab: Tab, outline: Outline, pane: int | None = None) -> None:
    """What a tool drew in a pane, or, without one, on the stage."""
    try:
        way = _way_of(tab, outline, pane)
    except InputError:
        tab.set(answered=tab.view.answered + 1)
        raise
    select_way(tab, way, outline.mode, way["frame"] - 1 if tab.view.in_time else None)


def _way_of(tab: Tab, outline: Outline, pane: int | None) -> dict[str, Any]:
    """As JSON. Raises InputError if nothing can be selected there."""
    source = source_of(tab)
    if pane is None:
        view = _stage_view(tab)
        camera: Any = camera_to_json(view)
        width, height, unit = view.width, view.height, (view.width, view.height)
    else:
        shown = tab.view.panes[pane]
        if shown.compare == "other":
            raise InputError("The pane shows the other run, and only the run on the screen is edited: show the render first.")
        view = tab.document.capture.cameras[shown.camera]
        camera, width, height, unit = view.name, view.width, view.height, (1, 1)
    points = [[x * unit[0], y * unit[1]] for x, y in outline.points]
    where = {"camera": camera, "frame": source + 1, "depth": "through" if tab.view.through else "visible"}
    if outline.tool == "click":
        x, y = points[-1]
        if not (0 <= x < width and 0 <= y < height):
            raise InputError("This is beside the picture: click into it.")
        return {"way": "click", **where, "x": x, "y": y}
    if outline.tool == "brush":
        return {"way": "brush", **where, "line": points, "radius": max(outline.radius * unit[1], 0.5)}
    if outline.tool == "rectangle":
        (x0, y0), (x1, y1) = points[0], points[-1]
        points = [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]
    return {"way": "polygon", **where, "corners": points}


def _stage_view(tab: Tab) -> Camera:
    look = tab.document.viewpoints.get(tab.id)
    if look is None:
        raise InputError("The 3D stage is not there yet.")
    return look()


def _all(tab: Tab) -> None:
    source = source_of(tab)
    _select(tab, "Select everything", lambda: tab.document.editing.document().scene.all(source))


def _from_selected(tab: Tab, what: str, kind: str, *, may_be_empty: bool = False, **values: Any) -> None:
    """What a way makes of the selection."""
    source = source_of(tab)

    def find() -> Selection:
        from trackersplat.document.selection import NOTHING

        selected = tab.view.selected
        if selected is None and not may_be_empty:
            raise InputError(NONE)
        way = {"way": kind, "of": selected or NOTHING, "frame": source + 1, **values}
        return tab.document.editing.document().selection_of(way)

    _select(tab, what, find)


def _invert(tab: Tab) -> None:
    _from_selected(tab, "Invert the selection", "invert", may_be_empty=True)


def _step(tab: Tab) -> float:
    return NEAR * tab.document.framing.extent


def _clear(tab: Tab) -> None:
    """The selected Gaussians first; if there are none, the selected tracks."""
    if tab.view.selected is not None:
        tab.set(selected=None)
    else:
        tab.set(tracks=())


def _attribute(tab: Tab, attribute: str, low: float | None = None, high: float | None = None, mode: Mode = "replace") -> None:
    bounds = {key: float(value) for key, value in (("low", low), ("high", high)) if value is not None}
    select_way(tab, {"way": "attribute", "name": attribute, "frame": source_of(tab) + 1, **bounds}, mode)


def _tracks(tab: Tab, mode: Mode = "replace") -> None:
    if not tab.view.tracks:
        raise InputError("No track is selected: click one in the table or in a picture first.")
    select_way(tab, {"way": "tracks", "tracks": list(tab.view.tracks), "frame": source_of(tab) + 1}, mode)


def _zone(tab: Tab) -> dict[str, Any]:
    if tab.view.zone is None:
        raise InputError("There is no box or sphere: place one in the panel Edit, Select by.")
    return tab.view.zone.to_json()


def _in_zone(tab: Tab, mode: Mode = "replace") -> None:
    select_way(tab, {"way": "region", "frame": source_of(tab) + 1, **_zone(tab)}, mode)


def _place(tab: Tab, zone: Zone | None) -> None:
    """A new one puts the tool away, so that its handles on the stage can be dragged."""
    tab.set(zone=zone, tool="" if tab.view.zone is None else tab.view.tool)


def _fit(tab: Tab, shape: str = "box") -> None:
    """Around most of the centres of what is selected in this frame."""

    def work() -> None:
        _place_around(tab, without_strays(centres_of(tab, target_of(tab))), shape)

    tab.document.editing.run("Fit the box", work, tab.refuse)


def _begin(tab: Tab, shape: str = "box") -> None:
    """Around the middle of what this frame shows: a box in empty space would keep nothing."""

    def work() -> None:
        shown = tab.document.scene(tab.view.frame)
        if shown is None or not len(shown.gaussians.means):
            raise InputError("Nothing is shown in this frame that a box could be placed around.")
        centres = shown.gaussians.means.numpy().astype(np.float64)
        low, high = np.quantile(centres, MIDDLE, axis=0)
        inside = ((centres >= low) & (centres <= high)).all(axis=1)
        _place_around(tab, centres[inside] if inside.any() else centres, shape)

    tab.document.editing.run("Place a box", work, tab.refuse)


def _place_around(tab: Tab, centres: np.ndarray, shape: str) -> None:
    low, high = centres.min(axis=0), centres.max(axis=0)
    center = 0.5 * (low + high)
    size = high - low
    if shape == "sphere":
        size = np.full(3, 2 * np.linalg.norm(centres - center, axis=1).max())
    size = np.maximum(size, 1e-3 * tab.document.framing.extent)
    _place(tab, Zone("sphere" if shape == "sphere" else "box", vector(center), vector(size)))


def target_of(tab: Tab, group: str | None = None) -> dict[str, Any]:
    """What an edit acts on, as JSON: the group, or what is selected when it is this edit's turn. Raises InputError if nothing is."""
    if group is not None:
        return {"group": group}
    if tab.view.selected is None:
        raise InputError(NONE)
    return {"selection": tab.view.selected}


def centres_of(tab: Tab, target: dict[str, Any]) -> np.ndarray:
    """(K, 3) world: of the Gaussians of a target that are shown in this frame. Raises InputError if there are none."""
    shown = tab.document.scene(tab.view.frame)
    selection = tab.document.editing.document().selection_of(target.get("selection", target))
    rows = np.zeros(0, np.int64) if shown is None or shown.ids is None else selection.rows(shown.ids)
    if shown is None or not len(rows):
        raise InputError("None of these Gaussians is shown in this frame.")
    return shown.gaussians.means.numpy()[rows].astype(np.float64)


def without_strays(centres: np.ndarray) -> np.ndarray:
    """Of centres (K, 3) those that are near the others: a lasso takes some that lie far before or behind what was meant."""
    away = np.abs(centres - np.median(centres, axis=0))
    usual = np.maximum(np.median(away, axis=0), 0.25 * away.mean(axis=0))  # the mean, where more than half lie in one plane
    near = (away <= STRAY * usual + 1e-9).all(axis=1)
    return centres[near] if near.any() else centres


def _crop(tab: Tab, keep: str = "inside") -> None:
    edit(tab, "Crop", {"edit": "crop", **_zone(tab), "keep": keep, "frames": frames_of(tab)})


# -- changing -------------------------------------------------------------------------------------------------------------


def frames_of(tab: Tab, scope: Scope | None = None) -> str:
    """The frames in which an edit acts, as `FrameRange.parse` reads them. Raises InputError if the range is not set."""
    view = tab.view
    chosen = view.scope if scope is None else scope
    if chosen == "onwards":
        return f"{view.frame + 1}:"
    if chosen == "frame":
        return str(view.frame + 1)
    if chosen == "range":
        if view.first is None and view.last is None:
            raise InputError("No range is set: I and O on the timeline set its ends.")
        return f"{(view.first or 0) + 1}:" + ("" if view.last is None else str(view.last + 1))
    return "all"


def edit(tab: Tab, what: str, *edits: dict[str, Any]) -> None:
    """Does edits, as JSON, on the thread of the edits."""
    tab.document.editing.run(what, lambda: tab.document.editing.do(*edits), tab.refuse)


def change(tab: Tab, what: str, kind: str, group: str | None = None, **values: Any) -> None:
    """An edit of what is selected, or of a group, in the frames of the scope; on the thread of the edits. ``values``: as JSON."""
    frames = frames_of(tab)

    def work() -> None:
        tab.document.editing.do({"edit": kind, **target_of(tab, group), "frames": frames, **values})
        if group is None and kind in TAKE_AWAY:
            tab.set(selected=None)

    tab.document.editing.run(what, work, tab.refuse)


def change_all_frames(tab: Tab, kind: str, group: str) -> None:
    """Of a group, whatever the scope says."""
    edit(tab, f"{kind.capitalize()} the group", {"edit": kind, "group": group, "frames": "all"})


def _scope(tab: Tab, scope: Scope) -> None:
    if scope in SCOPES:
        tab.set(scope=scope)


def _bring_back(tab: Tab, kind: str) -> None:
    """All that is hidden, or deleted, in this frame is there again, in the frames of the scope; it is selected then."""
    source = source_of(tab)
    frames = frames_of(tab)

    def work() -> None:
        from trackersplat.document.selection import Selection

        state = tab.document.editing.document().scene.state(source)
        mask = state.hidden if kind == "show" else state.deleted
        if not mask.any():
            raise InputError(f"Nothing is {'hidden' if kind == 'show' else 'deleted'} in frame {source + 1}.")
        back = Selection.of(state.ids[mask])
        tab.document.editing.do({"edit": kind, "selection": back, "frames": frames})
        tab.set(selected=back)

    tab.document.editing.run("Show what is hidden" if kind == "show" else "Restore what is deleted", work, tab.refuse)


def none_selected(tab: Tab) -> str | None:
    return None if tab.view.selected is not None else "No Gaussian is selected."


def no_zone(tab: Tab) -> str | None:
    return None if tab.view.zone is not None else "There is no box or sphere."


def _no_track(tab: Tab) -> str | None:
    return None if tab.view.tracks else "No track is selected."


def nothing_there(tab: Tab) -> str | None:
    return None if tab.shared.run is not None else "Nothing is reconstructed yet."


def _no_edit(tab: Tab) -> str | None:
    document = tab.document.editing.current()
    return None if document is not None and document.history.position else "The scene is not edited."


COMMANDS = (
    Command("select.drawn", "Select what a tool drew", SELECT, _drawn, enabled=nothing_there),
    Command("select.way", "Select by a way of the library", SELECT, select_way, enabled=nothing_there),
    Command("select.all", "Select everything", SELECT, _all, enabled=nothing_there),
    Command("select.clear", "Select nothing", SELECT, _clear, "escape"),
    Command(
        "select.invert", "Invert the selection", SELECT, _invert,
        "ctrl+i", enabled=nothing_there,
    ),
    Command(
        "select.grow", "Grow the selection", SELECT,
        lambda tab: _from_selected(tab, "Grow the selection", "grow", distance=_step(tab)), ">", enabled=none_selected,
    ),
    Command(
        "select.shrink", "Shrink the selection", SELECT,
        lambda tab: _from_selected(tab, "Shrink the selection", "shrink", distance=_step(tab)), "<", enabled=none_selected,
    ),
    Command(
        "select.connected", "Select what hangs together with it", SELECT,
        lambda tab: _from_selected(tab, "Select what is connected", "connected"), enabled=none_selected,
    ),
    Command(
        "select.moving", "Select what hangs together and moves with it", SELECT,
        lambda tab: _from_selected(tab, "Select what moves with it", "connected", stretch=TOGETHER), enabled=none_selected,
    ),
    Command("select.attribute", "Select by an attribute", SELECT, _attribute, enabled=nothing_there),
    Command("select.tracks", "Select what carries the selected tracks", SELECT, _tracks, enabled=_no_track),
    Command("select.zone", "Select what is in the box or sphere", SELECT, _in_zone, enabled=no_zone),
    Command("zone.set", "Place a box or a sphere", SELECT, _place),
    Command("zone.begin", "Place a box or a sphere in the middle of the scene", SELECT, _begin, enabled=nothing_there),
    Command("zone.fit", "Fit the box or sphere to the selection", SELECT, _fit, enabled=none_selected),
    Command("zone.crop", "Delete all that is outside the box or sphere, or inside", EDIT, _crop, enabled=no_zone),
    Command(
        "gaussians.hide", "Hide what is selected", EDIT,
        lambda tab, group=None: change(tab, "Hide Gaussians", "hide", group), "h", enabled=none_selected,
    ),
    Command("gaussians.show_all", "Show what is hidden", EDIT, lambda tab: _bring_back(tab, "show"), "shift+h", enabled=_no_edit),
    Command(
        "gaussians.delete", "Delete what is selected", EDIT,
        lambda tab, group=None: change(tab, "Delete Gaussians", "delete", group), "delete", enabled=none_selected,
    ),
    Command("gaussians.restore", "Restore what is deleted", EDIT, lambda tab: _bring_back(tab, "restore"), enabled=_no_edit),
    Command("edit.scope", "Frames in which edits act", EDIT, _scope),
)  # fmt: skip
