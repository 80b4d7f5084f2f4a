"""Tracks corrected by what they led to: the moved scene is matched with the images that it should look like.

A view that lost a point may see it where the other views say that it went. There it needs to be found only nearby, as large and
turned as it appears, and no longer among everything that has moved. And where the scene that tracks start from was itself moved there,
they keep what it is off by, while the match tells where things are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from trackersplat.errors import ShapeError
from trackersplat.geometry.projection import inside_image
from trackersplat.tracking.trackers.dis.matching import Image, Tracks, inside, match, round_trip, sample
from trackersplat.tracking.tracks import DenseTracks, as_array

_SURE = 0.5  # visibility times confidence from which a track is not searched for again
_MOVED_PX = 0.5  # motion of a track from which a drifting base frame is corrected
_REACH = 1 / 12  # of the longest side of an image: the scene is nearly where it should be
_GAPS = np.ones((3, 3), np.uint8)  # what lies between pixels that move apart is found, too


@dataclass(frozen=True)
class Prediction:
    """What one view should see of a target frame, if the motion to it is right."""

    image: np.ndarray  # (H, W, 3) uint8 RGB
    forward: np.ndarray  # (H, W, 2) float32 px: displacement of what a pixel of the base frame shows
    backward: np.ndarray  # (H, W, 2) float32 px: of what a pixel of ``image`` shows, back to the base frame


def look_again(tracks: DenseTracks, target: np.ndarray, predicted: Prediction, *, drifting: bool = False) -> DenseTracks:
    """``tracks`` to one target, and per pixel what the match of ``predicted`` with the ``target`` (H, W, 3) uint8 says where that is surer.

    With ``drifting``, for a base frame whose Gaussians may be off, it counts wherever it is sure. But what a sure track says stayed has
    stayed, because a rendering lies a little beside its image everywhere.

    Raises ShapeError if the sizes differ or the tracks have several targets.
    """
    size = tuple(tracks.positions.shape[1:3])
    images, ways = (target, predicted.image), (predicted.forward, predicted.backward)
    if len(tracks.targets) != 1 or any(image.shape != (*size, 3) for image in images) or any(way.shape != (*size, 2) for way in ways):
        raise ShapeError(
            f"A second look needs tracks to one target and images of their size, got {tuple(tracks.positions.shape)}, "
            f"{target.shape} and {predicted.image.shape}, {predicted.forward.shape}, {predicted.backward.shape}."
        )
    shown, seen = Image(predicted.image), Image(np.ascontiguousarray(target))
    grid, forward, backward = shown.grid, predicted.forward, predicted.backward
    positions, visibility, confidence = (as_array(values)[0] for values in (tracks.positions, tracks.visibility, tracks.confidence))
    certainty = visibility * confidence
    wanted = sample(certainty, grid + backward) * _returning(shown, backward, forward) < _SURE
    again, _ = match(shown, seen, wanted=(wanted, ~_reached(positions, certainty >= _SURE)), reach=_REACH)

    at = grid + forward
    found = Tracks(
        at + 0.5 + sample(again.flow, at),
        sample(again.visibility, at) * inside(at) * _returning(shown, forward, backward),
        sample(again.confidence, at),
    )
    sure = found.visibility * found.confidence
    replaced = sure > certainty
    if drifting:
        replaced |= (sure >= _SURE) & (np.linalg.norm(positions - 0.5 - grid, axis=-1) >= _MOVED_PX)
    return replace(  # places, not displacements: what stays is not rounded
        tracks,
        positions=np.where(replaced[..., None], found.flow, positions)[None],
        visibility=np.where(replaced, found.visibility, visibility)[None],
        confidence=np.where(replaced, found.confidence, confidence)[None],
    )


def doubtful(tracks: DenseTracks) -> np.ndarray:
    """(F,) float64 in [0, 1]: to each target the share of the pixels whose tracks need a second look."""
    certainty = as_array(tracks.visibility) * as_array(tracks.confidence)
    return np.mean(certainty < _SURE, axis=(1, 2))


def _returning(image: Image, there: np.ndarray, back: np.ndarray) -> np.ndarray:
    """(H, W) in [0, 1]: 1/2 where the way there and back ends a pixel beside its start, as it does at what the target hides."""
    return 1.0 / (1.0 + round_trip(image, there, back) ** 4)


def _reached(positions: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """(H, W) bool: pixels that ``positions`` (H, W, 2) of the ``chosen`` (H, W) fall into, small gaps closed."""
    height, width = chosen.shape
    reached = np.zeros((height, width), np.uint8)
    inside = inside_image(positions, width, height)  # false for NaN
    column, row = positions[chosen & inside].astype(np.intp).T
    reached[row, column] = 1
    return cv2.morphologyEx(reached, cv2.MORPH_CLOSE, _GAPS) > 0
