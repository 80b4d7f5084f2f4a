"""Commands that flag frames and tracks and write notes about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trackersplat.errors import InputError
from viewer.commands.command import Command

if TYPE_CHECKING:
    from viewer.tab import Tab

GROUP = "Notes"


def _flag(tab: Tab, frame: int | None = None, track: int | None = None) -> None:
    tab.document.notes.toggle(tab.view.frame if frame is None else int(frame), track)


def _flag_track(tab: Tab) -> None:
    track = tab.view.main_track()
    if track is None:
        raise InputError("No track is selected: click one in a camera pane.")
    _flag(tab, track=track)


def _write(tab: Tab, text: str, frame: int | None = None, track: int | None = None) -> None:
    tab.document.notes.write(tab.view.frame if frame is None else int(frame), track, str(text))


def _remove(tab: Tab, frame: int, track: int | None = None) -> None:
    tab.document.notes.remove(int(frame), track)


def _next(tab: Tab, forward: bool) -> None:
    here = tab.view.frame
    frames = sorted(tab.document.notes.flagged())
    ahead = [frame for frame in frames if frame > here] if forward else [frame for frame in reversed(frames) if frame < here]
    if ahead:
        tab.set(playing=False, frame=ahead[0])


def _no_track(tab: Tab) -> str | None:
    return None if tab.view.main_track() is not None else "No track is selected: click one in a camera pane."


def _no_flag(tab: Tab) -> str | None:
    return None if tab.document.notes.flagged() else "No frame is flagged: M flags the one shown."


COMMANDS = (
    Command("notes.flag", "Flag this frame, or take the flag away", GROUP, _flag, "m"),
    Command("notes.flag_track", "Flag the selected track in this frame", GROUP, _flag_track, "shift+m", enabled=_no_track),
    Command("notes.next", "Next flagged frame", GROUP, lambda tab: _next(tab, True), "]", enabled=_no_flag),
    Command("notes.previous", "Previous flagged frame", GROUP, lambda tab: _next(tab, False), "[", enabled=_no_flag),
    Command("notes.write", "Write a note", GROUP, _write),
    Command("notes.remove", "Remove a note", GROUP, _remove),
)
