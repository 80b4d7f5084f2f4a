"""Cameras that ``capture.json`` leaves out, whatever the layout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from trackersplat.captures.capture import Capture
from trackersplat.captures.pose_readings import PREFIX
from trackersplat.captures.settings import NONE_HELD_OUT, none_held_out, read_settings
from trackersplat.errors import InputError

if TYPE_CHECKING:
    from trackersplat.captures.layouts.footage import Footage


def without_excluded(capture: Capture) -> Capture:
    """The capture without the cameras of ``exclude`` in its ``capture.json``, and without the remarks about them alone.

    Raises InputError if one does not exist, or none is left to reconstruct from.
    """
    kept = _kept(capture, [camera.name for camera in capture.cameras])
    if len(kept) == len(capture.cameras):
        return capture
    from trackersplat.captures.media.remapped import RemappedFrames, RemappedMasks  # with OpenCV, which few captures need here

    as_they_are = [None] * len(kept)
    cameras = tuple(capture.cameras[index] for index in kept)
    names = [camera.name for camera in cameras]
    held_out = tuple(name for name in capture.held_out if name in names)
    gone = [camera.name for camera in capture.cameras if camera.name not in names]
    about = (NONE_HELD_OUT, *(f"{begin}{name} " for name in gone for begin in ("", PREFIX)))
    remarks = [remark for remark in capture.warnings if not remark.startswith(about)]
    if not held_out:
        remarks.append(none_held_out(names))
    if len(held_out) == len(names):
        raise InputError(f"{capture.root / 'capture.json'} excludes all cameras that are not held out: exclude or hold out fewer.")
    return replace(
        capture,
        cameras=cameras,
        source=RemappedFrames(capture.source, kept, as_they_are),
        masks=None if capture.masks is None else RemappedMasks(capture.masks, kept, as_they_are),
        held_out=held_out,
        depth_bounds=None if capture.depth_bounds is None else capture.depth_bounds[kept],
        warnings=tuple(remarks),
    )


def footage_without_excluded(footage: Footage) -> Footage:
    """The same of cameras without calibration."""
    kept = _kept(footage, footage.cameras)
    if len(kept) == len(footage.cameras):
        return footage
    from trackersplat.captures.media.remapped import RemappedFrames

    names = tuple(footage.cameras[index] for index in kept)
    return replace(
        footage,
        cameras=names,
        sizes=tuple(footage.sizes[index] for index in kept),
        source=RemappedFrames(footage.source, kept, [None] * len(kept)),
        held_out=tuple(name for name in footage.held_out if name in names),
    )


def _kept(data: Capture | Footage, names: Sequence[str]) -> list[int]:
    excluded = read_settings(data.root).exclude
    where = data.root / "capture.json"
    for name in excluded:
        if name not in names:
            raise InputError(f"{where} excludes the camera {name!r}, but the cameras are {', '.join(names)}.")
    kept = [index for index, name in enumerate(names) if name not in excluded]
    if not kept:
        raise InputError(f"{where} excludes all {len(names)} cameras: exclude fewer.")
    return kept
