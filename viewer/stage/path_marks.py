"""The camera path on the stage, as strokes: its curve, and a small frustum at every key. Pure functions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from viewer.stage.strokes import Dots, Lines, Stroke

if TYPE_CHECKING:
    from trackersplat.camera_paths.trajectory import Trajectory

COLOUR, SELECTED, SHADOW = (232, 121, 190), (255, 255, 255), (10, 12, 15)


def widening(stage: float, video: float) -> float:
    """By how much the height of the stage must see more than the video's picture to show all of it; both as width over height."""
    return max(1.0, video / stage)


def path_strokes(trajectory: Trajectory, selected: int | None, size: float, aspect: float) -> list[Stroke]:
    """``size``: depth of the frusta, scene units; ``aspect``: width over height of the video. The selected key is white."""
    line = trajectory.line().astype(np.float32)
    keys = trajectory.at(trajectory.arrivals)
    frusta = np.concatenate(
        [_frustum(keys.positions[k], keys.rotations[k], float(keys.focal[k]), size, aspect) for k in range(len(keys.focal))]
    )
    per_key = len(frusta) // len(keys.focal)
    colours = np.tile(np.array(COLOUR, np.uint8), (len(keys.focal), 1))
    if selected is not None and selected < len(colours):
        colours[selected] = SELECTED
    strokes: list[Stroke] = []
    if len(line) > 1:
        segments = np.stack((line[:-1], line[1:]), axis=1)
        strokes += [_lines(segments, SHADOW, 4.0), _lines(segments, COLOUR, 2.0)]
    strokes.append(Lines(frusta, np.repeat(colours, per_key, axis=0), np.ones((len(frusta), 2), np.float32), 1.5))
    dots, full, solid = keys.positions.astype(np.float32), np.ones(len(colours), np.float32), np.zeros(len(colours), bool)
    strokes += [Dots(dots, np.full_like(colours, SHADOW), solid, full, 4.5), Dots(dots, colours, solid, full, 3.5)]
    return strokes


def frame_strokes(trajectory: Trajectory, moment: float, size: float, aspect: float) -> list[Stroke]:
    """The edges of the video's picture at a moment, as they are seen from there. ``size``: how far away they are drawn, scene units.

    ``aspect``: width over height of the video.
    """
    there = trajectory.at([moment])
    edges = _frustum(there.positions[0], there.rotations[0], float(there.focal[0]), size, aspect)[4:8]
    return [replace(_lines(edges, colour, width), on_top=True) for colour, width in ((SHADOW, 4.0), (COLOUR, 1.5))]


def _lines(segments: np.ndarray, colour: tuple[int, int, int], width: float) -> Lines:
    return Lines(segments, np.full((len(segments), 3), colour, np.uint8), np.ones((len(segments), 2), np.float32), width)


def _frustum(place: np.ndarray, rotation: np.ndarray, focal: float, depth: float, aspect: float) -> np.ndarray:
    """(9, 2, 3) float32: four edges, the far rectangle, and a stroke that shows which side is up."""
    down = 0.5 / focal * depth
    across = aspect * down
    corners = np.array([(-across, -down, depth), (across, -down, depth), (across, down, depth), (-across, down, depth)])
    corners = place + corners @ rotation.T
    above = place + rotation @ np.array((0.0, -1.4 * down, depth))
    edges = [(place, corner) for corner in corners] + [(corners[i], corners[(i + 1) % 4]) for i in range(4)]
    edges.append(((corners[0] + corners[1]) / 2, above))
    return np.array(edges, np.float32)
