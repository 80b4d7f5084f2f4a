"""What the compact sequence of a run takes the place of."""

from __future__ import annotations

from trackersplat.files import remove_folder
from trackersplat.gaussians.sequence import UNFINISHED, GaussianSequence
from trackersplat.store.frame_files import CARRIED
from trackersplat.store.index import RunIndex


def has_own_clouds(index: RunIndex) -> bool:
    """Whether a frame of this run, and not one that is linked, has a PLY."""
    return any(index.entries[frame].cloud is not None for frame, _ in index.own_folders())


def remove_compacted(sequence: GaussianSequence, index: RunIndex, frame_count: object) -> None:
    """Removes the PLYs of the frames of a finished sequence, and what only a next frame needs; then marks the sequence as alone.

    ``frame_count`` is that of the capture: after its last frame there is no next one.
    """
    frames = sequence.frames
    for frame, folder in index.own_folders():
        if frame in frames:
            remove_folder(folder / "point_cloud")
            if frame != frames[-1] or frame_count == frames[-1] + 1:
                (folder / CARRIED).unlink(missing_ok=True)
    (sequence.path / UNFINISHED).unlink()
