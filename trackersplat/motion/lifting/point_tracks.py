"""Chosen points of single views, followed by any tracker: dense, sparse or stored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from trackersplat.captures.capture import Capture
from trackersplat.motion.follow_tracks import sample_tracks
from trackersplat.tracking.parts import follow_queries
from trackersplat.tracking.registry import TRACKERS, create_tracker
from trackersplat.tracking.settings import GridSettings
from trackersplat.tracking.sources import track_source
from trackersplat.tracking.tracker import Clip, PointMotion, QueryTracker


def track_points(
    name: str,
    capture: Capture,
    device: torch.device | str,
    settings: Any,
    queries: Sequence[tuple[int, Tensor]],  # (camera, (P, 2) float32 px in the base frame)
    base: int,
    targets: Sequence[int],
) -> Iterator[tuple[int, PointMotion]]:
    """Yields ``(camera, motion (1, F, P, 2) on the CPU)`` by the tracker of that name, from frame ``base`` to all targets.

    A dense tracker is sampled bilinearly at the points; one that follows chosen points gets just these, in windows and chunks
    (`parts.follow_queries`). ``settings`` are the tracker's, None its defaults. Raises InputError if the tracker cannot be used,
    TrackerFailed if it fails.
    """
    cameras = [camera for camera, points in queries if len(points)]
    points = {camera: chosen for camera, chosen in queries if len(chosen)}
    if not cameras:
        return
    facts = TRACKERS.facts(name)
    if facts.stored or facts.dense:
        for camera, dense in track_source(name, capture, device, settings)(cameras, base, tuple(targets)):
            sampled = [sample_tracks(points[camera], dense, target) for target in targets]
            yield (
                camera,
                PointMotion(
                    positions=torch.stack([part.positions.float() for part in sampled])[None].cpu(),
                    visibility=torch.stack([part.visibility for part in sampled])[None].cpu(),
                    confidence=torch.stack([part.confidence for part in sampled])[None].cpu(),
                ),
            )
        return
    tracker = cast(QueryTracker, create_tracker(name, device, settings))
    frames = (base, *targets)
    for camera in cameras:
        images = torch.from_numpy(np.stack([capture.image(camera, frame) for frame in frames])[None])
        clip = Clip(images.to(tracker.device), frames)
        yield camera, follow_queries(tracker, clip, points[camera].to(tracker.device), GridSettings()).motion.to(torch.device("cpu"))
