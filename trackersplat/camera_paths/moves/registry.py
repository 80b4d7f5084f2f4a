"""The ready-made camera paths. Adding one is a module with a function of a `Rig` and `MoveSettings`, and a line here."""

from __future__ import annotations

import math
from dataclasses import dataclass

from trackersplat.camera_paths.path import MOST_SECONDS, CameraPath
from trackersplat.camera_paths.rig import Rig
from trackersplat.errors import InputError
from trackersplat.registry import Facts, Registry

LEAST_SECONDS = 4.0  # of a path of which nobody says how long it is


@dataclass(frozen=True)
class MoveSettings:
    """What a ready-made path can be told. Frames are those of the clip, indices from 0."""

    seconds: float = LEAST_SECONDS
    turn: float | None = None  # degrees, against the clock as seen from above; None: what the cameras cover
    size: float = 1.0  # factor of the size of the movement
    first: int = 0  # frame of the clip with which a path begins that names frames
    last: int = 0
    freeze: int | None = None  # the frame at which the clip is stopped; None: the middle

    def __post_init__(self) -> None:
        if not (math.isfinite(self.seconds) and 0.1 <= self.seconds <= MOST_SECONDS):
            raise InputError(f"A ready-made camera path lasts from 0.1 to {MOST_SECONDS:g} seconds, not {self.seconds:g}.")
        if self.turn is not None and not (math.isfinite(self.turn) and 0 < abs(self.turn) <= 3600):
            raise InputError(f"A camera path turns by up to 3600 degrees in either direction, not by {self.turn:g}.")
        if not (math.isfinite(self.size) and 0.01 <= self.size <= 100):
            raise InputError(f"The size of a camera path is a factor from 0.01 to 100, not {self.size:g}.")


# ``load`` names a function of a `Rig` and `MoveSettings` that returns a `CameraPath`.
MOVES: Registry[Facts] = Registry(
    "ready-made camera path",
    (
        Facts("orbit", "around what the cameras look at", "trackersplat.camera_paths.moves.orbit:orbit"),
        Facts("ring", "a small circle before the scene", "trackersplat.camera_paths.moves.ring:ring"),
        Facts("dolly", "straight towards the scene", "trackersplat.camera_paths.moves.dolly:dolly"),
        Facts("dolly-zoom", "towards the scene while the lens opens", "trackersplat.camera_paths.moves.dolly:dolly_zoom"),
        Facts("cameras", "through all cameras of the capture", "trackersplat.camera_paths.moves.cameras:through_cameras"),
        Facts(
            "bullet-time",
            "plays, stops the clip while the camera turns, plays on",
            "trackersplat.camera_paths.moves.bullet_time:bullet_time",
        ),
    ),
)


def usual_seconds(frames: int, fps: float) -> float:
    """Of a path over so many frames of a clip: a longer clip gives its own length."""
    return max(frames / fps, LEAST_SECONDS)


def make_move(name: str, rig: Rig, settings: MoveSettings) -> CameraPath:
    """Raises InputError if there is no such path, or it cannot be made of these cameras."""
    path: CameraPath = MOVES.load(name)(rig, settings)
    return path
