"""Commands that mend: each is an entry in the log of edits of the run on the screen, with undo."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from trackersplat.diagnosis.categories import Category
from trackersplat.edits.edit import Edit
from trackersplat.edits.registry import make_edit
from trackersplat.errors import InputError
from viewer import history
from viewer.commands.command import Command
from viewer.commands.selection import chosen_rows, diagnosed
from viewer.views.evidence import failing_span, last_good

if TYPE_CHECKING:
    from viewer.document import Document
    from viewer.tab import Tab
    from viewer.views.table import TrackList

GROUP = "Mend"

# What the button of a category does to its tracks; a category without one has no edit that helps.
REMEDIES: dict[Category, str] = {
    Category.LEFT_IMAGE: "End them there",
    Category.OCCLUSION: "Re-track from the last good frame",
    Category.DRIFT: "Re-track from the last good frame",
    Category.IDENTITY_SWAP: "Re-track from the last good frame",
    Category.TEXTURELESS: "End them there",
    Category.TOO_FAST: "Re-track from the last good frame",
    Category.BAD_CAMERA: "Drop the camera",
    Category.GEOMETRY: "Re-run these frames",
}


def _main(tab: Tab) -> tuple[TrackList, int]:
    """The diagnosed tracks and the row of the main selected one. Raises InputError if there is none."""
    tracks = diagnosed(tab)
    rows = chosen_rows(tab, tracks)
    if not rows:
        raise InputError("No track is selected: click one in the table or in a picture first.")
    return tracks, rows[-1]


def _camera(tracks: TrackList, row: int) -> str:
    return tracks.diagnosis.cameras[int(tracks.diagnosis.camera[row])]


def _tracker(tab: Tab, name: str | None) -> str:
    """The tracker asked for, or that of the run."""
    from trackersplat.tracking.registry import DEFAULT_TRACKER

    if name:
        return name
    run = tab.shared.run
    followed = None if run is None else tab.document.runs.get(run).settings.get("tracker")
    return followed if isinstance(followed, str) else DEFAULT_TRACKER


def _add(tab: Tab, *edits: Edit) -> None:
    tab.document.edits.add(edits)


def _drop_view(tab: Tab, camera: str | None = None, first: int | None = None, last: int | None = None) -> None:
    """By default the view of the main track, for the frames in which it fails."""
    if camera is None or first is None:
        tracks, row = _main(tab)
        camera = camera or _camera(tracks, row)
        first, last = failing_span(tracks, row, tab.view.frame)
    tab.document.capture.camera_index(camera)
    _add(tab, make_edit("drop_view", {"camera": camera, "frames": _frames(first, last)}))


def _drop_camera(tab: Tab, camera: str | None = None, frame: int = 0) -> None:
    name = camera or _camera(*_main(tab))
    tab.document.capture.camera_index(name)
    _add(tab, make_edit("drop_camera", {"camera": name, "frame": frame + 1}))


def _frames(first: int, last: int | None) -> str:
    return f"{first + 1}:{(first if last is None else last) + 1}"


def _retrack(tab: Tab, direction: str, tracker: str | None = None) -> None:
    """The selected tracks, from the frame on the screen."""
    tracks, _ = _main(tab)
    frame, rows = tab.view.frame, chosen_rows(tab, tracks)
    values: dict[str, Any] = {
        "tracks": tracks.diagnosis.ids[rows].tolist(), "frame": frame + 1, "tracker": _tracker(tab, tracker), "direction": direction,
    }  # fmt: skip
    if direction == "backward":
        at = tracks.frame_row(frame)
        pixels = None if at is None else tracks.diagnosis.position[at, rows]
        if pixels is None or not np.isfinite(pixels).all():
            raise InputError(f"Frame {frame + 1} has no position of every selected track to start from: go to a frame that has.")
        values["at"] = pixels.astype(float).round(2).tolist()
    _add(tab, make_edit("retrack", values))


def _end(tab: Tab) -> None:
    tracks, _ = _main(tab)
    ids = tracks.diagnosis.ids[chosen_rows(tab, tracks)].tolist()
    _add(tab, make_edit("end_track", {"tracks": ids, "frame": tab.view.frame + 1}))


def _reseed(tab: Tab, camera: str | None = None) -> None:
    """In the camera of the active pane, unless another is named."""
    name = camera or tab.document.capture.cameras[tab.view.pane().camera].name
    _add(tab, make_edit("reseed", {"camera": name, "frame": tab.view.frame + 1}))


def _correct(tab: Tab, x: float, y: float, camera: int | None = None) -> None:
    """The main track is put at a pixel of a camera, by default that of the active pane."""
    tracks, row = _main(tab)
    view, cameras = tab.view, tab.document.capture.cameras
    index = view.pane().camera if camera is None else int(camera)
    if not 0 <= index < len(cameras):
        raise InputError(f"There is no camera {index + 1}.")
    name = cameras[index].name
    values = {"track": int(tracks.diagnosis.ids[row]), "camera": name, "frame": view.frame + 1, "x": float(x), "y": float(y)}
    _add(tab, make_edit("correct_point", values))


def _rerun(tab: Tab, first: int | None = None, last: int | None = None) -> None:
    """By default the range between in and out point, else the frames in which the main track fails, else this frame."""
    view = tab.view
    if first is None:
        tracks = tab.document.tracks()
        rows = [] if tracks is None else chosen_rows(tab, tracks)
        if view.first is not None or view.last is not None:
            first = view.first or 0
            last = tab.shared.frame_count - 1 if view.last is None else view.last
        elif tracks is not None and rows:
            first, last = failing_span(tracks, rows[-1], view.frame)
        else:
            first = view.frame
    _add(tab, make_edit("rerun", {"frames": _frames(first, last)}))


def _remedy(tab: Tab, category: int) -> None:
    """What helps all failures of a category that the table's filter lets through, or, if tracks of it are selected, these."""
    tracks, kind = diagnosed(tab), Category(category)
    rows = tracks.failures(tab.view.filter, (int(kind),))
    selected = [row for row in chosen_rows(tab, tracks) if row in set(rows.tolist())]
    edits = remedies(tracks, selected or rows.tolist(), kind, _tracker(tab, None))
    if not edits:
        raise InputError(f"Nothing can be done about {kind.title} by an edit. {kind.action}")
    _add(tab, *edits)


