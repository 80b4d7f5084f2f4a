"""Key frames of a long clip: later frames from which points are followed anew, in every view that sees them there.

From the base frame, a view that does not see a point there never follows it, and one that has lost it seldom finds it again. At a
key frame, a point is where the views agree that it is, or, if they do not, where the rigid motion of the points around it puts it
(`SpaceField`). The depths of the key frame tell which views see it. Their tracks from there are further candidates beside those
from the base, which do not drift, so that neither has to last for the whole clip.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from trackersplat.errors import ShapeError
from trackersplat.tracking.consistency.surfaces import Surface
from trackersplat.tracking.space_field import SpaceField, SpaceFieldSettings
from trackersplat.tracking.tracks import DenseTracks


@dataclass(frozen=True, eq=False)
class KeyFrame:
    """What the views see in a key frame, and their tracks from there, in the order of the views."""

    surfaces: Sequence[Surface]
    tracks: Sequence[DenseTracks]  # of one base, the key frame, to the targets after it up to the next key frame

    def __post_init__(self) -> None:
        about = {(dense.base, dense.targets) for dense in self.tracks}
        if len(about) != 1 or len(self.surfaces) != len(self.tracks) or not self.tracks[0].targets:
            raise ShapeError(f"A key frame needs a surface and tracks of every view, got {len(self.surfaces)} and {len(self.tracks)}.")

    @property
    def frame(self) -> int:
        return self.tracks[0].base


def key_targets(targets: Sequence[int], every: int) -> list[tuple[int, tuple[int, ...]]]:
    """The key frames among ascending ``targets``, each with the targets after it up to the next one."""
    starts = range(every - 1, len(targets) - 1, every)
    return [(targets[start], tuple(targets[start + 1 : start + 1 + every])) for start in starts]


def motion_of(start: np.ndarray, end: np.ndarray, trust: np.ndarray) -> SpaceField:
    """The motion of the space between points (N, 3) of the base frame that views agree on, (N, 3) where they are, with trust (N,)."""
    return SpaceField.of(torch.from_numpy(start), torch.from_numpy(end), torch.from_numpy(trust), None, SpaceFieldSettings())
