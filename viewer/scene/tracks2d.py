"""2D tracks over a camera's image: the way of each point over the last frames to where it is in this one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from viewer.scene.compare import Placement, heat

if TYPE_CHECKING:
    from trackersplat.tracking.tracks import Tracks

MOVED = 0.5  # pixels of the image; shorter steps are not drawn
FAST = 4.0  # pixels per frame; at least this step has the hottest colour
DOT_MOVED, DOT_AT_REST = 2.2, 1.0  # radii in pixels of the page
CROSS = 2.5  # half the side of a cross, in pixels of the page
FAINTEST = 0.25  # brightness where visibility or confidence is 0
_SHIFT = 4  # fractional bits of coordinates, so that lines do not snap to whole pixels

_Colour = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Ways:
    """P tracks of one camera over F frames, the newest first. Pixels, centres at +0.5."""

    positions: np.ndarray  # (F, P, 2) float32; nan where a track has no position
    strength: np.ndarray  # (P,) float32 in [0, 1]: seen in the newest frame, at a position to be trusted
    ended: np.ndarray  # (P,) bool: in the newest frame or before

    @staticmethod
    def of(history: Sequence[Tracks]) -> Ways:
        """The tracks of ``history[0]`` and where they were in the frames before it; one camera, newest frame first, at least one.

        A track is recognised by its id and by where it begins: a chain that starts anew may count its ids anew.
        """
        newest = history[0]
        ids, query = newest.ids.cpu().numpy(), newest.query.cpu().numpy()
        positions = np.full((len(history), len(ids), 2), np.nan, np.float32)
        for row, tracks in zip(positions, history, strict=True):
            here, there = _common(ids, tracks.ids.cpu().numpy())
            same = (query[here] == tracks.query.cpu().numpy()[there]).all(axis=1)
            row[here[same]] = tracks.positions[-1].cpu().numpy()[there[same]]
        strength = (newest.visibility[-1] * newest.confidence[-1]).cpu().numpy().clip(0.0, 1.0)
        return Ways(positions, strength, newest.ends[-1].cpu().numpy() != 0)

    def steps(self) -> np.ndarray:
        """(P,) pixels from the frame before to the newest one; nan where a track is missing in one of them."""
        if len(self.positions) < 2:
            return np.full(len(self.strength), np.nan, np.float32)
        return np.linalg.norm(self.positions[0] - self.positions[1], axis=1)


def _common(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Indices into ``a`` and into ``b`` of the values that both have; each has a value once."""
    _, in_a, in_b = np.intersect1d(a, b, assume_unique=True, return_indices=True)
    return in_a, in_b


def draw_tracks(page: np.ndarray, ways: Ways, placement: Placement) -> None:
    """Draws onto the picture in the page, in place and nothing beside it.

    A line per track with a dot at its end, or a cross where the track ended; colour by the length of the last step, dark where
    the point is badly visible or its position uncertain, and darker the older the frame.
    """
    if not len(ways.strength):
        return
    picture = placement.part(page)
    step = ways.steps()
    finite_step = step[np.isfinite(step)]
    fast = max(FAST, float(np.percentile(finite_step, 95))) if len(finite_step) else FAST
    # The very ends of the colour scale are too dark to be seen over a photograph.
    colours = heat(0.15 + 0.7 * np.clip(np.nan_to_num(step) / fast, 0, 1)).astype(float)
    points, drawable = _fixed_point(placement.to_part(ways.positions), 8 * max(picture.shape[:2]))
    moved = np.linalg.norm(np.diff(ways.positions, axis=0), axis=2) >= MOVED  # (F-1, P)
    brightness = FAINTEST + (1 - FAINTEST) * ways.strength
    # Weak ones first, so that what is certain lies on top.
    for i in np.argsort(ways.strength, kind="stable"):
        known = np.flatnonzero(drawable[:, i])
        if not len(known) or (known[0] > 0 and not ways.ended[i]):
            continue  # no position in this frame: nothing says where the track is
        for age in reversed(range(len(moved))):
            if moved[age, i] and drawable[age, i] and drawable[age + 1, i]:
                start, end = points[age + 1, i].tolist(), points[age, i].tolist()
                faded = brightness[i] * (1 - age / len(moved))
                cv2.line(picture, start, end, _scaled(colours[i], faded), 1, cv2.LINE_AA, _SHIFT)
        at = points[known[0], i]
        colour = _scaled(colours[i], brightness[i])
        if ways.ended[i]:
            _draw_cross(picture, at, colour)
        else:
            radius = DOT_MOVED if len(moved) and moved[0, i] else DOT_AT_REST
            cv2.circle(picture, at.tolist(), round(radius * (1 << _SHIFT)), colour, -1, cv2.LINE_AA, _SHIFT)


def _fixed_point(points: np.ndarray, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """Points of the picture as OpenCV's fixed-point integers, and which of them are numbers within ``limit`` pixels."""
    finite = np.isfinite(points).all(axis=-1)
    fixed = np.round((np.where(finite[..., None], points, 0.0) - 0.5) * (1 << _SHIFT)).astype(int)
    return fixed, finite & (np.abs(fixed) < limit << _SHIFT).all(axis=-1)


def _scaled(colour: np.ndarray, brightness: float) -> _Colour:
    return tuple(int(c * brightness) for c in colour)


def _draw_cross(picture: np.ndarray, at: np.ndarray, colour: _Colour) -> None:
    arm = round(CROSS * (1 << _SHIFT))
    for slope in (1, -1):
        offset = np.array([arm, slope * arm])
        cv2.line(picture, (at - offset).tolist(), (at + offset).tolist(), colour, 1, cv2.LINE_AA, _SHIFT)
