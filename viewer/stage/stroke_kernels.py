"""The loops of `viewer.stage.strokes`, compiled once per machine."""

from __future__ import annotations

import math
from typing import Any

import numba

Array = Any  # of NumPy


SHORTEST2 = 0.5  # squared pixels: a polyline leaves out places nearer than that to the last one it went through


@numba.njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _stamp_segment(
    canvas: Array, x0: float, y0: float, z0: float, x1: float, y1: float, z1: float, colours: Array, s: int, strong0: float, strong1: float,
    radius: float, surface: Array, tested: bool, margin: float, behind: float,
) -> tuple[int, int]:  # fmt: skip
    """One line with smooth edges, in the colour ``colours[s]``. Returns the range of rows that it may touch, (height, 0) for none."""
    height, width = canvas.shape[:2]
    reach, solid = radius + 0.5, max(radius - 0.5, 0.0)
    reach2, solid2 = reach * reach, solid * solid
    if max(x0, x1) < -reach or max(y0, y1) < -reach or min(x0, x1) > width + reach or min(y0, y1) > height + reach:
        return height, 0
    dx, dy = x1 - x0, y1 - y0
    length2 = dx * dx + dy * dy
    if length2 < 1e-6:
        return height, 0
    top, bottom = int(max(min(y0, y1) - reach, 0.0)), int(min(max(y0, y1) + reach, height - 1.0))
    half = reach * math.sqrt(length2) / max(abs(dy), 1e-9)  # half the width of the band across a row
    red, green, blue = float(colours[s, 0]), float(colours[s, 1]), float(colours[s, 2])
    per_length, slope = 1.0 / length2, dx / dy if abs(dy) > 1e-9 else 0.0
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
            strength = cover * (strong0 + t * (strong1 - strong0))
            if tested and z0 + t * (z1 - z0) > surface[y, x] * margin:
                strength *= behind
            canvas[y, x, 0] += cover
            canvas[y, x, 1] += strength
            canvas[y, x, 2] += strength * red
            canvas[y, x, 3] += strength * green
            canvas[y, x, 4] += strength * blue
    return top, bottom + 1


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _place(points: Array, i: int, world_to_camera: Array, lens: Array, near: float) -> tuple[float, float, float]:
    """Pixel and depth of the point ``points[i]``; depth 0 where it is not before the camera, or not known."""
    x, y, z = float(points[i, 0]), float(points[i, 1]), float(points[i, 2])
    depth = world_to_camera[2, 0] * x + world_to_camera[2, 1] * y + world_to_camera[2, 2] * z + world_to_camera[2, 3]
    if not depth > near:  # nan, too
        return 0.0, 0.0, 0.0
    across = world_to_camera[0, 0] * x + world_to_camera[0, 1] * y + world_to_camera[0, 2] * z + world_to_camera[0, 3]
    down = world_to_camera[1, 0] * x + world_to_camera[1, 1] * y + world_to_camera[1, 2] * z + world_to_camera[1, 3]
    return across / depth * lens[0] + lens[2], down / depth * lens[1] + lens[3], depth


@numba.njit(cache=True, nogil=True, error_model="numpy")
def stamp_lines(
    canvas: Array,  # (H, W, 5) float32: coverage, coverage * opacity, that times R, G, B; added to
    points: Array,  # (S, 2, 3) in space; nan: not drawn
    colours: Array,  # (S, 3)
    opacity: Array,  # (S, 2)
    world_to_camera: Array,  # (4, 4)
    lens: Array,  # (4,) fx, fy, cx, cy
    near: float,
    radius: float,
    surface: Array,  # (H, W) depth, or (1, 1) inf for none
    margin: float,
    behind: float,
) -> tuple[int, int]:
    """Lines with smooth edges. Returns the range of rows that were touched."""
    height, width = canvas.shape[:2]
    tested = surface.shape[0] == height and surface.shape[1] == width
    low, high = height, 0
    for s in range(len(points)):
        x0, y0, z0 = _place(points[s], 0, world_to_camera, lens, near)
        x1, y1, z1 = _place(points[s], 1, world_to_camera, lens, near)
        if z0 > 0.0 and z1 > 0.0:
            top, bottom = _stamp_segment(
                canvas, x0, y0, z0, x1, y1, z1, colours, s, opacity[s, 0], opacity[s, 1], radius, surface, tested, margin, behind
            )
            low, high = min(low, top), max(high, bottom)
    return low, high


