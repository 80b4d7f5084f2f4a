"""The clip plays, stands still while the camera turns around the scene, and plays on."""

from __future__ import annotations

import math

from trackersplat.camera_paths.moves.orbit import STEP, at_azimuth, turn_of
from trackersplat.camera_paths.moves.registry import MoveSettings
from trackersplat.camera_paths.path import CameraPath, Key
from trackersplat.camera_paths.rig import Rig
from trackersplat.errors import InputError

FROZEN = 0.5  # share of the video in which the clip stands


def bullet_time(rig: Rig, settings: MoveSettings) -> CameraPath:
    """A whole turn if the cameras surround the scene, else to both ends of the arc that they cover and back."""
    first, last = settings.first, settings.last
    freeze = (first + last) // 2 if settings.freeze is None else settings.freeze
    if not first <= freeze <= last:
        raise InputError(f"The clip can be stopped at frame {first + 1} to {last + 1}, not at {freeze + 1}.")
    turn = turn_of(rig, settings)
    if abs(turn) >= 2 * math.pi - 1e-9:
        steps = math.ceil(abs(turn) / STEP - 1e-9)
        angles = [turn * step / steps for step in range(steps + 1)]
    else:
        steps = max(math.ceil(abs(turn) / 2 / STEP - 1e-9), 1)
        quarter = [0.5 * turn * step / steps for step in range(steps + 1)]
        angles = [*quarter, *reversed(quarter[:-1]), *(-angle for angle in quarter[1:]), *(-angle for angle in reversed(quarter[:-1]))]
    # The clip plays before and after in proportion to its frames on each side.
    frozen = (FROZEN if last > first else 1.0) * settings.seconds
    playing = settings.seconds - frozen
    before = playing * (freeze - first) / max(last - first, 1)
    keys: list[Key] = []
    if freeze > first:
        keys.append(_key(rig, 0.0, 0.0, settings, first))
    keys += [_key(rig, angle, before + frozen * i / (len(angles) - 1), settings, freeze) for i, angle in enumerate(angles)]
    end = keys[-1].at
    if freeze < last:
        end = settings.seconds if freeze > first else end + playing
        keys.append(_key(rig, 0.0, end, settings, last))
    return CameraPath(tuple(keys), end)


def _key(rig: Rig, angle: float, at: float, settings: MoveSettings, frame: int) -> Key:
    key = at_azimuth(rig, angle, settings.size, frame)
    return Key(at, key.position, key.rotation, key.fov, key.frame)
