"""Whether a camera shows what the others show at another time: photographs against renderings of the frames around them.

Where the renderings of two frames differ, something moves. There, the photograph of a camera that is two frames late agrees with the
rendering of two frames before, and not with that of its own frame. This holds for motion that is too fast to be matched, and also if the
camera was among those that the Gaussians were fitted to, because the others outweigh it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from trackersplat.diagnosis.settings import StepSettings


class Pictures(NamedTuple):
    """One camera in one frame, (H, W, 3) uint8 RGB."""

    photograph: np.ndarray
    rendering: np.ndarray


@dataclass(frozen=True)
class Shift:
    """The whole number of frames, not 0, by which the photographs of a camera agree best with renderings."""

    frames: int  # behind the others; negative: ahead
    left: float  # share of the squared difference that it leaves, of that without a shift


class StepWatch:
    """Collects the differences of all frames."""

    def __init__(self, views: int, settings: StepSettings) -> None:
        self._settings = settings
        self._last: list[deque[tuple[int, Pictures]]] = [deque(maxlen=settings.reach) for _ in range(views)]
        self._sums: list[dict[int, np.ndarray]] = [{} for _ in range(views)]  # by shift: shifted, as it is, pixels

    def add(self, view: int, frame: int, seen: Pictures) -> None:
        """Frames come in ascending order."""
        now = Pictures(*(_small(image, self._settings.side) for image in seen))
        for earlier, before in self._last[view]:
            moves = np.abs(now.rendering - before.rendering).max(axis=2) > self._settings.change
            count = int(moves.sum())
            if count >= self._settings.least_share * moves.size:
                # Now behind: what this frame's photograph shows was rendered before. Before ahead: the other way round.
                self._note(view, frame - earlier, now.photograph, before.rendering, now.rendering, moves)
                self._note(view, earlier - frame, before.photograph, now.rendering, before.rendering, moves)
        self._last[view].append((frame, now))

    def _note(self, view: int, shift: int, photograph: np.ndarray, other: np.ndarray, own: np.ndarray, moves: np.ndarray) -> None:
        if abs(shift) > self._settings.reach:
            return
        apart = [float(((photograph - rendering)[moves] ** 2).sum()) for rendering in (other, own)]
        self._sums[view][shift] = self._sums[view].get(shift, np.zeros(2)) + apart

    def shift(self, view: int) -> Shift | None:
        """None if nothing moves before the camera."""
        found = [Shift(shift, float(other / max(own, 1e-9))) for shift, (other, own) in self._sums[view].items()]
        return min(found, key=lambda shift: shift.left, default=None)


def _small(image: np.ndarray, side: int) -> np.ndarray:
    """float32, not larger than ``side``."""
    height, width = image.shape[:2]
    scale = side / max(height, width)
    if scale < 1:
        image = cv2.resize(image, (max(round(width * scale), 1), max(round(height * scale), 1)), interpolation=cv2.INTER_AREA)
    return image.astype(np.float32)
