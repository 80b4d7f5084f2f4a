"""The truth that lies with a capture, as tracks in space."""

from __future__ import annotations

import numpy as np

from trackersplat.captures.capture import Capture
from trackersplat.metrics.points import read_point_truth
from trackersplat.tracking.files.track_file import FileCamera, TrackFile
from trackersplat.tracking.tracks import Provenance
from trackersplat.tracking.tracks3d import Tracks3D


def truth_tracks(capture: Capture) -> Tracks3D:
    """All points of ``gt/tracks.npz`` that some camera sees; each track begins where it is first seen.

    Raises InputError if the capture has no truth, or it is damaged.
    """
    truth = read_point_truth(capture)
    seen = np.asarray(truth.visible.any(axis=0))  # (T, N)
    chosen = np.flatnonzero(seen.any(axis=0))
    first = seen[:, chosen].argmax(axis=0)
    positions = truth.positions[:, chosen]
    return Tracks3D(
        ids=chosen,
        query=np.concatenate((first[:, None].astype(float), positions[first, np.arange(len(chosen))]), axis=1),
        frames=tuple(range(len(positions))),
        positions=positions,
        visibility=seen[:, chosen],
        confidence=np.ones((len(positions), len(chosen))),
        provenance=Provenance("truth", licence="that of the capture"),
        cameras=tuple(camera.name for camera in capture.cameras),
        view_visibility=truth.visible[:, :, chosen],
    )


def truth_file(capture: Capture, camera: int | None = None) -> TrackFile:
    """The truth as it is read from a file; ``camera``: an index, in whose frame and by whose images protocols measure that need one."""
    tracks = truth_tracks(capture)
    if camera is None:
        return TrackFile(capture.root, "truth", tracks)
    view = capture.cameras[camera]
    frames = len(tracks.frames)
    pose = FileCamera(np.broadcast_to(view.K, (frames, 3, 3)), np.broadcast_to(view.world_to_camera, (frames, 4, 4)))
    return TrackFile(capture.root, "truth", tracks, camera=pose, size=(view.width, view.height))
