"""The loops of `viewer.stage.strokes`, compiled once per machine."""

from __future__ import annotations

import math
from typing import Any

import numba

Array = Any  # of NumPy


@numba.njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def stamp_lines(
    canvas: Array,  # (H, W, 5) float32: coverage, coverage * opacity, that times R, G, B; added to
    ends: Array,  # (S, 4) x0, y0, x1, y1 in pixels
    z: Array,  # (S, 2) depths
    drawn: Array,  # (S,) bool; the places of the others do not count
    colours: Array,  # (S, 3)
    opacity: Array,  # (S, 2)
    radius: float,
    surface: Array,  # (H, W) depth, or (1, 1) inf for none
    margin: float,
    behind: float,
) -> tuple[int, int]:
    """Lines with smooth edges. Returns the range of rows that were touched."""
    height, width = canvas.shape[:2]
    tested = surface.shape[0] == height and surface.shape[1] == width
    low, high = height, 0
    reach, solid = radius + 0.5, max(radius - 0.5, 0.0)
    reach2, solid2 = reach * reach, solid * solid
    for s in range(len(ends)):
        if not drawn[s]:
            continue
        x0, y0, x1, y1 = ends[s, 0], ends[s, 1], ends[s, 2], ends[s, 3]
        if max(x0, x1) < -reach or max(y0, y1) < -reach or min(x0, x1) > width + reach or min(y0, y1) > height + reach:
            continue
        dx, dy = x1 - x0, y1 - y0
        length2 = dx * dx + dy * dy
        if length2 < 1e-6:
            continue
        top, bottom = int(max(min(y0, y1) - reach, 0.0)), int(min(max(y0, y1) + reach, height - 1.0))
        half = reach * math.sqrt(length2) / max(abs(dy), 1e-9)  # half the width of the band across a row
        red, green, blue = float(colours[s, 0]), float(colours[s, 1]), float(colours[s, 2])
        per_length, slope = 1.0 / length2, dx / dy if abs(dy) > 1e-9 else 0.0
        low, high = min(low, top), max(high, bottom + 1)
        for y in range(top, bottom + 1):
            left, right = min(x0, x1) - reach, max(x0, x1) + reach
            if abs(dy) > 1e-9:  # only the part of the row that the line crosses
                middle = x0 + (y + 0.5 - y0) * slope
                left, right = max(left, middle - half), min(right, middle + half)
            for x in range(int(max(left - 1.0, 0.0)), int(min(right + 1.0, width - 1.0)) + 1):
                px, py = x + 0.5 - x0, y + 0.5 - y0
                t = min(max((px * dx + py * dy) * per_length, 0.0), 1.0)
                away_x, away_y = px - t * dx, py - t * dy
                distance2 = away_x * away_x + away_y * away_y
                if distance2 >= reach2:
                    continue
                cover = 1.0 if distance2 <= solid2 else reach - math.sqrt(distance2)
                cover = min(cover, 1.0)
                strength = cover * (opacity[s, 0] + t * (opacity[s, 1] - opacity[s, 0]))
                if tested and z[s, 0] + t * (z[s, 1] - z[s, 0]) > surface[y, x] * margin:
                    strength *= behind
                canvas[y, x, 0] += cover
                canvas[y, x, 1] += strength
                canvas[y, x, 2] += strength * red
                canvas[y, x, 3] += strength * green
                canvas[y, x, 4] += strength * blue
    return low, high


@numba.njit(cache=True, nogil=True, error_model="numpy")
def stamp_dots(
    canvas: Array,
    centres: Array,  # (P, 2) pixels, inside the image
    z: Array,  # (P,)
    colours: Array,  # (P, 3)
    opacity: Array,  # (P,)
    hollow: Array,  # (P,) bool
    radius: float,
    ring: float,  # width of the line of a hollow one
    surface: Array,
    margin: float,
    behind: float,
) -> tuple[int, int]:
    """Discs and rings with smooth edges; a surface hides or shows a whole one. Returns the range of rows that were touched."""
    height, width = canvas.shape[:2]
    tested = surface.shape[0] == height and surface.shape[1] == width
    low, high = height, 0
    reach = radius + 0.5
    for p in range(len(centres)):
        cx, cy = centres[p, 0], centres[p, 1]
        hidden = tested and z[p] > surface[int(cy), int(cx)] * margin
        for y in range(int(max(cy - reach, 0.0)), int(min(cy + reach, height - 1.0)) + 1):
            for x in range(int(max(cx - reach, 0.0)), int(min(cx + reach, width - 1.0)) + 1):
                distance = math.hypot(x + 0.5 - cx, y + 0.5 - cy)
                cover = min(radius + 0.5 - distance, 1.0)
                if hollow[p]:
                    cover = min(cover, distance - (radius - ring) + 0.5)
                if cover <= 0.0:
                    continue
                strength = cover * opacity[p] * (behind if hidden else 1.0)
                canvas[y, x, 0] += cover
                canvas[y, x, 1] += strength
                for channel in range(3):
                    canvas[y, x, 2 + channel] += strength * colours[p, channel]
                low, high = min(low, y), max(high, y + 1)
    return low, high


@numba.njit(cache=True, nogil=True, error_model="numpy")
def composite(image: Array, canvas: Array, low: int, high: int) -> None:
    """Blends the rows of the canvas over the image, and clears them. Where several strokes meet, their colours are mixed."""
    for y in range(low, high):
        for x in range(image.shape[1]):
            cover, strong = canvas[y, x, 0], canvas[y, x, 1]
            if cover > 0.0:
                if strong > 0.0:
                    share = min(cover, 1.0) * strong / cover
                    for channel in range(3):
                        mixed = canvas[y, x, 2 + channel] / strong
                        image[y, x, channel] = min(max(image[y, x, channel] * (1.0 - share) + mixed * share + 0.5, 0.0), 255.0)
                for channel in range(5):
                    canvas[y, x, channel] = 0.0
