"""Options that several commands share, checked before anything is written."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from trackersplat.errors import InputError

if TYPE_CHECKING:
    from trackersplat.captures.capture import Capture
    from trackersplat.tracking.consistency.settings import ConsistencySettings

HoldOut = Annotated[tuple[str, ...], tyro.conf.UseAppendAction]  # each value is a name, or several between commas; () is "not given"
MAX_SEED = 2**62
MAX_MATCH_ROUNDS = 10


def with_held_out(capture: Capture, values: Sequence[str]) -> Capture:
    """The capture with the cameras that ``--hold-out`` names held out. Raises InputError if one is unknown or none is left."""
    from trackersplat.captures.settings import named_cameras

    held_out = named_cameras(values, [camera.name for camera in capture.cameras])
    for name in held_out:
        capture.camera_index(name)
    if len(held_out) >= len(capture.cameras):
        raise InputError(f"--hold-out names all {len(capture.cameras)} cameras of {capture.name}; leave some to reconstruct from.")
    return dataclasses.replace(capture, held_out=held_out)


def track_settings(tracker: str, tracks: Path | None, camera: str | None) -> tuple[str, Any]:
    """The tracker to use and its own settings, None for its defaults; with ``tracks`` they are read from that file.

    Raises InputError if there is no such file, or a camera is named without a file.
    """
    if tracks is None:
        if camera is not None:
            raise InputError("--tracks-camera says of which camera the tracks of a file are: give the file with --tracks.")
        return tracker, None
    from trackersplat.tracking.trackers.file import FileTrackSettings

    return "file", FileTrackSettings.of(tracks, camera or "")


def check_numbers(seed: int, **steps: int | None) -> None:
    """Raises InputError if the seed is out of range or a number of steps (option name with "_") is below 1."""
    for name, value in steps.items():
        if value is not None and value < 1:
            raise InputError(f"--{name.replace('_', '-')} must be at least 1, got {value}.")
    if not 0 <= seed <= MAX_SEED:
        raise InputError(f"--seed must be from 0 to {MAX_SEED}, got {seed}.")


def agreement_settings(tracking: Literal["fast", "accurate"]) -> ConsistencySettings | None:
    """How the tracks of all views are joined in this mode; None if they are not."""
    from trackersplat.tracking.consistency.settings import ConsistencySettings

    return ConsistencySettings() if tracking == "accurate" else None


def check_match_rounds(rounds: int) -> int:
    """``rounds``. Raises InputError if it is out of range."""
    if not 0 <= rounds <= MAX_MATCH_ROUNDS:
        raise InputError(f"--match-rounds must be from 0 to {MAX_MATCH_ROUNDS}, got {rounds}.")
    return rounds
