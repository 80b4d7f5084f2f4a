"""Chosen points of all views, followed by any tracker and joined by their places in space, without Gaussians: their depth is matched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from trackersplat.captures.capture import Capture
from trackersplat.errors import InputError
from trackersplat.tracking.consistency.agreement import agree_on_points
from trackersplat.tracking.consistency.keyframes import KeyFrame, key_targets
from trackersplat.tracking.consistency.settings import ConsistencySettings, KeyFrameSettings
from trackersplat.tracking.consistency.surfaces import Surface
from trackersplat.tracking.registry import TRACKERS
from trackersplat.tracking.sources import track_source
from trackersplat.tracking.tracker import PointMotion
from trackersplat.training.points.depth_maps import matched_depths
from trackersplat.training.points.settings import PointSettings
from trackersplat.training.points.task import PointTask


def agreeing_points(
    name: str,
    capture: Capture,
    device: torch.device | str,
    settings: Any,  # the tracker's; None: its defaults
    queries: Sequence[tuple[int, Tensor]],  # (camera, (P, 2) float32 px in the base frame)
    base: int,
    targets: Sequence[int],
    agreement: ConsistencySettings | None = None,
    key_frames: KeyFrameSettings | None = None,
) -> Iterator[tuple[int, PointMotion]]:
    """Yields ``(camera, motion (1, F, P, 2) on the CPU)`` by the tracker of that name, from frame ``base`` to all targets.

    Depths are those of matched views (`depth_maps`): no truth and no Gaussians. Long clips have key frames, and the tracker is asked from
    each to the next, too: for about twice as many tracks. Stored tracks have none. Raises what the tracker raises, and InputError if
    there are fewer than two cameras.
    """
    cameras = [camera for camera, _ in queries]
    if len(cameras) < 2:
        raise InputError(f"{capture.name}: tracks are joined between two cameras or more, got {len(cameras)}.")
    source, key_frames = track_source(name, capture, device, settings), key_frames or KeyFrameSettings()

    def seen_from(frame: int, after: tuple[int, ...]) -> KeyFrame:
        found = dict(source(cameras, frame, after))
        task = PointTask.of(capture, cameras, frame, PointSettings(), device)
        surfaces = [Surface(capture.cameras[camera], depth) for camera, depth in zip(cameras, matched_depths(task), strict=True)]
        return KeyFrame(surfaces, [found[camera] for camera in cameras])

    first = seen_from(base, tuple(targets))
    starts = [] if TRACKERS.facts(name).stored else key_targets(targets, key_frames.every)
    keys = [seen_from(frame, after) for frame, after in starts]
    points = [chosen for _, chosen in queries]
    motions = agree_on_points(first.surfaces, first.tracks, points, agreement or ConsistencySettings(), keys, key_frames)
    for camera, motion in zip(cameras, motions, strict=True):
        yield camera, PointMotion(motion.positions.cpu(), motion.visibility.cpu(), motion.confidence.cpu())
