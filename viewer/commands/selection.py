"""Commands that select tracks: failures one after the other, by category, and what lies around."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from trackersplat.diagnosis.categories import Category
from trackersplat.errors import InputError
from viewer.commands.command import Command

if TYPE_CHECKING:
    from viewer.tab import Tab
    from viewer.views.table import TrackList

GROUP = "Tracks"
MOST_SELECTED = 10_000  # tracks, as many as one edit takes
GROWN = 8  # neighbours that one step of growing adds to each selected track
LONGEST_FILTER = 200  # characters


def diagnosed(tab: Tab) -> TrackList:
    """Raises InputError if the tracks of the run on the screen are not diagnosed yet."""
    tracks = tab.document.tracks()
    if tracks is None:
        raise InputError(tab.shared.diagnosing or "There are no diagnosed tracks yet: reconstruct first.")
    return tracks


def chosen_rows(tab: Tab, tracks: TrackList) -> list[int]:
    """Rows of the selected tracks that this diagnosis knows; the main one is the last."""
    return [tracks.row_of[identity] for identity in tab.view.tracks if identity in tracks.row_of]


def _open(tab: Tab, track: int, frame: int | None = None) -> None:
    """Selects a track and goes to where it can be judged: its worst frame, its camera, the best other view, its place in space."""
    tracks = diagnosed(tab)
    row = tracks.row_of.get(int(track))
    if row is None:
        raise InputError(f"There is no track {track} in this run.")
    show(tab, tracks, row, (int(track),), frame)


def show(tab: Tab, tracks: TrackList, row: int, selected: tuple[int, ...], frame: int | None = None) -> None:
    from viewer.stage.flights import to_point
    from viewer.views.best_views import best_other

    view, capture = tab.view, tab.document.capture
    when = int(tracks.summary.worst[row]) if frame is None else frame
    own = capture.camera_index(tracks.diagnosis.cameras[int(tracks.diagnosis.camera[row])])
    panes = list(view.with_pane(view.active, camera=own))
    if len(panes) > 1:
        second = next(index for index in range(len(panes)) if index != view.active)
        other = best_other(tracks, capture.cameras, row, when)
        if other is not None:
            panes[second] = replace(panes[second], camera=other)
    point = place(tracks, row, when)
    flight = view.flight if point is None else to_point(tab, point)
    tab.set(tracks=selected, playing=False, frame=when, panes=tuple(panes), grid=False, flight=flight)


def place(tracks: TrackList, row: int, frame: int) -> np.ndarray | None:
    """(3,) where a track is in space; None where the views do not agree."""
    at = tracks.frame_row(frame)
    if at is None or not np.isfinite(tracks.diagnosis.world[at, row]).all():
        return None
    return tracks.diagnosis.world[at, row].astype(np.float64)


def _failure(tab: Tab, steps: int) -> None:
    """The next failure in the order of the failure score, among those that the table's filter lets through."""
    from viewer.views.table import next_after

    tracks, view = diagnosed(tab), tab.view
    failures = tracks.failures(view.filter, view.categories)
    main = view.main_track()
    row = next_after(failures, None if main is None else tracks.row_of.get(main), steps)
    if row is None:
        raise InputError("No track fails" + (" that the filter of the table lets through." if view.filter or view.categories else "."))
    show(tab, tracks, row, (int(tracks.diagnosis.ids[row]),))


def _set(tab: Tab, tracks: Sequence[int]) -> None:
    """Selects tracks; the last one is the main one."""
    tab.set(tracks=tuple(dict.fromkeys(int(track) for track in tracks))[-MOST_SELECTED:])


def _grow(tab: Tab) -> None:
    from viewer.views.best_views import neighbours

    tracks = diagnosed(tab)
    rows = chosen_rows(tab, tracks)
    if not rows:
        raise InputError("No track is selected: click one in the table or in a picture first.")
    _set(tab, tracks.diagnosis.ids[neighbours(tracks, rows, tab.view.frame, GROWN)].tolist())


def _select_category(tab: Tab, category: int) -> None:
    """All failures of a category that the text of the table's filter lets through; the worst is the main one."""
    tracks = diagnosed(tab)
    rows = tracks.failures(tab.view.filter, (int(category),))
    _set(tab, tracks.diagnosis.ids[rows[::-1]].tolist())


def _filter(tab: Tab, text: str) -> None:
    tab.set(filter=str(text)[:LONGEST_FILTER])


def _categories(tab: Tab, category: int | None = None) -> None:
    """Lets a category through the table's filter, or no more; None: all."""
    if category is None:
        tab.set(categories=())
        return
    number, now = int(Category(category)), tab.view.categories
    tab.set(categories=tuple(known for known in now if known != number) if number in now else tuple(sorted((*now, number))))


COMMANDS = (
    Command("selection.next", "Next failure", GROUP, lambda tab: _failure(tab, 1), "n", repeats=True),
    Command("selection.previous", "Previous failure", GROUP, lambda tab: _failure(tab, -1), "shift+n", repeats=True),
    Command("selection.clear", "Select no track", GROUP, lambda tab: tab.set(tracks=())),
    Command("selection.grow", "Select the neighbours, too", GROUP, _grow, "shift+g"),
    Command("selection.open", "Select a track and go to its worst frame", GROUP, _open),
    Command("selection.set", "Select tracks", GROUP, _set),
    Command("selection.category", "Select all failures of a category", GROUP, _select_category),
    Command("selection.filter", "Filter the table by text", GROUP, _filter),
    Command("selection.categories", "Filter the table by category", GROUP, _categories),
    Command("selection.diagnose", "Diagnose the tracks again", GROUP, lambda tab: tab.document.diagnosing.again()),
    Command("selection.stop_diagnosis", "Stop diagnosing", GROUP, lambda tab: tab.document.diagnosing.stop()),
)
