"""What every tracker is compared with: points that stay, and plain DIS flow chained from frame to frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import cv2
import numpy as np
import torch
from torch import Tensor

from trackersplat.captures.capture import Capture
from trackersplat.tracking.tracker import PointMotion
from trackersplat.tracking.warp import sample

ROUND_TRIP_PX = 1.0  # forward-backward error from which the chain calls a point hidden

# (camera, its points (P, 2) px) -> (camera, motion (1, F, P, 2))
Queries = Sequence[tuple[int, Tensor]]


def stay(capture: Capture, queries: Queries, base: int, targets: Sequence[int]) -> Iterator[tuple[int, PointMotion]]:
    """Do nothing: every point is where it was, and seen."""
    for camera, points in queries:
        still = points.float()[None, None].expand(1, len(targets), -1, -1)
        yield camera, PointMotion(still, torch.ones(still.shape[:-1]), torch.ones(still.shape[:-1]))


def chain(capture: Capture, queries: Queries, base: int, targets: Sequence[int]) -> Iterator[tuple[int, PointMotion]]:
    """OpenCV's DIS (preset medium) from each frame to the next; hidden where going back does not come home, or outside the image."""
    for camera, points in queries:
        at = points.numpy().astype(np.float32)[None]  # (1, P, 2), as a row of pixels
        positions, seen = [], []
        previous = cv2.cvtColor(capture.image(camera, base), cv2.COLOR_RGB2GRAY)
        for frame in range(base + 1, max(targets) + 1):
            current = cv2.cvtColor(capture.image(camera, frame), cv2.COLOR_RGB2GRAY)
            forward, backward = (_flow(a, b) for a, b in ((previous, current), (current, previous)))
            moved = at + sample(forward, at - 0.5)
            home = np.linalg.norm(moved + sample(backward, moved - 0.5) - at, axis=-1)
            within = _inside(moved, current.shape)
            if frame in targets:
                positions.append(moved[0])
                seen.append((home < ROUND_TRIP_PX)[0] & within[0])
            at, previous = moved, current
        visibility = torch.from_numpy(np.stack(seen).astype(np.float32))[None]
        yield camera, PointMotion(torch.from_numpy(np.stack(positions))[None], visibility, visibility)


def _inside(pixels: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """(...) bool: positions (..., 2), centres at +0.5, in an image of that (height, width)."""
    found: np.ndarray = (pixels >= 0).all(-1) & (pixels[..., 0] < shape[1]) & (pixels[..., 1] < shape[0])
    return found


def _flow(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    flow: np.ndarray = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(a, b, None)
    return flow


BASELINES: dict[str, Callable[[Capture, Queries, int, Sequence[int]], Iterator[tuple[int, PointMotion]]]] = {
    "do nothing": stay,
    "plain DIS chain": chain,
}
