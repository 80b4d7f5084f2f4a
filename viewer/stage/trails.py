"""Trails and heads of tracks, or of Gaussians, as strokes; their colours and what these mean. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from viewer import theme
from viewer.stage.strokes import Dots, Polylines, Stroke
from viewer.views.colours import ColourScale, id_colours, map_colours

if TYPE_CHECKING:
    from trackersplat.diagnosis.diagnosis import Diagnosis
    from viewer.stage.gaussian_paths import Paths
    from viewer.state import ColourBy

HIDDEN_SHARE = 0.4  # opacity of a track where it claims to be hidden
OLDEST_SHARE = 0.08  # opacity of the oldest end of a trail that fades
UNKNOWN = (125, 135, 148)  # RGB of what has no value
SELECTED = (255, 255, 255)
SHADOW = (10, 12, 15)
_HIDDEN = 2  # diagnosis.categories.TrackState


@dataclass(frozen=True, eq=False)
class Trails:
    """What is drawn of one frame. ``heads`` (P, 3), nan where there is none, and whose they are: (P,) ids."""

    strokes: tuple[Stroke, ...]
    heads: np.ndarray
    ids: np.ndarray


NOTHING = Trails((), np.zeros((0, 3), np.float32), np.zeros(0, np.int64))


def track_trails(
    diagnosis: Diagnosis,
    frame: int,
    length: int,  # frames
    by: ColourBy,
    *,
    fade: bool = True,
    selected: Sequence[int] = (),  # ids
    all_tracks: bool = True,  # otherwise only the selected ones
    scale: ColourScale | None = None,  # `track_scale`, if it is known already
) -> Trails:
    """Where the points that the views agree on were in the last frames; the selected ones thick and on top."""
    if frame not in diagnosis.frames:
        return NOTHING
    row = diagnosis.frames.index(frame)
    chosen = np.isin(diagnosis.ids, np.asarray(selected, np.int64)) if selected else np.zeros(len(diagnosis), bool)
    strokes: list[Stroke] = []
    heads = np.full((len(diagnosis), 3), np.nan, np.float32)
    for some, on_top in ((np.flatnonzero(~chosen), False), (np.flatnonzero(chosen), True)):
        if not len(some) or not (all_tracks or on_top):
            continue
        colours = track_colours(diagnosis, row, by, some, scale)
        back = min(length, row)
        rows = np.arange(row, row - back - 1, -1)
        whole = slice(None) if len(some) == len(diagnosis) else some
        positions = diagnosis.world[rows][:, whole].astype(np.float32)  # newest first
        follows = np.diff(np.array(diagnosis.frames)[rows]) == -1  # a frame that the run does not have is a gap
        hidden = diagnosis.state[rows][:, whole] == _HIDDEN
        strokes += _strokes(positions, follows, hidden, colours, length, fade=fade, on_top=on_top)
        heads[some] = positions[0]
    return Trails(tuple(strokes), heads, diagnosis.ids)


def gaussian_trails(paths: Paths, frame: int, length: int, by: ColourBy, *, fade: bool = True) -> Trails:
    """Where moving Gaussians were in the last frames."""
    back = min(length, frame)
    rows = np.arange(frame, frame - back - 1, -1)
    positions = paths.positions[rows]
    if by == "speed":
        step = np.full(len(paths.indices), np.nan)
        if back:
            step = np.linalg.norm(positions[0] - positions[1], axis=1)
        scale = gaussian_scale(by, paths)
        colours = _by_map(step, scale)
    else:
        colours = _by_id(paths.indices)
    hidden = np.zeros(positions.shape[:2], bool)
    strokes = _strokes(positions, np.ones(back, bool), hidden, colours, length, fade=fade, on_top=False)
    return Trails(tuple(strokes), positions[0].astype(np.float32), paths.indices.astype(np.int64))


def _strokes(
    positions: np.ndarray,  # (1 + B, P, 3), newest first; nan where there is none
    follows: np.ndarray,  # (B,) whether each frame directly follows the next row's
    hidden: np.ndarray,  # (1 + B, P)
    colours: np.ndarray,  # (P, 3)
    length: int,
    *,
    fade: bool,
    on_top: bool,
) -> list[Stroke]:
    """Lines back from the heads, and the heads; hidden heads are hollow."""
    count = positions.shape[1]
    positions, colours = np.ascontiguousarray(positions, np.float32), np.ascontiguousarray(colours, np.uint8)
    strokes: list[Stroke] = []
    if len(positions) > 1:
        age = np.arange(len(positions), dtype=np.float32) / max(length, 1)
        opacity = 1 - age * (1 - OLDEST_SHARE) if fade else np.ones_like(age)
        lines = Polylines(positions, follows, hidden, colours, opacity, HIDDEN_SHARE, width=3.0 if on_top else 1.4, on_top=on_top)
        if on_top:
            shadow = np.full_like(colours, SHADOW)
            strokes.append(replace(lines, colours=shadow, opacity=np.maximum(opacity, 0.6), share=1.0, width=6.0))
        strokes.append(lines)
    head = positions[0]
    full = np.ones(count, np.float32)
    solid = np.zeros(count, bool)
    if on_top:
        strokes.append(Dots(head, np.full((count, 3), SHADOW, np.uint8), solid, full, radius=7.5, on_top=True))
        strokes.append(Dots(head, np.full((count, 3), SELECTED, np.uint8), solid, full, radius=6.0, on_top=True))
    strokes.append(Dots(head, colours, hidden[0] & (not on_top), full, radius=4.5 if on_top else 2.6, on_top=on_top))
    return strokes


# -- colours ----------------------------------------------------------------------------------------------------------


def track_colours(diagnosis: Diagnosis, row: int, by: ColourBy, some: np.ndarray, scale: ColourScale | None = None) -> np.ndarray:
    """(len(some), 3) uint8 of these tracks in one frame."""
    if by == "id":
        return _by_id(diagnosis.ids[some])
    if by == "category":
        palette = np.array([_rgb(colour) for colour in theme.CATEGORY_COLOURS], np.uint8)
        return palette[np.minimum(diagnosis.category[row, some], len(palette) - 1)]
    return _by_map(_values(diagnosis, row, by)[some], scale or track_scale(by, diagnosis))


def _values(diagnosis: Diagnosis, row: int, by: ColourBy) -> np.ndarray:
    """(P,) nan where nothing is known."""
    evidence = diagnosis.evidence
    unknown = np.full(len(diagnosis), np.nan, np.float32)
    if by == "score":
        return diagnosis.score[row]
    if by == "error":
        return evidence["reprojection"][row] if "reprojection" in evidence else unknown
    if by == "confidence":
        return 1.0 - evidence["distrust"][row] if "distrust" in evidence else unknown
    if by == "age":
        age: np.ndarray = diagnosis.frames[row] - diagnosis.query[:, 0]
        return np.where(age >= 0, age, np.nan)
    if by == "views":
        return evidence["views"][row] if "views" in evidence else unknown
    return evidence["world_speed"][row] if "world_speed" in evidence else unknown


def track_scale(by: ColourBy, diagnosis: Diagnosis | None) -> ColourScale:
    """What the colours of tracks mean, for the colour bar."""
    if by == "category":
        from trackersplat.diagnosis.categories import Category

        labels = tuple((category.title, _rgb(theme.CATEGORY_COLOURS[category])) for category in Category)
        return ColourScale("Category", "", 0.0, float(len(labels)), "grey", labels=labels)
    if by == "score":
        return ColourScale("Failure score", "", 0.0, 1.0, "score", empty="not known")
    if by == "error":
        return ColourScale("Reprojection residual", "px", 0.0, 4.0, "score", empty="not known")
    if by == "confidence":
        return ColourScale("Confidence", "", 0.0, 1.0, "score", reversed=True, empty="not known")
    if by == "age":
        last = diagnosis.frames[-1] if diagnosis is not None and diagnosis.frames else 1
        return ColourScale("Age", "frames", 0.0, float(max(last, 1)), "viridis")
    if by == "views":
        most = len(diagnosis.cameras) - 1 if diagnosis is not None else 4
        return ColourScale("Supporting views", "", 0.0, float(max(most, 1)), "score", reversed=True, empty="not known")
    if by == "speed":
        speeds = diagnosis.evidence.get("world_speed") if diagnosis is not None else None
        known = speeds[np.isfinite(speeds)] if speeds is not None else np.zeros(0)
        high = float(np.percentile(known[:: max(len(known) // 100_000, 1)], 98)) if len(known) else 1.0
        return ColourScale("Speed", "scene units per frame", 0.0, max(high, 1e-9), "plasma", empty="begins here")
    return ColourScale("Every track has a colour of its own", "", 0.0, 1.0, "grey")


def gaussian_scale(by: ColourBy, paths: Paths | None) -> ColourScale:
    if by == "speed":
        return ColourScale("Speed", "scene units per frame", 0.0, paths.fastest if paths else 1.0, "plasma", empty="begins here")
    return ColourScale("Every Gaussian has a colour of its own", "", 0.0, 1.0, "grey")


def _by_id(ids: np.ndarray) -> np.ndarray:
    palette = np.array(id_colours(), np.uint8)
    return palette[ids % len(palette)]


def _by_map(values: np.ndarray, scale: ColourScale) -> np.ndarray:
    colours = map_colours(scale.levels(values), scale.map)
    colours[np.isnan(values)] = UNKNOWN
    return colours


def _rgb(text: str) -> tuple[int, int, int]:
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)
