"""Commands about the 3D stage: where it looks from, and what it shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trackersplat.errors import InputError
from viewer.commands.command import Command
from viewer.state import COLOURS_BY

if TYPE_CHECKING:
    from viewer.tab import Tab

GROUP = "3D stage"
MOST_TRAIL = 60  # frames


def _look_through(tab: Tab, camera: int | None = None) -> None:
    """By default that of the active pane. The camera is shown in the pane, too."""
    from viewer.stage.flights import to_camera

    index = tab.view.pane().camera if camera is None else int(camera) % len(tab.document.capture.cameras)
    if camera is not None:
        tab.do("camera.show", camera=index)
    tab.set(flight=to_camera(tab, index))


def _to_selection(tab: Tab) -> None:
    """To the selected track or Gaussian; without one, to the camera of the active pane."""
    from viewer.stage.flights import selected_point, to_point

    if tab.view.tracks or tab.view.gaussian is not None:
        tab.set(flight=to_point(tab, selected_point(tab)))
    else:
        _look_through(tab)


def _around(tab: Tab) -> None:
    from viewer.stage.flights import around_point, selected_point

    tab.set(flight=around_point(selected_point(tab)))


def _start(tab: Tab) -> None:
    from viewer.stage.flights import to_start

    tab.set(flight=to_start(tab))


def _overview(tab: Tab) -> None:
    from viewer.stage.flights import to_overview

    tab.set(flight=to_overview(tab), show_cameras=True)


def _trail_length(tab: Tab, frames: int) -> None:
    tab.set(trail_length=min(max(int(frames), 0), MOST_TRAIL))


def _trails_of(tab: Tab, what: str) -> None:
    if what not in ("tracks", "gaussians"):
        raise InputError(f"Trails are of tracks or gaussians, not of {what}.")
    tab.set(trails_of=what, show_trails=True)


def _colour_by(tab: Tab, by: str) -> None:
    if by not in COLOURS_BY:
        raise InputError(f"Tracks are coloured by {', '.join(COLOURS_BY)}, not by {by}.")
    tab.set(colour_by=by)


def _pick(tab: Tab, gaussian: int) -> None:
    tab.set(gaussian=max(int(gaussian), 0), tracks=(), inspector="gaussian")


COMMANDS = (
    Command("stage.selection", "Fly to the selection, or to the camera", GROUP, _to_selection, "f"),
    Command("stage.start", "Back to the start view", GROUP, _start, "shift+f"),
    Command("stage.look_through", "Look through a camera", GROUP, _look_through, "v"),
    Command("stage.overview", "See all cameras", GROUP, _overview, "shift+v"),
    Command("stage.around", "Orbit around the selection", GROUP, _around, "shift+x"),
    Command("stage.cameras", "Cameras on the stage", GROUP, lambda tab: tab.set(show_cameras=not tab.view.show_cameras), "p"),
    Command("stage.trails", "Trails on the stage", GROUP, lambda tab: tab.set(show_trails=not tab.view.show_trails), "shift+t"),
    Command("stage.fade", "Trails fade", GROUP, lambda tab: tab.set(trail_fade=not tab.view.trail_fade)),
    Command("stage.trail_length", "Length of the trails", GROUP, _trail_length),
    Command("stage.trails_of", "Trails of tracks or of Gaussians", GROUP, _trails_of),
    Command("stage.colour_by", "Colour of the tracks", GROUP, _colour_by),
    Command("stage.pick", "Pick a Gaussian", GROUP, _pick),
)
