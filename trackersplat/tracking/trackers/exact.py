"""Exact tracks that lie with a capture, for measuring what is lost behind the tracker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from trackersplat.captures.arrays import read_arrays
from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import Capture
from trackersplat.errors import InputError, ShapeError
from trackersplat.tracking.tracks import DenseTracks, TrackerInfo

EXACT = TrackerInfo(
    name="exact",
    title="Exact tracks stored with the capture",
    licence="that of the capture",
    needs="gt/flow_<camera>.npz",
    hidden=1.0,
)
STORED_BASE = 0  # the frame that stored tracks start from


def stored_tracks(capture: Capture, cameras: Sequence[int], base: int, targets: Sequence[int]) -> Iterator[tuple[int, DenseTracks]]:
    """Yields ``(camera, tracks from frame base to every target)`` in the order of ``cameras``, like ``track_views``.

    Each camera has ``gt/flow_<camera>.npz`` below the capture: ``frames`` (K,) indices from 0; ``flow`` (K, H, W, 2) px, where
    every pixel of frame 0 goes, relative to itself; ``visible`` (K, H, W) whether it is seen there; ``valid`` (H, W) whether the
    pixel shows a surface at all. Visibility is ``visible``; confidence is 1 on all of ``valid``, because the position of a hidden
    point is as exact as that of a seen one, and counts as much.

    Raises ShapeError if there is nothing to track; InputError if a file or a frame is missing, or a file does not fit its camera.
    """
    if not cameras or not targets:
        raise ShapeError(f"Tracking needs at least one camera and one target frame, got {len(cameras)} and {len(targets)}.")
    if base != STORED_BASE:
        raise InputError(f"The exact tracks of {capture.name} start from frame {STORED_BASE + 1}, not {base + 1}: choose another base.")
    for camera in cameras:
        yield camera, _read(_path(capture, camera), capture.cameras[camera], base, tuple(targets))


def stored_frames(capture: Capture, cameras: Sequence[int]) -> tuple[int, ...]:
    """The frames (indices from 0, ascending) that the exact tracks of all these cameras reach.

    Raises InputError if a camera has no readable file, or no frame is common to all.
    """
    common: set[int] | None = None
    for camera in cameras:
        frames = read_arrays(_path(capture, camera), {"frames": ("iu", ("K",))})["frames"].tolist()
        common = set(frames) if common is None else common & set(frames)
    found = sorted(frame for frame in common or () if 0 <= frame < capture.frame_count and frame != STORED_BASE)
    if not found:
        raise InputError(f"The exact tracks in {capture.root / 'gt'} have no frame in common to all cameras.")
    return tuple(found)


def _read(path: Path, camera: Camera, base: int, targets: tuple[int, ...]) -> DenseTracks:
    height, width = camera.height, camera.width
    arrays = read_arrays(
        path,
        {
            "frames": ("iu", ("K",)),
            "flow": ("f", ("K", height, width, 2)),
            "visible": ("b", ("K", height, width)),
            "valid": ("b", (height, width)),
        },
    )
    stored = arrays["frames"].tolist()
    missing = [str(target + 1) for target in targets if target not in stored]
    if missing:
        there = ", ".join(str(frame + 1) for frame in stored)
        raise InputError(f"{path} holds exact tracks to frames {there}, not to {', '.join(missing)}: choose among those.")
    chosen = [stored.index(target) for target in targets]
    flow = arrays["flow"][chosen].astype(np.float32)
    valid = arrays["valid"] & np.isfinite(flow).all(axis=-1)  # (F, H, W)
    columns, rows = np.meshgrid(np.arange(width, dtype=np.float32) + 0.5, np.arange(height, dtype=np.float32) + 0.5)
    return DenseTracks(
        base=base,
        targets=targets,
        positions=np.where(valid[..., None], flow, np.float32(0)) + np.stack((columns, rows), axis=-1),
        visibility=(arrays["visible"][chosen] & valid).astype(np.float32),
        confidence=valid.astype(np.float32),
        tracker=EXACT,
    )


def _path(capture: Capture, camera: int) -> Path:
    return capture.root / "gt" / f"flow_{capture.cameras[camera].name}.npz"
