"""Lines and dots drawn into a picture: where things in space are seen, dimmed behind surfaces. Pure functions of arrays.

They are part of the picture, so they never slide off what they mark, and ten thousand cost what a few cost in the browser: nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trackersplat.captures.camera import Camera

BEHIND = 0.25  # opacity of what is behind a surface, as a share
SURFACE_MARGIN = 0.03  # of the depth: what is this far behind the surface still counts as on it
THINNEST = 0.6  # image pixels, half the width of a line
SOLID = 0.5  # alpha from which a pixel has a surface


@dataclass(frozen=True, eq=False)
class Lines:
    """S segments in world coordinates."""

    points: np.ndarray  # (S, 2, 3) float32; nan: not drawn
    colours: np.ndarray  # (S, 3) uint8
    opacity: np.ndarray  # (S, 2) float32 in [0, 1], at its ends
    width: float = 1.5  # CSS pixels
    on_top: bool = False  # not dimmed behind surfaces


@dataclass(frozen=True, eq=False)
class Polylines:
    """P lines through V places each."""

    points: np.ndarray  # (V, P, 3) float32; nan: broken there
    joined: np.ndarray  # (V - 1,) bool, whether places v and v + 1 are joined
    faint: np.ndarray  # (V, P) bool
    colours: np.ndarray  # (P, 3) uint8
    opacity: np.ndarray  # (V,) float32 in [0, 1]
    share: float = 1.0  # of the opacity between two places of which one is faint
    width: float = 1.5  # CSS pixels
    on_top: bool = False


@dataclass(frozen=True, eq=False)
class Dots:
    """P discs in world coordinates."""

    points: np.ndarray  # (P, 3) float32; nan: not drawn
    colours: np.ndarray  # (P, 3) uint8
    hollow: np.ndarray  # (P,) bool
    opacity: np.ndarray  # (P,) float32 in [0, 1]
    radius: float = 2.5  # CSS pixels
    on_top: bool = False


Stroke = Lines | Polylines | Dots


def draw(
    image: np.ndarray,  # (H, W, 3) uint8, changed in place
    strokes: list[Stroke],  # later ones are drawn over earlier ones
    view: Camera,  # of the image's size
    depth: np.ndarray | None = None,  # (H, W) expected depth of the surface, inf where there is none
    scale: float = 1.0,  # image pixels per CSS pixel
) -> None:
    from viewer.stage.stroke_kernels import composite, stamp_dots, stamp_lines, stamp_polylines

    if not strokes:
        return
    # Per pixel what has been drawn there: coverage, coverage * opacity, and that times the colour.
    canvas = np.zeros((*image.shape[:2], 5), np.float32)
    lens = np.array((view.fx, view.fy, view.cx, view.cy))
    seen_from = (np.ascontiguousarray(view.world_to_camera, np.float64), lens, float(view.near))
    low, high = 0, 0
    for stroke in strokes:
        surface = np.full((1, 1), np.inf, np.float32) if stroke.on_top or depth is None else depth
        hiding = (surface, 1 + SURFACE_MARGIN, BEHIND)
        if isinstance(stroke, Dots):
            ring = max(1.0, 0.5 * stroke.radius) * scale
            low, high = stamp_dots(
                canvas, stroke.points, stroke.colours, stroke.opacity, stroke.hollow, *seen_from, stroke.radius * scale, ring, *hiding
            )
        elif isinstance(stroke, Lines):
            radius = max(0.5 * stroke.width * scale, THINNEST)
            low, high = stamp_lines(canvas, stroke.points, stroke.colours, stroke.opacity, *seen_from, radius, *hiding)
        else:
            radius = max(0.5 * stroke.width * scale, THINNEST)
            low, high = stamp_polylines(
                canvas,
                stroke.points,
                stroke.joined,
                stroke.faint,
                stroke.share,
                stroke.colours,
                stroke.opacity,
                *seen_from,
                radius,
                *hiding,
            )  # fmt: skip
        if high > low:
            composite(image, canvas, low, high)


def surface_depth(depth: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """(H, W) expected depth from a rendering's blended depth; inf where nearly nothing is."""
    solid = alpha >= SOLID
    return np.where(solid, depth / np.where(solid, alpha, 1.0), np.inf).astype(np.float32)


def visible_pixels(points: np.ndarray, view: Camera) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels (P, 2) and depths (P,) of world points (P, 3), and whether each is before the camera and within the image (P,)."""
    known = np.isfinite(points).all(axis=1)
    with np.errstate(invalid="ignore"):
        uv, z = view.project(np.where(known[:, None], points, 0.0).astype(np.float64))
    inside = known & (z > view.near) & (uv >= 0).all(axis=1) & (uv < (view.width, view.height)).all(axis=1)
    return uv, z, inside
