"""A camera path: keys with pose, lens and time, and what can be done to them. Seconds of the video, frames of the clip from 0."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.errors import InputError
from trackersplat.geometry.projection import look_at

MOST_KEYS = 1000  # of a path
MOST_SECONDS = 3600.0  # length of a video
MOST_FRAMES = 1e6  # of a clip
FARTHEST = 1e9  # scene units from the origin
LEAST_GAP = 1e-3  # seconds between two keys
FOVS = (math.radians(1.0), math.radians(170.0))  # narrowest and widest vertical angle of view
NEW_GAP = 2.0  # seconds between a new last key and the one before, if there is no other example

Vector = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]


@dataclass(frozen=True)
class Key:
    """A viewpoint that the camera passes. Raises InputError if a number is out of range."""

    at: float  # seconds of the video
    position: Vector  # optical centre, scene units
    rotation: Quaternion  # wxyz, camera to world, OpenCV axes (x right, y down, z forward); made a unit quaternion
    fov: float  # vertical angle of view, radians
    frame: float | None = None  # of the clip; None: the clip runs on evenly between the keys that name a frame

    def __post_init__(self) -> None:
        numbers = (self.at, *self.position, *self.rotation, self.fov, 0.0 if self.frame is None else self.frame)
        if len(self.position) != 3 or len(self.rotation) != 4 or not all(map(math.isfinite, numbers)):
            raise InputError("A key has a time, a position of three numbers, a rotation of four and an angle of view, all finite.")
        if max(map(abs, self.position)) > FARTHEST:
            raise InputError(f"The position of a key is at most {FARTHEST:g} scene units from the origin on each axis.")
        norm = math.hypot(*self.rotation)
        if not 1e-6 < norm < 1e6:
            raise InputError("The rotation of a key is a unit quaternion w, x, y, z.")
        object.__setattr__(self, "rotation", tuple(value / norm for value in self.rotation))
        if not FOVS[0] <= self.fov <= FOVS[1]:
            raise InputError(f"The angle of view of a key is from 1 to 170 degrees, not {math.degrees(self.fov):.4g}.")
        if self.frame is not None and not 0 <= self.frame <= MOST_FRAMES:
            raise InputError(f"A key names a frame of the clip from 1 to {MOST_FRAMES:,.0f}.")

    @staticmethod
    def of(camera: Camera, at: float = 0.0, frame: float | None = None) -> Key:
        """The pose and the vertical angle of view of a camera; its principal point becomes the middle of the image."""
        return Key(at, vector(camera.center), _quaternion(camera.rotation.T), camera.fov_y, frame)


@dataclass(frozen=True)
class CameraPath:
    """A smooth way through its keys (`trajectory.Trajectory`).

    The first key is at 0, the last one at the end; a loop returns from its last key to the first one in what is left. A single key is a
    camera that stands. Raises InputError if the times do not ascend, or there are too many keys.
    """

    keys: tuple[Key, ...]
    seconds: float  # length of the video
    loop: bool = False
    constant_speed: bool = False  # then the times of keys between which the camera moves follow from the length of the way

    def __post_init__(self) -> None:
        if not 1 <= len(self.keys) <= MOST_KEYS:
            raise InputError(f"A camera path has 1 to {MOST_KEYS} keys, not {len(self.keys)}.")
        if not (math.isfinite(self.seconds) and LEAST_GAP <= self.seconds <= MOST_SECONDS):
            raise InputError(f"A camera path lasts from {LEAST_GAP:g} to {MOST_SECONDS:g} seconds, not {self.seconds:g}.")
        times = [key.at for key in self.keys]
        if times[0] != 0 or any(later - earlier < 0.999 * LEAST_GAP for earlier, later in pairwise(times)):
            raise InputError("The times of the keys of a camera path begin with 0 and ascend.")
        if self.loop and self.seconds - times[-1] < 0.999 * LEAST_GAP:
            raise InputError(f"A camera path that loops lasts longer than its last key, which is at {times[-1]:g} s.")
        if not self.loop and len(times) > 1 and abs(times[-1] - self.seconds) > 1e-9 * self.seconds:
            raise InputError(f"The last key of a camera path is at its end, {self.seconds:g} s, not at {times[-1]:g} s.")

    # -- changes, each a new path ---------------------------------------------------------------------------------------

    def added(self, key: Key, after: int | None = None) -> CameraPath:
        """With a key after the given one, in the middle of the way to the next; by default as a new end. ``key.at`` is not used."""
        if after is None or (after == len(self.keys) - 1 and not self.loop):
            gap = self._gap()
            at = self.keys[-1].at + gap
            return replace(self, keys=(*self.keys, replace(key, at=at)), seconds=at + gap if self.loop else at)
        until = self.keys[after + 1].at if after + 1 < len(self.keys) else self.seconds
        new = replace(key, at=0.5 * (self.keys[after].at + until))
        return replace(self, keys=(*self.keys[: after + 1], new, *self.keys[after + 1 :]))

    def without(self, index: int) -> CameraPath | None:
        """Without a key; None if it was the only one. The others keep their times, but the path begins and ends with a key."""
        rest = [key for place, key in enumerate(self.keys) if place != index]
        if not rest:
            return None
        start = rest[0].at
        keys = tuple(replace(key, at=key.at - start) for key in rest)
        end = self.seconds - start if self.loop or len(keys) == 1 else keys[-1].at
        return replace(self, keys=keys, seconds=max(end, LEAST_GAP))

    def changed(self, index: int, key: Key) -> CameraPath:
        """With another pose, lens and frame at the time of a key."""
        return replace(self, keys=tuple(replace(key, at=old.at) if place == index else old for place, old in enumerate(self.keys)))

    def reordered(self, index: int, to: int) -> CameraPath:
        """With a key at another place in the order; the times stay where they are."""
        keys = list(self.keys)
        keys.insert(to, keys.pop(index))
        return replace(self, keys=tuple(replace(key, at=old.at) for key, old in zip(keys, self.keys, strict=True)))

    def retimed(self, index: int, at: float) -> CameraPath:
        """With a key at another time, between its neighbours. The last key of a path without loop takes the end with it."""
        if not math.isfinite(at) or index == 0:
            raise InputError("The first key is at 0 s: change the time of another one.")
        last = index == len(self.keys) - 1
        high = self.keys[index + 1].at if not last else self.seconds if self.loop else MOST_SECONDS + LEAST_GAP
        at = min(max(at, self.keys[index - 1].at + LEAST_GAP), high - LEAST_GAP)
        keys = tuple(replace(key, at=at) if place == index else key for place, key in enumerate(self.keys))
        return replace(self, keys=keys, seconds=at if last and not self.loop else self.seconds)

    def lasting(self, seconds: float) -> CameraPath:
        """The same path in another time."""
        if not (math.isfinite(seconds) and len(self.keys) * LEAST_GAP <= seconds <= MOST_SECONDS):
            raise InputError(f"A camera path lasts from {len(self.keys) * LEAST_GAP:g} to {MOST_SECONDS:g} seconds.")
        factor = seconds / self.seconds
        keys = [replace(key, at=key.at * factor) for key in self.keys]
        if not self.loop and len(keys) > 1:
            keys[-1] = replace(keys[-1], at=seconds)
        return replace(self, keys=tuple(keys), seconds=seconds)

    def looped(self, loop: bool) -> CameraPath:
        """With or without the way back to the first key."""
        if loop == self.loop or len(self.keys) == 1:
            return replace(self, loop=loop and len(self.keys) > 1)
        end = self.keys[-1].at
        return replace(self, loop=loop, seconds=end + self._gap() if loop else end)

    def _gap(self) -> float:
        """Mean time between keys."""
        return self.keys[-1].at / (len(self.keys) - 1) if len(self.keys) > 1 else NEW_GAP


def even_path(keys: Sequence[Key], seconds: float, *, loop: bool = False, constant_speed: bool = False) -> CameraPath:
    """A path with the same time from each key to the next."""
    gaps = len(keys) if loop else max(len(keys) - 1, 1)
    timed = [replace(key, at=seconds * place / gaps) for place, key in enumerate(keys)]
    return CameraPath(tuple(timed), seconds, loop, constant_speed)


def paced_path(keys: Sequence[Key], seconds: float, *, loop: bool = False) -> CameraPath:
    """A path whose times are in proportion to the straight distances between its keys: smooth, and of nearly the same speed throughout.

    Keys at the same place have the time of a tenth of the mean distance. If all are at one place, the same time each.
    """
    places = np.array([key.position for key in keys])
    ends = np.concatenate((places[1:], places[:1])) if loop else places[1:]
    steps = np.linalg.norm(ends - places[: len(ends)], axis=1)
    if not steps.sum() > 0:
        return even_path(keys, seconds, loop=loop)
    times = np.concatenate(([0.0], np.cumsum(np.maximum(steps, 0.1 * steps.mean()))))
    times *= seconds / times[-1]
    timed = [replace(key, at=float(at)) for key, at in zip(keys, times, strict=False)]
    if not loop:
        timed[-1] = replace(timed[-1], at=seconds)
    return CameraPath(tuple(timed), seconds, loop)


def looking_at(position: np.ndarray, target: np.ndarray, up: np.ndarray, fov: float, frame: float | None = None) -> Key:
    """A key at a place, looking at another one, upright. Raises InputError if the two are the same or the view is along ``up``."""
    forward = target - position
    if np.linalg.norm(np.cross(forward, up)) < 1e-9 * max(float(np.linalg.norm(forward)), 1e-300):
        raise InputError("A camera path cannot look along the up direction, or at the place where the camera is.")
    return Key(0.0, vector(position), _quaternion(look_at(position, target, up)[:3, :3].T), fov, frame)


def _quaternion(rotation: np.ndarray) -> Quaternion:
    """w, x, y, z of a rotation matrix."""
    from scipy.spatial.transform import Rotation

    x, y, z, w = (float(value) for value in Rotation.from_matrix(rotation).as_quat())
    return w, x, y, z


def vector(values: np.ndarray) -> Vector:
    x, y, z = (float(value) for value in values)
    return x, y, z
