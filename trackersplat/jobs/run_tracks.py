"""The sparse tracks of a run, of all its frames together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from trackersplat.diagnosis.tracked import TrackTable
from trackersplat.store.run import Run
from trackersplat.tracking.tracks import Tracks


def run_tracks(run: Run, frames: Sequence[int]) -> TrackTable:
    """The tracks that were followed with the run, in those of the frames for which it keeps any. Raises InputError if a file is broken."""
    read = [(frame, run.read_tracks(frame)) for frame in sorted(frames)]
    return joined([(frame, tracks) for frame, tracks in read if tracks])


def joined(read: Sequence[tuple[int, Mapping[str, Tracks]]]) -> TrackTable:
    """Tracks of one frame each (camera -> tracks), in the order of the frames, by their ids."""
    cameras = tuple(dict.fromkeys(name for _, tracks in read for name in tracks))
    ids = np.unique(np.concatenate([np.zeros(0, np.int64), *(part.ids.numpy() for _, tracks in read for part in tracks.values())]))
    shape = (len(read), len(ids))
    camera, query = np.zeros(len(ids), np.int16), np.zeros((len(ids), 3), np.float32)
    positions = np.full((*shape, 2), np.nan, np.float32)
    visibility, confidence, ends = np.zeros(shape, np.float32), np.full(shape, np.nan, np.float32), np.zeros(shape, np.uint8)
    source = ""
    for row, (_, tracks) in enumerate(read):
        for name, part in tracks.items():
            column = np.searchsorted(ids, part.ids.numpy())
            camera[column], query[column] = cameras.index(name), part.query.numpy()
            positions[row, column] = part.positions[0].numpy()
            visibility[row, column], confidence[row, column] = part.visibility[0].numpy(), part.confidence[0].numpy()
            ends[row, column] = part.ends[0].numpy()
            source = part.provenance.tracker
    return TrackTable(cameras, tuple(frame for frame, _ in read), ids, camera, query, positions, visibility, confidence, ends, source)