@numba.njit(cache=True, nogil=True, error_model="numpy")
def stamp_polylines(
    canvas: Array,
    points: Array,  # (V, P, 3) in space; nan: the line is broken there
    joined: Array,  # (V - 1,) bool: whether places v and v + 1 are joined
    faint: Array,  # (V, P) bool
    share: float,  # of the opacity, where one of the ends is faint
    colours: Array,  # (P, 3)
    opacity: Array,  # (V,)
    world_to_camera: Array,
    lens: Array,
    near: float,
    radius: float,
    surface: Array,
    margin: float,
    behind: float,
) -> tuple[int, int]:
    """P lines through V places each, every place projected once. Returns the range of rows that were touched."""
    height, width = canvas.shape[:2]
    tested = surface.shape[0] == height and surface.shape[1] == width
    low, high = height, 0
    last = len(points) - 1
    for p in range(points.shape[1]):
        x0, y0, z0 = _place(points[0], p, world_to_camera, lens, near)
        strong0 = opacity[0]
        for v in range(last):
            x1, y1, z1 = _place(points[v + 1], p, world_to_camera, lens, near)
            if z0 <= 0.0 or z1 <= 0.0 or not joined[v]:
                x0, y0, z0, strong0 = x1, y1, z1, opacity[v + 1]
                continue
            weak = faint[v, p] or faint[v + 1, p]
            ends = v + 1 == last or not joined[v + 1] or (faint[v + 1, p] or faint[v + 2, p]) != weak
            if not ends:
                ends = _place(points[v + 2], p, world_to_camera, lens, near)[2] <= 0.0
            if not ends and (x1 - x0) * (x1 - x0) + (y1 - y0) * (y1 - y0) < SHORTEST2:
                continue
            part = share if weak else 1.0
            top, bottom = _stamp_segment(
                canvas, x0, y0, z0, x1, y1, z1, colours, p, part * strong0, part * opacity[v + 1], radius, surface, tested, margin, behind
            )
            low, high = min(low, top), max(high, bottom)
            x0, y0, z0, strong0 = x1, y1, z1, opacity[v + 1]
    return low, high


@numba.njit(cache=True, nogil=True, error_model="numpy")
def stamp_dots(
    canvas: Array,
    points: Array,  # (P, 3) in space; nan: not drawn
    colours: Array,  # (P, 3)
    opacity: Array,  # (P,)
    hollow: Array,  # (P,) bool
    world_to_camera: Array,
    lens: Array,
    near: float,
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
    reach, solid, inner = radius + 0.5, max(radius - 0.5, 0.0), radius - ring
    for p in range(len(points)):
        cx, cy, z = _place(points, p, world_to_camera, lens, near)
        if z <= 0.0 or cx < 0.0 or cy < 0.0 or cx >= width or cy >= height:
            continue
        hidden = tested and z > surface[int(cy), int(cx)] * margin
        strong = opacity[p] * (behind if hidden else 1.0)
        red, green, blue = strong * float(colours[p, 0]), strong * float(colours[p, 1]), strong * float(colours[p, 2])
        top, bottom = int(max(cy - reach, 0.0)), int(min(cy + reach, height - 1.0))
        low, high = min(low, top), max(high, bottom + 1)
        for y in range(top, bottom + 1):
            for x in range(int(max(cx - reach, 0.0)), int(min(cx + reach, width - 1.0)) + 1):
                distance2 = (x + 0.5 - cx) * (x + 0.5 - cx) + (y + 0.5 - cy) * (y + 0.5 - cy)
                if distance2 >= reach * reach:
                    continue
                cover = 1.0
                if hollow[p] or distance2 > solid * solid:
                    distance = math.sqrt(distance2)
                    cover = min(reach - distance, 1.0)
                    if hollow[p]:
                        cover = min(cover, distance - inner + 0.5)
                    if cover <= 0.0:
                        continue
                canvas[y, x, 0] += cover
                canvas[y, x, 1] += cover * strong
                canvas[y, x, 2] += cover * red
                canvas[y, x, 3] += cover * green
                canvas[y, x, 4] += cover * blue
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
