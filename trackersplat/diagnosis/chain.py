"""Tracks made by a tracker alone, from frame to frame: for runs that keep none, and to compare with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from trackersplat.captures.capture import Capture
from trackersplat.diagnosis.fields import sample_tracks
from trackersplat.diagnosis.settings import DiagnosisSettings
from trackersplat.diagnosis.tracked import TrackTable
from trackersplat.motion.followed_tracks import track_ids
from trackersplat.tracking.registry import create_tracker
from trackersplat.tracking.views import track_views


def chained_tracks(
    capture: Capture, cameras: Sequence[int], frames: Sequence[int], device: torch.device, settings: DiagnosisSettings
) -> TrackTable:
    """From a grid in the first frame on. A track ends at the border of the image; it says that it is seen where the tracker is certain."""
    queries, views, cells = [], [], []
    for view, index in enumerate(cameras):
        camera = capture.cameras[index]
        pitch = settings.grid * max(camera.width, camera.height)
        columns, rows = max(round(camera.width / pitch), 1), max(round(camera.height / pitch), 1)
        x, y = ((np.arange(count) + 0.5) * (size / count) for count, size in ((columns, camera.width), (rows, camera.height)))
        points = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
        queries.append(np.concatenate((np.full((len(points), 1), frames[0]), points), axis=1))
        views.append(np.full(len(points), view, np.int16))
        cells.append(track_ids(view, frames[0], torch.arange(len(points))).numpy())
    query, view_of = np.concatenate(queries).astype(np.float32), np.concatenate(views)
    positions = np.full((len(frames), len(query), 2), np.nan, np.float32)
    visibility = np.zeros(positions.shape[:2], np.float32)
    confidence = np.full_like(visibility, np.nan)
    positions[0], visibility[0], confidence[0] = query[:, 1:], 1.0, 1.0
    sizes = np.array([(capture.cameras[index].width, capture.cameras[index].height) for index in cameras])[view_of]
    tracker, views_of = create_tracker(settings.tracker, device), {index: view for view, index in enumerate(cameras)}
    for row in range(1, len(frames)):
        for index, dense in track_views(tracker, capture, cameras, frames[row - 1], [frames[row]]):
            chosen = np.flatnonzero(view_of == views_of[index])
            moved, certain = sample_tracks(dense, torch.from_numpy(positions[row - 1, chosen]))
            positions[row, chosen] = moved.numpy()
            visibility[row, chosen] = confidence[row, chosen] = certain.numpy()
        outside = ((positions[row] < 0) | (positions[row] >= sizes)).any(1)
        positions[row, outside] = np.nan
    return TrackTable(
        cameras=tuple(capture.cameras[index].name for index in cameras),
        frames=tuple(frames),
        ids=np.concatenate(cells),
        camera=view_of,
        query=query,
        positions=positions,
        visibility=visibility,
        confidence=confidence,
        ends=np.zeros(visibility.shape, np.uint8),
        source=settings.tracker,
        remarks=("There are no tracks yet, so points on a grid were tracked anew.",),
    )
