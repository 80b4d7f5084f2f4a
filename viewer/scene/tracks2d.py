"""2D tracks over a camera's image: from where a point was in the frame it was tracked from to where it was found in this one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from viewer.scene.compare import Placement, heat

if TYPE_CHECKING:
    from trackersplat.tracking.point_tracks import PointTracks

STILL = 0.5  # pixels; shorter tracks are dots
FAST = 4.0  # pixels; at least this long is the way with the hottest colour


def draw_tracks(page: np.ndarray, tracks: PointTracks, placement: Placement) -> None:
    """Draws onto the picture in the page, in place and nothing beside it.

    A line per point with a dot at its end; colour by length, dim where badly visible.
    """
    picture = placement.part(page)
    length = np.linalg.norm(tracks.end - tracks.start, axis=1)
    visibility = np.clip(tracks.visibility, 0.0, 1.0)
    finite_length = length[np.isfinite(length)]
    fast = max(FAST, float(np.percentile(finite_length, 95))) if len(finite_length) else FAST
    # The very ends of the colour scale are too dark to be seen over a photograph.
    colours = heat(0.15 + 0.7 * np.clip(np.nan_to_num(length) / fast, 0, 1)).astype(float)
    start, end = placement.to_part(tracks.start), placement.to_part(tracks.end)
    finite = np.isfinite(start).all(axis=1) & np.isfinite(end).all(axis=1)
    shift = 4  # fractional bits, so that lines do not snap to whole pixels
    a, b = (np.round((np.where(finite[:, None], p, 0.0) - 0.5) * (1 << shift)).astype(int) for p in (start, end))
    limit = 8 * max(picture.shape[:2]) << shift
    drawable = finite & (np.abs(a) < limit).all(axis=1) & (np.abs(b) < limit).all(axis=1)
    # Weak ones first, so that what is certain lies on top.
    for i in np.argsort(visibility, kind="stable"):
        if not drawable[i]:
            continue
        strength = 0.25 + 0.75 * visibility[i]
        colour = tuple(int(c * strength) for c in colours[i])
        if length[i] >= STILL:
            cv2.line(picture, a[i].tolist(), b[i].tolist(), colour, 1, cv2.LINE_AA, shift)
        radius = 2.2 if length[i] >= STILL else 1.0
        cv2.circle(picture, b[i].tolist(), round(radius * (1 << shift)), colour, -1, cv2.LINE_AA, shift)
