"""Commands about the camera panes: which camera, what of it, and how many panes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from trackersplat.errors import InputError
from trackersplat.words import counted
from viewer.commands.command import Command
from viewer.state import CHANNELS, COMPARES, MOST_PANES, Pane

if TYPE_CHECKING:
    from viewer.tab import Tab

GROUP = "Cameras"
MARKS = ("measured", "reprojected", "rendered")  # fields of `View`
RESIDUAL_SCALES = (0.0, 1.0, 5.0, 20.0)


def _next(tab: Tab, steps: int) -> None:
    tab.set_pane(camera=(tab.view.pane().camera + steps) % len(tab.document.capture.cameras))


def _show(tab: Tab, camera: int, pane: int | None = None) -> None:
    tab.set(grid=False)
    tab.set_pane(pane, camera=int(camera) % len(tab.document.capture.cameras))


def _compare(tab: Tab, how: str, pane: int | None = None) -> None:
    """Raises InputError if there is no other run to compare with."""
    if how not in COMPARES:
        return
    if how == "other" and tab.shared.other is None:
        raise InputError("There is no other run to compare with: choose one in the panel Compare.")
    tab.set_pane(pane, compare=how, channel="colour")


def _toggle(tab: Tab, how: str) -> None:
    """A comparison that is on already gives way to the plain render."""
    _compare(tab, "render" if tab.view.pane().compare == how else how)


def _channel(tab: Tab, channel: str, pane: int | None = None) -> None:
    if channel not in CHANNELS:
        return
    view = tab.view
    at = view.active if pane is None else pane
    compare = view.panes[at].compare
    tab.set_pane(at, channel=channel, compare=compare if channel == "colour" else "render")


def _against(tab: Tab) -> None:
    """Raises InputError if there is no other run to compare with."""
    if tab.shared.other is None:
        raise InputError("There is no other run to compare with: choose one in the panel Compare.")
    tab.set_pane(against_run=not tab.view.pane().against_run)


def _mark(tab: Tab, mark: str) -> None:
    """Draws one kind of marks in the panes, or no longer."""
    if mark in MARKS:
        tab.set(**{mark: not getattr(tab.view, mark)})


def _residual(tab: Tab, factor: float | None = None) -> None:
    """The factor of the residual arrows; by default the next one, after the largest none."""
    present = tab.view.residual_scale
    following = RESIDUAL_SCALES[(RESIDUAL_SCALES.index(present) + 1) % len(RESIDUAL_SCALES)] if present in RESIDUAL_SCALES else 1.0
    chosen = following if factor is None else float(factor)
    if chosen in RESIDUAL_SCALES:
        tab.set(residual_scale=chosen)


def _panes(tab: Tab, count: int) -> None:
    """New panes show cameras that are in no pane yet."""
    view, cameras = tab.view, len(tab.document.capture.cameras)
    panes = list(view.panes[:count])
    free = [index for index in range(cameras) if index not in {pane.camera for pane in panes}]
    while len(panes) < min(count, MOST_PANES):
        panes.append(Pane(camera=free.pop(0) if free else 0))
    tab.set(panes=tuple(panes), active=min(view.active, len(panes) - 1), grid=False)


def _overlay(tab: Tab) -> None:
    on = not tab.view.pane().overlay
    tab.set(panes=tuple(replace(pane, overlay=on) for pane in tab.view.panes))


COMMANDS = (
    Command("camera.next", "Next camera", GROUP, lambda tab: _next(tab, 1), "c", repeats=True),
    Command("camera.previous", "Previous camera", GROUP, lambda tab: _next(tab, -1), "shift+c", repeats=True),
    Command("camera.show", "Show a camera in a pane", GROUP, _show),
    Command("camera.photo", "Photograph or render (A-B)", GROUP, lambda tab: _toggle(tab, "photo"), "g"),
    Command("camera.wipe", "Wipe between photograph and render", GROUP, lambda tab: _toggle(tab, "wipe"), "w"),
    Command("camera.error", "Error map", GROUP, lambda tab: _toggle(tab, "error"), "e"),
    Command("camera.other", "Other run or this one (A-B)", GROUP, lambda tab: _toggle(tab, "other"), "b"),
    Command("camera.against", "Wipe and error map against the other run, or the photograph", GROUP, _against, "shift+e"),
    Command("marks.show", "Show a kind of marks, or not", GROUP, _mark),
    Command("marks.residual", "Length of the residual arrows", GROUP, _residual, "shift+a"),
    Command("camera.compare", "Compare in a pane", GROUP, _compare),
    Command("camera.channel", "Channel of a pane", GROUP, _channel),
    *(
        Command(f"camera.channel_{name}", f"Show {title}", GROUP, lambda tab, name=name: _channel(tab, name), key)
        for name, title, key in (
            ("colour", "colours", "1"),
            ("depth", "depth", "2"),
            ("opacity", "opacity", "3"),
            ("motion", "motion", "4"),
            ("static", "static and moving Gaussians", "5"),
            ("age", "age of the Gaussians", "6"),
            ("error", "error of the Gaussians", "7"),
        )
    ),
    *(
        Command(f"panes.{count}", counted(count, "camera pane"), GROUP, lambda tab, n=count: _panes(tab, n), f"alt+{count}")
        for count in range(1, MOST_PANES + 1)
    ),
    Command("panes.grid", "All cameras as a grid", GROUP, lambda tab: tab.set(grid=not tab.view.grid), "a"),
    Command(
        "panes.activate",
        "Make a pane the active one",
        GROUP,
        lambda tab, pane: tab.set(active=min(max(int(pane), 0), len(tab.view.panes) - 1)),
    ),
    Command("panes.overlay", "Tracks over the pictures", GROUP, _overlay, "t"),
)
