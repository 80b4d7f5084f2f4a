"""Where a stage is to look from: flights to cameras, to the start and to what is selected."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from trackersplat.errors import InputError
from viewer.state import Flight
from viewer.tab import Tab

NEAR = 0.6  # of the scene's extent: how far from a selection a flight ends, at most
MARGIN = 1.25  # around what an overview must show
WIDEST = 2.2  # radians, of an overview
_serials = itertools.count(1)

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Pose:
    """A viewpoint of the stage."""

    position: np.ndarray  # (3,)
    look_at: np.ndarray
    up: np.ndarray
    fov: float  # vertical, radians


def to_camera(tab: Tab, index: int) -> Flight:
    """Looks through a camera; its whole image is seen, and the orbit's centre is what it looks at."""
    camera, framing = tab.document.capture.cameras[index], tab.document.framing
    forward = camera.rotation[2]
    ahead = float((framing.focus - camera.center) @ forward)
    distance = ahead if ahead > 0.1 * framing.extent else framing.extent
    tangents = (0.5 * camera.width / camera.fx, 0.5 * camera.height / camera.fy)
    return Flight(
        next(_serials),
        _vector(camera.center + distance * forward),
        _vector(camera.center),
        up=_vector(-camera.rotation[1]),
        tangents=tangents,
    )


def to_start(tab: Tab) -> Flight:
    framing = tab.document.framing
    home = tab.document.capture.cameras[framing.home]
    tangents = (0.5 * home.width / home.fx, 0.5 * home.height / home.fy)
    return Flight(next(_serials), _vector(framing.focus), _vector(framing.start), up=_vector(framing.up), tangents=tangents, cover=True)


def to_overview(tab: Tab) -> Flight:
    """All cameras, and what they look at."""
    framing = tab.document.framing
    forward = framing.focus - framing.overview
    forward = forward / np.linalg.norm(forward)
    right = np.cross(forward, framing.up)
    right = right / max(float(np.linalg.norm(right)), 1e-9)
    down = np.cross(forward, right)
    ways = np.array([*(camera.center for camera in tab.document.capture.cameras), framing.focus]) - framing.overview
    depth = np.maximum(ways @ forward, 1e-3 * framing.extent)
    across, below = (MARGIN * float((np.abs(ways @ axis) / depth).max()) for axis in (right, down))
    widest = float(np.tan(0.5 * WIDEST))
    tangents = (min(max(across, 0.2), widest), min(max(below, 0.2), widest))
    return Flight(next(_serials), _vector(framing.focus), _vector(framing.overview), up=_vector(framing.up), tangents=tangents)


def to_point(tab: Tab, point: np.ndarray) -> Flight:
    return Flight(next(_serials), _vector(point), distance=NEAR * tab.document.framing.extent)


def around_point(point: np.ndarray) -> Flight:
    """The position stays; the stage turns towards the point and orbits around it from now on."""
    return Flight(next(_serials), _vector(point), turn=True)


def selected_point(tab: Tab) -> np.ndarray:
    """(3,) where the selected track or Gaussian is in the current frame. Raises InputError if nothing is selected or it has no place."""
    view = tab.view
    track = view.main_track()
    if track is not None:
        return _track_point(tab, track, view.frame)
    if view.gaussian is None:
        raise InputError("Nothing is selected: click a track or a Gaussian first.")
    gaussians = tab.document.shown(view.frame)
    if gaussians is None or view.gaussian >= len(gaussians):
        raise InputError(f"Gaussian {view.gaussian} is not in frame {view.frame + 1}.")
    point: np.ndarray = gaussians.means[view.gaussian].cpu().numpy().astype(np.float64)
    return point


def _track_point(tab: Tab, track: int, frame: int) -> np.ndarray:
    """In the current frame, or the nearest one in which the track has a place."""
    diagnosis = tab.document.diagnosis()
    if diagnosis is None:
        raise InputError("Where a track is in space is known once the tracks are diagnosed.")
    columns = np.flatnonzero(diagnosis.ids == track)
    world = diagnosis.world[:, columns]
    there = np.argwhere(np.isfinite(world).all(axis=2))
    if not len(there):
        raise InputError(f"Track {track} has no place in space in any frame: too few views confirm it.")
    row, column = there[np.abs(np.array(diagnosis.frames)[there[:, 0]] - frame).argmin()]
    return np.asarray(world[row, column], np.float64)


def destination(flight: Flight, now: Pose, aspect: float) -> Pose:
    """The pose that a flight ends in. ``aspect``: width over height of the stage."""
    look_at = np.array(flight.look_at)
    if flight.position is not None:
        position = np.array(flight.position)
    elif flight.turn:
        position = now.position
        if np.linalg.norm(look_at - position) < 1e-9:
            position = position - (now.look_at - now.position)
    else:
        way = now.position - now.look_at
        length = float(np.linalg.norm(way))
        wanted = min(length, flight.distance) if flight.distance is not None else length
        position = look_at + way / max(length, 1e-12) * wanted
    fov = now.fov
    if flight.tangents is not None:
        across, down = flight.tangents
        pick = min if flight.cover else max
        fov = 2 * float(np.arctan(pick(down, across / aspect)))
    return Pose(position, look_at, now.up if flight.up is None else np.array(flight.up), fov)


def between(start: Pose, end: Pose, share: float) -> Pose:
    """On the way, slow at both ends."""
    t = share * share * (3 - 2 * share)

    def mix(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return a + t * (b - a)

    up = mix(start.up, end.up)
    length = float(np.linalg.norm(up))
    # Whoever flies through the point that is looked at has no direction there.
    position, look_at = mix(start.position, end.position), mix(start.look_at, end.look_at)
    if np.linalg.norm(position - look_at) < 1e-9 or length < 1e-9:
        return end
    return Pose(position, look_at, up / length, start.fov + t * (end.fov - start.fov))


def _vector(values: np.ndarray) -> Vector:
    x, y, z = (float(value) for value in values)
    return x, y, z
