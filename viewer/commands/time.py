"""Commands that move through time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from viewer.commands.command import Command
from viewer.playback import Transport, play
from viewer.state import SPEEDS

if TYPE_CHECKING:
    from viewer.tab import Tab

GROUP = "Time"


def _seek(tab: Tab, frame: int) -> None:
    tab.set(playing=False, frame=frame)


def _play(tab: Tab) -> None:
    """At the end of what is played it begins anew, with and without loop."""
    view, known = tab.view, tab.shared.reconstructed
    if view.playing:
        tab.set(playing=False)
        return
    first, last = (known[0], known[-1]) if len(known) > 1 else (0, tab.shared.frame_count - 1)
    span = Transport(
        view.frame, False, view.speed, view.loop, first if view.first is None else view.first, last if view.last is None else view.last
    )
    begun = play(span)
    tab.set(frame=begun.frame, playing=begun.playing)


def _step(tab: Tab, frames: int = 1) -> None:
    _seek(tab, tab.view.frame + frames)


def _faster(tab: Tab, steps: int) -> None:
    at = SPEEDS.index(tab.view.speed) if tab.view.speed in SPEEDS else SPEEDS.index(1.0)
    tab.set(speed=SPEEDS[min(max(at + steps, 0), len(SPEEDS) - 1)])


def _jump(tab: Tab, forward: bool) -> None:
    """To the next frame that is reconstructed."""
    known, here = tab.shared.reconstructed, tab.view.frame
    ahead = [frame for frame in known if frame > here] if forward else [frame for frame in reversed(known) if frame < here]
    if ahead:
        _seek(tab, ahead[0])


def _point(tab: Tab, end: str) -> None:
    """The in or out point is set to the current frame."""
    frame, view = tab.view.frame, tab.view
    first, last = (frame, view.last) if end == "first" else (view.first, frame)
    if first is not None and last is not None and first > last:
        first, last = (frame, None) if end == "first" else (None, frame)
    tab.set(first=first, last=last)


COMMANDS = (
    Command("time.play", "Play or pause", GROUP, _play, "space"),
    Command("time.stop", "Stop", GROUP, lambda tab: tab.set(playing=False), "k"),
    Command("time.next", "Next frame", GROUP, lambda tab: _step(tab, 1), "arrowright", repeats=True),
    Command("time.previous", "Previous frame", GROUP, lambda tab: _step(tab, -1), "arrowleft", repeats=True),
    Command("time.next10", "Ten frames on", GROUP, lambda tab: _step(tab, 10), "shift+arrowright", repeats=True),
    Command("time.previous10", "Ten frames back", GROUP, lambda tab: _step(tab, -10), "shift+arrowleft", repeats=True),
    Command("time.first", "First frame", GROUP, lambda tab: _seek(tab, 0), "home"),
    Command("time.last", "Last frame", GROUP, lambda tab: _seek(tab, tab.shared.frame_count - 1), "end"),
    Command("time.next_done", "Next reconstructed frame", GROUP, lambda tab: _jump(tab, True), "l"),
    Command("time.previous_done", "Previous reconstructed frame", GROUP, lambda tab: _jump(tab, False), "j"),
    Command("time.in", "In point here", GROUP, lambda tab: _point(tab, "first"), "i"),
    Command("time.out", "Out point here", GROUP, lambda tab: _point(tab, "last"), "o"),
    Command("time.no_range", "Clear in and out points", GROUP, lambda tab: tab.set(first=None, last=None), "shift+i"),
    Command("time.loop", "Loop on or off", GROUP, lambda tab: tab.set(loop=not tab.view.loop), "shift+l"),
    Command("time.faster", "Play faster", GROUP, lambda tab: _faster(tab, 1), "."),
    Command("time.slower", "Play slower", GROUP, lambda tab: _faster(tab, -1), ","),
    Command("time.link", "Share time with other tabs, or not", GROUP, lambda tab: tab.set(linked=not tab.view.linked)),
    Command("time.seek", "Go to a frame", GROUP, _seek),
)
