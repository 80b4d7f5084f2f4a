"""What the workbench shows: the project's state, which all tabs share, and the view of each tab. It knows no toolkit."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from trackersplat.events import FrameDone

if TYPE_CHECKING:
    from trackersplat.document.clean_up import Proposal
    from trackersplat.document.selection import Selection

Compare = Literal["render", "photo", "wipe", "error", "other"]
Channel = Literal["colour", "depth", "opacity", "motion", "static", "age", "error"]
TrailsOf = Literal["tracks", "gaussians"]
Tool = Literal["", "click", "rectangle", "lasso", "brush"]  # "": none, the pointer pans and picks
Scope = Literal["all", "range", "onwards", "frame"]  # range: from in to out point; onwards: from this frame on
ColourBy = Literal["id", "score", "category", "error", "confidence", "age", "speed", "views"]

COMPARES: tuple[Compare, ...] = ("render", "photo", "wipe", "error", "other")
CHANNELS: tuple[Channel, ...] = ("colour", "depth", "opacity", "motion", "static", "age", "error")
COLOURS_BY: tuple[ColourBy, ...] = ("category", "score", "error", "id", "confidence", "age", "speed", "views")
SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0)
SCOPES: tuple[Scope, ...] = ("all", "range", "onwards", "frame")
TOOLS: tuple[Tool, ...] = ("", "click", "rectangle", "lasso", "brush")
MOST_PANES = 4
# Beginnings of the sources of problems: what commands refused, which is forgotten with the next command, and what failed.
REFUSED, FAILED = "command ", "failed command "


@dataclass(frozen=True)
class Draft:
    """The present state of a frame that is being optimised."""

    frame: int
    path: Path  # of its PLY, which the next draft replaces
    serial: int  # counts the drafts, from 1


@dataclass(frozen=True)
class Shared:
    """The project. Frames are indices from 0."""

    frame_count: int = 1
    fps: float = 30.0
    out: Path | None = None  # where reconstructions go, once it is known
    runs: tuple[Path, ...] = ()  # all that are known of this capture
    run: Path | None = None  # the run on the screen
    other: Path | None = None  # the run that it is compared with
    reconstructed: tuple[int, ...] = ()  # frames of the run, ascending
    records: Mapping[int, FrameDone] = field(default_factory=dict)  # what was reported of each of its frames; replaced, never changed
    stale: frozenset[int] = frozenset()  # frames that an edit has made out of date
    failed: frozenset[int] = frozenset()  # frames that a job could not finish
    waiting: frozenset[int] = frozenset()  # frames that a job is to reconstruct
    working_on: int | None = None  # the frame being reconstructed
    draft: Draft | None = None  # the frame in work
    revision: int = 0  # grows when a frame on disk was replaced
    paths: int = 0  # grows when the paths of the Gaussians were read anew
    diagnosed: int = 0  # grows when the tracks have been diagnosed anew
    diagnosing: str = ""  # what is done to diagnose the tracks, or why they are not, for people; "" if there is nothing to say
    edits: int = 0  # grows with the log of edits
    scene: int = 0  # grows with the edits of the scene
    notes: int = 0  # grows with the flags and notes
    camera_path: int = 0  # grows with the camera path of the run
    export: int = 0  # grows with every event of an export
    video: int = 0  # grows with every event of rendering a video
    job: int = 0  # grows with every event of a job
    tabs: int = 0  # grows when a page comes or goes

    renderer: str = ""  # what renders, for people; "" until it is known
    ready: bool = False  # the rasteriser is there
    activity: str = ""  # what the program is busy with, for people
    problems: tuple[tuple[str, str], ...] = ()  # (source, sentence)

    def source_of(self, frame: int) -> int | None:
        """The frame whose Gaussians stand for ``frame``: itself, or the nearest earlier (else later) one; None if there is none."""
        if self.draft is not None and self.draft.frame == frame:
            return frame
        if not self.reconstructed:
            return None
        earlier = [known for known in self.reconstructed if known <= frame]
        return earlier[-1] if earlier else self.reconstructed[0]

    def frame_state(self, frame: int) -> str:
        """One of running, failed, stale, done, todo."""
        if self.working_on == frame:
            return "running"
        if frame in self.failed:
            return "failed"
        if frame in self.stale:
            return "stale"
        return "done" if frame in self.reconstructed else "todo"


@dataclass(frozen=True)
class Pane:
    """One camera pane of a tab."""

    camera: int = 0
    compare: Compare = "render"
    channel: Channel = "colour"
    wipe: float = 0.5  # share of the width that shows the photograph
    overlay: bool = True  # tracks over the picture
    against_run: bool = False  # wipe and error map compare with the other run instead of the photograph


def vector(values: Iterable[float]) -> tuple[float, float, float]:
    x, y, z = map(float, values)
    return x, y, z


@dataclass(frozen=True)
class Zone:
    """A box along the axes, or a sphere, in world coordinates."""

    shape: Literal["box", "sphere"]
    center: tuple[float, float, float]
    size: tuple[float, float, float]  # whole lengths of the sides; of a sphere its diameter, three times

    def to_json(self) -> dict[str, Any]:
        """As the library reads a region."""
        if self.shape == "sphere":
            return {"shape": "sphere", "center": list(self.center), "radius": 0.5 * self.size[0]}
        return {"shape": "box", "center": list(self.center), "size": list(self.size)}


@dataclass(frozen=True)
class Placing:
    """Gaussians that a handle on the stage moves and turns, and how far it is dragged by now."""

    serial: int  # tells one from the next
    group: str | None  # None: what is selected
    low: tuple[float, float, float]  # corners of a box around most of them, before they are moved
    high: tuple[float, float, float]
    translation: tuple[float, float, float] = (0.0, 0.0, 0.0)
    rotation: tuple[float, float, float, float] = (1.0, 0.0, 0.0, 0.0)  # wxyz, about the middle of the box

    @property
    def center(self) -> tuple[float, float, float]:
        """The middle of the box, which turning does not move."""
        return vector(0.5 * (low + high) for low, high in zip(self.low, self.high, strict=True))

    @property
    def place(self) -> tuple[float, float, float]:
        """Where that is by now."""
        return vector(middle + moved for middle, moved in zip(self.center, self.translation, strict=True))

    @property
    def moved(self) -> bool:
        return any(self.translation) or any(self.rotation[1:])


@dataclass(frozen=True)
class Flight:
    """Where a stage is to look from; what is None stays as it is. Scene units."""

    serial: int  # tells one flight from the next
    look_at: tuple[float, float, float]  # the orbit's centre
    position: tuple[float, float, float] | None = None
    distance: float | None = None  # from ``look_at``, along the present direction; not with a position
    turn: bool = False  # whether only the direction changes, the position stays
    up: tuple[float, float, float] | None = None
    tangents: tuple[float, float] | None = None  # of half the angles of view, across and down, that must be seen
    cover: bool = False  # of these the smaller part is seen that fills the stage, nothing beside it


@dataclass(frozen=True)
class View:
    """One tab of the browser."""

    frame: int = 0
    shown: int = -1  # frame of the picture that the page has acknowledged, of the active pane or the stage; -1: none yet
    stage_shown: bool = False  # whether the stage has a picture
    playing: bool = False
    dragging: bool = False  # the time is being dragged: whatever is not the picture can wait
    speed: float = 1.0
    loop: bool = True
    first: int | None = None  # in point
    last: int | None = None  # out point
    linked: bool = True  # shares its time with the other tabs that do
    present: bool = True  # its page is connected; a page that was closed or loaded anew leaves its tab behind for a while

    panes: tuple[Pane, ...] = (Pane(),)
    active: int = 0  # the pane that commands act on
    grid: bool = False  # all cameras at once in place of the panes

    tracks: tuple[int, ...] = ()  # ids of the selected tracks; the last one is the main one
    gaussian: int | None = None  # index of the picked Gaussian
    selected: Selection | None = None  # Gaussians that are selected, the same in every frame; None if nothing is
    tool: Tool = ""  # what the pointer does in the panes and on the stage
    through: bool = False  # tools select what is hidden behind surfaces, too
    in_time: bool = False  # and what continues that in other frames
    carrying: bool = False  # what continues the selection is being looked for
    carried: int = 0  # so many of the selected Gaussians were found so
    brush: float = 24.0  # radius in CSS pixels
    proposal: Proposal | None = None  # what clean-up proposed
    judging: bool = False  # clean-up is at work
    zone: Zone | None = None  # drawn on the stage; what is inside can be selected or kept
    placing: Placing | None = None  # what the handle on the stage moves; None: there is no such handle
    scope: Scope = "all"  # frames in which edits of the scene act
    answered: int = 0  # grows when something that was drawn with a tool has been taken
    epipolar_from: int | None = None  # the camera last pointed at

    measured: bool = True  # marks of the overlay
    reprojected: bool = True
    rendered: bool = True
    residual_scale: float = 1.0  # factor of the residual arrows
    trail_length: int = 8  # frames; 0: no trails
    colour_by: ColourBy = "category"

    show_cameras: bool = True  # frusta on the stage
    show_trails: bool = False
    trails_of: TrailsOf = "tracks"  # what the trails on the stage are of
    trail_fade: bool = True  # older parts are fainter
    flight: Flight | None = None  # the last one that was asked for
    show_path: bool = True  # the camera path, while it is not followed
    path_key: int | None = None  # the selected key of the camera path
    path_moment: float | None = None  # second of the camera path from which the stage looks; None: it is free
    path_shown: float | None = None  # that of the picture that the page has acknowledged
    path_playing: bool = False
    video_aspect: float = 16 / 9  # width over height of the video that would be rendered
    canvas: tuple[int, int, float] | None = None  # of the stage: width, height, device pixels per CSS pixel; None until the page tells
    inspector: str = "tracks"  # the panel that is open on the right
    filter: str = ""  # text of the tracks table
    categories: tuple[int, ...] = ()  # of the tracks table; empty: all
    dialog: str = ""  # what lies over the page: "palette", "keys" or "log"; "": nothing
    refusal: tuple[int, str] = (0, "")  # how many commands were refused or failed by now, and why the last one was

    def pane(self) -> Pane:
        return self.panes[min(self.active, len(self.panes) - 1)]

    def main_track(self) -> int | None:
        return self.tracks[-1] if self.tracks else None

    def with_pane(self, index: int, **changes: Any) -> tuple[Pane, ...]:
        """The panes with one changed."""
        return tuple(replace(pane, **changes) if i == index else pane for i, pane in enumerate(self.panes))


log = logging.getLogger(__name__)

# Called with the id of the tab whose view changed, or None for the project, and the names of the changed fields.
Subscriber = Callable[[str | None, frozenset[str]], None]


class TabClosed(KeyError):
    """The view of a tab was asked for after its page was closed."""


class Store:
    """Holds all state and is the only one that changes and announces it. Thread-safe.

    Subscribers are called in order, on the thread that made the change. They must be quick (note what changed, wake a worker) and may
    change the state again. One that fails stops neither the others nor the thread that made the change.
    """

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._views: dict[str, View] = {}
        self._subscribers: list[Subscriber] = []
        self._lock = threading.RLock()

    @property
    def shared(self) -> Shared:
        return self._shared

    def view(self, tab: str) -> View:
        """Raises TabClosed if it is."""
        try:
            return self._views[tab]
        except KeyError as error:
            raise TabClosed(tab) from error

    def tabs(self) -> tuple[str, ...]:
        with self._lock:
            return tuple(self._views)

    def any_playing(self) -> bool:
        """Whether the time runs in a tab."""
        with self._lock:
            return any(view.playing for view in self._views.values())

    def open_tab(self, tab: str, view: View) -> None:
        """A linked tab joins the time of those whose pages are there."""
        with self._lock:
            others = [other for other in self._views.values() if other.linked and other.present]
            if view.linked and others:
                view = replace(view, frame=others[0].frame, playing=others[0].playing, speed=others[0].speed, loop=others[0].loop)
            self._views[tab] = view

    def attend(self, tab: str, present: bool) -> None:
        """The page of a tab is there, or is gone."""
        with contextlib.suppress(KeyError):  # it is closed already
            self.set_view(tab, present=present, dragging=False)
        self.grow("tabs")

    def close_tab(self, tab: str) -> None:
        with self._lock:
            self._views.pop(tab, None)

    def subscribe(self, subscriber: Subscriber) -> None:
        with self._lock:
            self._subscribers.append(subscriber)

    def unsubscribe(self, subscriber: Subscriber) -> None:
        with self._lock:
            if subscriber in self._subscribers:
                self._subscribers.remove(subscriber)

    def set(self, **changes: Any) -> None:
        """Changes fields of the project."""
        with self._lock:
            old = self._shared
            self._shared = replace(old, **changes)
            self._announce(None, _changed(old, self._shared))

    def set_view(self, tab: str, **changes: Any) -> None:
        """Changes fields of a tab; time is carried to the tabs that share it. A frame outside the capture is moved to its nearest end.

        Nothing happens if the tab is closed.
        """
        with self._lock:
            old = self._views.get(tab)
            if old is None:
                return
            if "frame" in changes:
                changes["frame"] = min(max(int(changes["frame"]), 0), self._shared.frame_count - 1)
            new = replace(old, **changes)
            self._views[tab] = new
            self._announce(tab, _changed(old, new))
            time = {name: changes[name] for name in _TIME if name in changes}
            if not (new.linked and time):
                return
            for other, view in list(self._views.items()):
                if other != tab and view.linked:
                    self._views[other] = replace(view, **time)
                    self._announce(other, _changed(view, self._views[other]))

    def grow(self, counter: str) -> None:
        """Adds one to a counter of the project, such as ``job``."""
        with self._lock:
            self.set(**{counter: getattr(self._shared, counter) + 1})

    def problem(self, source: str, sentence: str | None) -> None:
        """Sets, or with None clears, what one part of the program complains about."""
        with self._lock:
            rest = tuple(entry for entry in self._shared.problems if entry[0] != source)
            self.set(problems=rest if sentence is None else (*rest, (source, sentence)))

    def _announce(self, tab: str | None, changed: frozenset[str]) -> None:
        if not changed:
            return
        for subscriber in tuple(self._subscribers):
            try:
                subscriber(tab, changed)
            except Exception:
                log.exception("a part of the page could not follow the change of %s", ", ".join(sorted(changed)))


_TIME = ("frame", "playing", "speed", "loop", "first", "last")  # fields of a view that linked tabs share


def _changed(old: Any, new: Any) -> frozenset[str]:
    pairs = ((f.name, getattr(old, f.name), getattr(new, f.name)) for f in fields(old))
    return frozenset(name for name, before, after in pairs if before is not after and before != after)
