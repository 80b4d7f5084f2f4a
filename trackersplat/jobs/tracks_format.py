"""The format of an export that holds 3D tracks instead of frames or cameras (`jobs.export_tracks`)."""

from __future__ import annotations

TRACKS = "tracks"
TITLE = "3D tracks of points that the Gaussians carry, as one TAPVid-3D .npz"
SUFFIX = ".npz"