def remedies(tracks: TrackList, rows: Sequence[int], category: Category, tracker: str) -> list[Edit]:
    """The edits that help tracks which fail by a category; none if the category has no such edit. One per frame, camera or span."""
    if category not in REMEDIES:
        return []
    worst, ids = tracks.summary.worst, tracks.diagnosis.ids
    if category == Category.BAD_CAMERA:
        return [make_edit("drop_camera", {"camera": camera}) for camera in dict.fromkeys(_camera(tracks, row) for row in rows)]
    if category == Category.GEOMETRY:
        return [
            make_edit("rerun", {"frames": _frames(*span)}) for span in _merged([failing_span(tracks, row, int(worst[row])) for row in rows])
        ]
    ends = category in (Category.LEFT_IMAGE, Category.TEXTURELESS)
    by_frame: dict[int, list[int]] = {}
    for row in rows:
        frame = failing_span(tracks, row, int(worst[row]))[0] if ends else last_good(tracks, row, int(worst[row]))
        by_frame.setdefault(frame, []).append(int(ids[row]))
    if ends:
        return [make_edit("end_track", {"tracks": group, "frame": frame + 1}) for frame, group in sorted(by_frame.items())]
    return [make_edit("retrack", {"tracks": group, "frame": frame + 1, "tracker": tracker}) for frame, group in sorted(by_frame.items())]


def _merged(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans that touch or overlap become one."""
    found: list[tuple[int, int]] = []
    for first, last in sorted(spans):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return found


def _no_selection(tab: Tab) -> str | None:
    return None if tab.view.tracks else "No track is selected."


def _no_undo(tab: Tab) -> str | None:
    return None if history.next_undo(tab.document) is not None else "There is no edit to undo."


def _no_redo(tab: Tab) -> str | None:
    return None if history.next_redo(tab.document) is not None else "There is no undone edit to redo."


def _undo(tab: Tab) -> None:
    """Of tracks or of the scene: what was done last."""
    _now_or_after(tab, "Undo the last edit", history.next_undo(tab.document), history.undo)


def _redo(tab: Tab) -> None:
    _now_or_after(tab, "Redo the edit", history.next_redo(tab.document), history.redo)


def _now_or_after(tab: Tab, what: str, step: history.Step | None, work: Callable[[Document], None]) -> None:
    """Edits of tracks at once, those of the scene on their thread, as all that comes while it is busy."""
    editing = tab.document.editing
    if editing.busy or (step is not None and step.of == "scene"):
        editing.run(what, lambda: work(tab.document), tab.refuse)
    else:
        work(tab.document)


def _go_to(tab: Tab, count: int) -> None:
    """So many steps of the history are in effect then."""
    tab.document.editing.run("Go to a step of the history", lambda: history.go_to(tab.document, int(count)), tab.refuse)


COMMANDS = (
    Command("act.undo", "Undo the last edit", GROUP, _undo, "ctrl+z", enabled=_no_undo, repeats=True),
    Command("act.redo", "Redo the edit", GROUP, _redo, "ctrl+shift+z", enabled=_no_redo, repeats=True),
    Command("act.go_to", "Go to a step of the history", GROUP, _go_to),
    Command(
        "act.retrack_forward", "Re-track from here forward", GROUP,
        lambda tab, tracker=None: _retrack(tab, "forward", tracker), "y", enabled=_no_selection,
    ),
    Command(
        "act.retrack_backward", "Re-track from here back", GROUP,
        lambda tab, tracker=None: _retrack(tab, "backward", tracker), "shift+y", enabled=_no_selection,
    ),
    Command("act.drop_view", "Drop this view where the track fails", GROUP, _drop_view, enabled=_no_selection),
    Command("act.drop_camera", "Drop the camera", GROUP, _drop_camera, enabled=_no_selection),
    Command("act.end", "End the track here", GROUP, _end, enabled=_no_selection),
    Command("act.correct", "Put the track at a point of a picture", GROUP, _correct, enabled=_no_selection),
    Command("act.reseed", "Start new tracks in this camera and frame", GROUP, _reseed),
    Command("act.rerun", "Run the span again", GROUP, _rerun),
    Command("act.remedy", "Do what helps a category of failures", GROUP, _remedy),
)  # fmt: skip
