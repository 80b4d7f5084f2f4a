"""The state of a tab in its address: frame, cameras, selection, mode. What an address asks for is checked like any other input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from trackersplat.captures.capture import Capture
from viewer.state import CHANNELS, COMPARES, MOST_PANES, Pane, View

if TYPE_CHECKING:
    from viewer.document import Document

LONGEST = 2000  # characters of a value that is read
MOST_TRACKS = 50  # of a selection that an address holds


def first_pane(document: Document) -> Pane:
    """Until something is reconstructed, and while the renderer starts, it shows the photograph and says so."""
    return Pane(camera=document.framing.home)


def write(view: View) -> str:
    """The query of an address, without what is as a new tab has it."""
    query: dict[str, str] = {}
    if view.frame:
        query["frame"] = str(view.frame + 1)
    query["cameras"] = ",".join(str(pane.camera) for pane in view.panes)
    modes = [f"{pane.compare}.{pane.channel}" for pane in view.panes]
    if set(modes) != {"render.colour"}:
        query["mode"] = ",".join(modes)
    if view.tracks:
        query["tracks"] = ",".join(map(str, view.tracks[:MOST_TRACKS]))
    if view.inspector != "tracks":
        query["panel"] = view.inspector
    return urlencode(query)


def read(query: Mapping[str, str], capture: Capture) -> dict[str, Any]:
    """Fields of the view that an address asks for; nonsense is left out."""
    found: dict[str, Any] = {}
    text = {key: value[:LONGEST] for key, value in query.items()}
    if (frame := whole(text.get("frame", ""))) is not None:
        found["frame"] = min(max(frame - 1, 0), capture.frame_count - 1)
    cameras = [index for part in text.get("cameras", "").split(",") if (index := whole(part)) is not None]
    cameras = [index for index in cameras if index < len(capture.cameras)][:MOST_PANES]
    if cameras:
        modes = [part.partition(".") for part in text.get("mode", "").split(",")]
        panes = []
        for place, camera in enumerate(cameras):
            compare, _, channel = modes[place] if place < len(modes) else ("", "", "")
            panes.append(
                Pane(
                    camera,
                    compare if compare in COMPARES else "render",
                    channel if channel in CHANNELS else "colour",
                )
            )
        found["panes"] = tuple(panes)
    tracks = [number for part in text.get("tracks", "").split(",") if (number := whole(part)) is not None]
    if tracks:
        found["tracks"] = tuple(tracks[:MOST_TRACKS])
    if text.get("panel", "").isidentifier():
        found["inspector"] = text["panel"]
    return found


def whole(text: str) -> int | None:
    """A number that an address holds; None if it is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None
