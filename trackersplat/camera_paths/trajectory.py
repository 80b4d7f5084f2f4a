"""Where the camera of a path is at any time.

Position and rotation are cubic splines of the time (scipy's CubicSpline, natural or periodic, and RotationSpline), so that speed and
acceleration have no jumps; the focal length is a monotone cubic. With constant speed, they are splines over the chord length between the
keys, which do not depend on the times of the keys, and the camera goes evenly along the length of the curve. Where the camera stands
between two keys, or turns in place, the curve is cut: it neither drifts there nor bends before.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.interpolate import CubicSpline, PchipInterpolator
from scipy.spatial.transform import Rotation, RotationSpline

from trackersplat.camera_paths.path import CameraPath, Key
from trackersplat.captures.camera import Camera

SAMPLES = 128  # of the length of a segment of the curve
TIMES_TRIED = 4001  # to find the time of a frame
SAME = 1e-9  # share of the way, and radians, below which two poses are one
PADDING = 3  # keys beyond both ends of a loop, so that the rotation is as smooth there as elsewhere

Function = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Moments:
    """The camera at T times."""

    positions: np.ndarray  # (T, 3) scene units
    rotations: np.ndarray  # (T, 3, 3) camera to world, OpenCV axes
    focal: np.ndarray  # (T,) in heights of the image
    frames: np.ndarray  # (T,) of the clip, with fractions, from 0

    def camera(self, index: int, width: int, height: int, near: float, name: str = "path") -> Camera:
        """Of one of the times: a pinhole view with its principal point in the middle."""
        pose = np.eye(4)
        pose[:3, :3] = self.rotations[index].T
        pose[:3, 3] = -pose[:3, :3] @ self.positions[index]
        focal = float(self.focal[index]) * height
        return Camera(name, width, height, np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]]), pose, near)


class Trajectory:
    """Of a path, over a clip whose frames ``first`` to ``last`` are shown where no key names a frame."""

    def __init__(self, path: CameraPath, first: float = 0.0, last: float = 0.0) -> None:
        self.seconds = path.seconds
        keys = [*path.keys, path.keys[0]] if path.loop else list(path.keys)
        times = np.array([key.at for key in path.keys] + ([path.seconds] if path.loop else []))
        bounds, parts = [], []
        for a, b, kind in _split(keys):
            bounds.append((a, b))
            closed = path.loop and b - a == len(keys) - 1
            parts.append(_Part(keys[a : b + 1], times[a : b + 1], kind, closed, path.constant_speed))
        if path.constant_speed:
            times = _at_one_speed(times, parts, bounds)
        for part, (a, b) in zip(parts, bounds, strict=True):
            part.set_times(times[a : b + 1], (a > 0, b < len(keys) - 1))
        self._parts = parts
        self._starts = np.array([times[a] for a, _ in bounds])
        self.arrivals = times[: len(path.keys)]  # (K,) when each key is passed
        named = [index for index, key in enumerate(path.keys) if key.frame is not None]
        self._named = (self.arrivals[named], np.array([path.keys[index].frame for index in named], np.float64))
        self._span = (first, last)

    def at(self, times: Sequence[float] | np.ndarray) -> Moments:
        """The camera at these seconds; before the start and after the end it stands."""
        times = np.clip(np.asarray(times, np.float64), 0.0, self.seconds)
        positions, rotations, focal = np.empty((len(times), 3)), np.empty((len(times), 3, 3)), np.empty(len(times))
        which = np.clip(np.searchsorted(self._starts, times, side="right") - 1, 0, len(self._parts) - 1)
        for index in np.unique(which):
            here = which == index
            positions[here], rotations[here], focal[here] = self._parts[index].at(times[here])
        return Moments(positions, rotations, focal, self.frames(times))

    @property
    def names_frames(self) -> bool:
        """Whether a key names a frame of the clip."""
        return len(self._named[0]) > 0

    def frames(self, times: np.ndarray) -> np.ndarray:
        """(T,) the time of the clip, in frames."""
        if not self.names_frames:
            first, last = self._span
            return first + (last - first) * np.asarray(times) / self.seconds
        return np.interp(times, *self._named)

    def frame_shown(self, time: float) -> int:
        """The frame of the clip at a time: the nearest one."""
        return math.floor(float(self.frames(np.array([time]))[0]) + 0.5)

    def first_time_of(self, frame: int) -> float:
        """The first time at which a frame of the clip is shown, or else the time whose frame is nearest to it."""
        times = np.linspace(0.0, self.seconds, TIMES_TRIED)
        return float(times[np.abs(self.frames(times) - frame).argmin()])

    def line(self, per_key: int = 24) -> np.ndarray:
        """(V, 3) places along the curve, for drawing."""
        times = [part.spread(per_key) for part in self._parts]
        return self.at(np.concatenate(times)).positions


def video_times(path: CameraPath, fps: float) -> np.ndarray:
    """(T,) seconds of the path at which the pictures of a video are taken: the first at the start, the last at the end.

    Of a loop, the last picture is one step before the end, so that the first one follows it.
    """
    count = max(round(path.seconds * fps), 1)
    return np.linspace(0.0, path.seconds, count, endpoint=not path.loop)


def _split(keys: Sequence[Key]) -> list[tuple[int, int, str]]:
    """Runs of segments of one kind as (first key, last key, kind): the camera moves, turns in place, or stands."""
    if len(keys) == 1:
        return [(0, 0, "stand")]
    places = np.array([key.position for key in keys])
    steps = np.linalg.norm(np.diff(places, axis=0), axis=1)
    turns = np.array([_angle(a, b) for a, b in pairwise(keys)])
    lenses = np.abs(np.diff([key.fov for key in keys]))
    kinds = np.where(steps > SAME * max(steps.sum(), 1e-300), "move", np.where((turns > SAME) | (lenses > SAME), "turn", "stand"))
    borders = [0, *(np.flatnonzero(kinds[1:] != kinds[:-1]) + 1).tolist(), len(kinds)]
    return [(a, b, str(kinds[a])) for a, b in pairwise(borders)]


def _at_one_speed(times: np.ndarray, parts: Sequence[_Part], bounds: Sequence[tuple[int, int]]) -> np.ndarray:
    """The times of the keys if the camera moves at one speed whenever it moves; where it does not, times stay as they are."""
    gaps = np.diff(times)
    moving = [(part, a, b) for part, (a, b) in zip(parts, bounds, strict=True) if part.kind == "move"]
    length = sum(part.way[-1] for part, _, _ in moving)
    available = sum(float(gaps[a:b].sum()) for _, a, b in moving)
    for part, a, b in moving:
        gaps[a:b] = np.diff(part.way) * available / length
    found = np.concatenate(([0.0], np.cumsum(gaps)))
    found[-1] = times[-1]
    return found


class _Part:
    """A piece of the path between stops."""

    def __init__(self, keys: Sequence[Key], times: np.ndarray, kind: str, closed: bool, constant: bool) -> None:
        self.kind = kind
        self._constant = constant and kind == "move"
        places, turns = np.array([key.position for key in keys]), rotations_of(keys)
        self._place, self._turn, self._focal = places[0], turns[0], np.asarray(focal_of(keys[0].fov))
        if kind == "stand":
            return
        u = times - times[0]
        if self._constant:
            u = np.concatenate(([0.0], np.cumsum(np.linalg.norm(np.diff(places, axis=0), axis=1))))
        self._knots = u
        self._curve = CubicSpline(u, places, bc_type="periodic" if closed and len(u) > 3 else "natural") if kind == "move" else None
        self._rotation = _rotation_spline(u, turns, closed)
        self._lens = PchipInterpolator(u, [focal_of(key.fov) for key in keys])
        if self._constant and self._curve is not None:
            self.way, self._parameter = _length_along(self._curve, u)

    def set_times(self, times: np.ndarray, stops: tuple[bool, bool]) -> None:
        """When the keys are passed. ``stops``: whether the camera rests before and after this part."""
        self._times, self._stops = times, stops

    def at(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        if self.kind == "stand":
            return self._place, self._turn.as_matrix(), self._focal
        times = np.clip(times, self._times[0], self._times[-1])
        if self._constant:
            u = self._parameter(np.interp(times, self._times, self.way))
        else:
            u = _eased(times, self._times, self._stops) - self._times[0]
        u = np.clip(u, 0.0, self._knots[-1])
        place = self._place if self._curve is None else self._curve(u)
        return place, self._rotation(u).as_matrix(), self._lens(u)

    def spread(self, per_key: int) -> np.ndarray:
        """Times spread evenly between the keys."""
        if self.kind != "move":
            return self._times[:1]
        steps = np.arange(per_key) / per_key
        inside = self._times[:-1, None] + np.diff(self._times)[:, None] * steps
        return np.append(inside.ravel(), self._times[-1])


def _eased(times: np.ndarray, keys: np.ndarray, stops: tuple[bool, bool]) -> np.ndarray:
    """The times, slowed down beside a stop: within the segment there, from standing to full speed, or back."""
    start, second, before, end = keys[0], keys[1], keys[-2], keys[-1]
    if len(keys) == 2 and all(stops):
        x = (times - start) / (end - start)
        return start + (end - start) * x * x * (3 - 2 * x)
    if stops[0]:
        x = np.clip((times - start) / (second - start), 0.0, 1.0)
        times = np.where(times < second, start + (second - start) * x * x * (2 - x), times)
    if stops[1]:
        x = np.clip((end - times) / (end - before), 0.0, 1.0)
        times = np.where(times > before, end - (end - before) * x * x * (2 - x), times)
    return times


def _length_along(curve: CubicSpline, u: np.ndarray) -> tuple[np.ndarray, Function]:
    """(K,) the length of the curve up to each knot, and the parameter at a length: Gauss' rule on short pieces, inverted monotonically."""
    nodes, weights = np.polynomial.legendre.leggauss(5)
    fine = np.append((u[:-1, None] + np.diff(u)[:, None] * np.arange(SAMPLES) / SAMPLES).ravel(), u[-1])
    half = 0.5 * np.diff(fine)[:, None]
    speeds = np.linalg.norm(curve(fine[:-1, None] + half * (1 + nodes), 1), axis=-1)
    lengths = np.concatenate(([0.0], np.cumsum((speeds * weights * half).sum(axis=1))))
    rises = np.append(True, np.diff(lengths) > 1e-15 * lengths[-1])
    return lengths[::SAMPLES], PchipInterpolator(lengths[rises], fine[rises])


def _rotation_spline(u: np.ndarray, turns: Rotation, closed: bool) -> RotationSpline:
    if not closed or len(u) < 3:
        return RotationSpline(u, turns)
    period, count = u[-1], len(u) - 1
    places = np.arange(-PADDING, count + PADDING + 1)
    knots = u[places % count] + period * (places // count)
    return RotationSpline(knots, turns[places % count])


def _angle(a: Key, b: Key) -> float:
    """Radians between two orientations, the shortest way."""
    turns = rotations_of((a, b))
    return float((turns[0].inv() * turns[1]).magnitude())


def rotations_of(keys: Sequence[Key]) -> Rotation:
    """Camera to world. scipy has w last."""
    return Rotation.from_quat(np.array([key.rotation for key in keys])[:, [1, 2, 3, 0]])


def focal_of(fov: float) -> float:
    """The focal length, in heights of the image, of a vertical angle of view."""
    return 0.5 / math.tan(0.5 * fov)
