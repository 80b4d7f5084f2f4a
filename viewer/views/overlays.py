"""Marks over a camera's picture: where each track was measured, where it should be, how it came there; as numbers that the page draws.

Nothing to draw is always explained.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.diagnosis.categories import TrackState
from viewer.state import ColourBy
from viewer.views.colours import RGB, ColourScale, id_colours

if TYPE_CHECKING:
    from trackersplat.diagnosis.diagnosis import Diagnosis
    from trackersplat.tracking.tracks import Tracks

MOST_MARKS = 50_000  # of one pane; more are thinned out, worst first, and the page says so
FIELDS = (
    "x", "y", "reprojected_x", "reprojected_y", "rendered_x", "rendered_y", "score", "category", "visibility", "confidence", "error",
    "speed", "ended", "id0", "id1", "id2",
)  # fmt: skip
ID_BITS = 20  # of an id in id0 and in id1; a float32 holds them exactly


@dataclass(frozen=True, eq=False)
class Overlay:
    """P marks in one camera and frame. Pixels have centres at +0.5; nan where a mark has no such number."""

    frame: int
    values: np.ndarray  # (len(fields), P) float32
    fields: tuple[str, ...] = FIELDS
    trails: np.ndarray = field(default_factory=lambda: np.zeros((0, 0, 2), np.float32))  # (n, P, 2): in the frames before, newest first
    note: str = ""  # why nothing is drawn, or what is left out
    number: int | None = None  # of the camera in the names of its tracks; None: tracks are called by their plain ids

    def __len__(self) -> int:
        return self.values.shape[1]

    def column(self, name: str) -> np.ndarray:
        """(P,) float32."""
        return self.values[self.fields.index(name)]

    def ids(self) -> np.ndarray:
        """(P,) int64."""
        return join_ids(*(self.column(name).astype(np.int64) for name in ("id0", "id1", "id2")))

    def payload(self, trails: bool = True) -> bytes:
        """float32, little-endian, row by row: the fields, then x and y of each frame of the trails."""
        if not len(self):
            return b""
        rows = (
            np.concatenate([self.values, self.trails.transpose(0, 2, 1).reshape(2 * len(self.trails), self.trails.shape[1])])
            if trails
            else self.values
        )
        return np.ascontiguousarray(rows, "<f4").tobytes()


def split_ids(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Three parts of (P,) int64 ids that a float32 holds exactly each (for ids below 2^63)."""
    mask = (1 << ID_BITS) - 1
    return ids & mask, (ids >> ID_BITS) & mask, ids >> (2 * ID_BITS)


def join_ids(low: np.ndarray, middle: np.ndarray, high: np.ndarray) -> np.ndarray:
    return (high << (2 * ID_BITS)) + (middle << ID_BITS) + low


def split_id(track: int) -> tuple[int, int, int]:
    """The three parts of one id, as the page names it."""
    mask = (1 << ID_BITS) - 1
    return track & mask, (track >> ID_BITS) & mask, track >> (2 * ID_BITS)


def join_id(parts: Sequence[int]) -> int:
    """One id from the three parts that the page names it by."""
    low, middle, high = parts
    return (high << (2 * ID_BITS)) + (middle << ID_BITS) + low


def nothing(frame: int, note: str) -> Overlay:
    return Overlay(frame, np.zeros((len(FIELDS), 0), np.float32), note=note)


def pane_overlay(
    camera: str,
    frame: int,
    *,
    held_out: bool,
    reconstructed: Sequence[int],  # frames of the run, ascending
    diagnosis: Diagnosis | None = None,
    history: Sequence[Tracks] = (),  # of this camera, newest first: of this frame and of the run's frames before it
    following: Tracks | None = None,  # of this camera in the run's next frame: where tracks begin in this one
    trail_length: int = 8,
) -> Overlay:
    """The marks of one camera and frame; from the diagnosis if it has that frame, else from the run's tracks."""
    if held_out:
        return nothing(frame, f"{camera} is held out: held-out cameras are not tracked.")
    if frame not in reconstructed:
        return nothing(frame, f"Frame {frame + 1} is not reconstructed: it has no tracks.")
    found: Overlay | None = None
    if diagnosis is not None and camera in diagnosis.cameras and frame in diagnosis.frames:
        found = _diagnosed(diagnosis, camera, frame, history, trail_length)
    if (found is None or not len(found)) and history and history[0].frames[-1] == frame:
        found = _tracked(frame, history[: trail_length + 1])
    if found is not None and len(found):
        return _thinned(found)
    if following is not None and (begun := _beginning(frame, following)) is not None:
        return _thinned(begun)
    if frame == reconstructed[0]:
        return nothing(frame, f"Frame {frame + 1}: the tracks begin here; the next frame shows where they go.")
    if found is not None or history:
        return nothing(frame, f"No track of {camera} has a position in frame {frame + 1}.")
    return nothing(frame, f"The run kept no tracks of {camera} in frame {frame + 1}.")


def _diagnosed(diagnosis: Diagnosis, camera: str, frame: int, history: Sequence[Tracks], trail_length: int) -> Overlay:
    row = diagnosis.frames.index(frame)
    mine = np.flatnonzero(diagnosis.camera == diagnosis.cameras.index(camera))
    state = diagnosis.state[row, mine]
    there = np.isfinite(diagnosis.position[row, mine]).all(axis=1) | np.isfinite(diagnosis.rendered[row, mine]).all(axis=1)
    mine, state = mine[there], state[there]
    # A gap of frames in the run is a gap in the trail: only frames that follow each other in the diagnosis are joined.
    before = [row - back for back in range(1, trail_length + 1) if row - back >= 0]
    trails = diagnosis.position[before][:, mine].astype(np.float32)
    visibility = (state == TrackState.VISIBLE).astype(np.float32)
    distrust = diagnosis.evidence.get("distrust")
    confidence = np.full(len(mine), np.nan, np.float32) if distrust is None else 1.0 - distrust[row, mine]
    if history and history[0].frames[-1] == frame:
        tracks = history[0]
        here, there_too = _same_tracks(diagnosis.ids[mine], diagnosis.query[mine], tracks)
        visibility[here] = tracks.visibility[-1].cpu().numpy()[there_too]
        confidence[here] = tracks.confidence[-1].cpu().numpy()[there_too]
    position, reprojected = diagnosis.position[row, mine], diagnosis.reprojected[row, mine]
    speed = diagnosis.evidence.get("speed")
    values = _values(
        ids=diagnosis.ids[mine],
        position=position,
        reprojected=reprojected,
        rendered=diagnosis.rendered[row, mine],
        score=diagnosis.score[row, mine],
        category=diagnosis.category[row, mine].astype(np.float32),
        visibility=visibility,
        confidence=confidence,
        ended=state == TrackState.ENDED,
        speed=_steps(position, trails) if speed is None else speed[row, mine],
    )
    return Overlay(frame, values, trails=trails)


def _tracked(frame: int, history: Sequence[Tracks]) -> Overlay:
    """A track is recognised by its id and by where it begins: a chain that starts anew may count its ids anew."""
    newest = history[0]
    ids, query = newest.ids.cpu().numpy(), newest.query.cpu().numpy()
    positions = np.full((len(history), len(ids), 2), np.nan, np.float32)
    for row, tracks in zip(positions, history, strict=True):
        here, there = _same_tracks(ids, query, tracks)
        row[here] = tracks.positions[-1].cpu().numpy()[there]
    ended = newest.ends[-1].cpu().numpy() != 0
    last = positions[0].copy()
    if len(positions) > 1:  # a track that ended is marked where it was last
        lost = ended & np.isnan(last).any(axis=1)
        last[lost] = positions[1, lost]
    keep = np.isfinite(last).all(axis=1)
    nan = np.full(len(ids), np.nan, np.float32)
    values = _values(
        ids=ids,
        position=last,
        reprojected=np.stack((nan, nan), axis=1),
        rendered=np.stack((nan, nan), axis=1),
        score=nan,
        category=nan,
        visibility=newest.visibility[-1].cpu().numpy(),
        confidence=newest.confidence[-1].cpu().numpy(),
        ended=ended,
        speed=_steps(positions[0], positions[1:]),
    )
    return Overlay(frame, values[:, keep], trails=positions[1:, keep])


def _beginning(frame: int, following: Tracks) -> Overlay | None:
    """The places where tracks of the next frame begin in this one; None if none does."""
    query = following.query.cpu().numpy()
    starts = query[:, 0] == frame
    if not starts.any():
        return None
    count = int(starts.sum())
    nan = np.full(count, np.nan, np.float32)
    values = _values(
        ids=following.ids.cpu().numpy()[starts],
        position=query[starts, 1:],
        reprojected=np.stack((nan, nan), axis=1),
        rendered=np.stack((nan, nan), axis=1),
        score=nan,
        category=nan,
        visibility=np.ones(count, np.float32),
        confidence=np.ones(count, np.float32),
        ended=np.zeros(count, bool),
        speed=nan,
    )
    return Overlay(frame, values, note=f"Frame {frame + 1}: the tracks begin here.")


def _values(
    *,
    ids: np.ndarray,
    position: np.ndarray,
    reprojected: np.ndarray,
    rendered: np.ndarray,
    score: np.ndarray,
    category: np.ndarray,
    visibility: np.ndarray,
    confidence: np.ndarray,
    ended: np.ndarray,
    speed: np.ndarray,
) -> np.ndarray:
    """(len(FIELDS), P) float32."""
    error = np.linalg.norm(position - reprojected, axis=1)
    rows = (*position.T, *reprojected.T, *rendered.T, score, category, visibility, confidence, error, speed, ended, *split_ids(ids))
    return np.stack([np.asarray(row, np.float32) for row in rows]).reshape(len(FIELDS), len(ids))


def _steps(position: np.ndarray, trails: np.ndarray) -> np.ndarray:
    """(P,) pixels from the frame before; nan where a track is missing in one of them."""
    if not len(trails):
        return np.full(len(position), np.nan, np.float32)
    steps: np.ndarray = np.linalg.norm(position - trails[0], axis=1)
    return steps


def _same_tracks(ids: np.ndarray, query: np.ndarray, tracks: Tracks) -> tuple[np.ndarray, np.ndarray]:
    """Indices into ``ids`` and into ``tracks`` of the tracks that both have."""
    _, here, there = np.intersect1d(ids, tracks.ids.cpu().numpy(), assume_unique=True, return_indices=True)
    same = (query[here] == tracks.query.cpu().numpy()[there]).all(axis=1)
    return here[same], there[same]


def _thinned(overlay: Overlay) -> Overlay:
    """At most MOST_MARKS marks: those with the highest scores, then the first ones."""
    if len(overlay) <= MOST_MARKS:
        return overlay
    score = np.nan_to_num(overlay.column("score"), nan=-1.0)
    kept = np.sort(np.argsort(-score, kind="stable")[:MOST_MARKS])
    note = f"{MOST_MARKS:,} of {len(overlay):,} tracks are drawn, those with the highest scores."
    return Overlay(overlay.frame, overlay.values[:, kept], overlay.fields, overlay.trails[:, kept], note)


# -- epipolar lines -----------------------------------------------------------------------------------------------------


def epipolar_segment(source: Camera, point: tuple[float, float], target: Camera) -> tuple[float, float, float, float] | None:
    """Where what ``source`` sees at a pixel can be in the image of ``target``: x0, y0 (nearest), x1, y1 (farthest); None if nowhere.

    Only what lies before both cameras' near planes counts, out to infinity.
    """
    ray = np.array([(point[0] - source.cx) / source.fx, (point[1] - source.cy) / source.fy, 1.0]) @ source.rotation
    # In homogeneous pixels of the target: start + depth * direction.
    start = target.K @ (target.rotation @ source.center + target.translation)
    direction = target.K @ (target.rotation @ ray)
    nearest, farthest = source.near, np.inf
    # Each row times (start + depth * direction) must be >= its bound.
    limits = (
        ((0.0, 0.0, 1.0), target.near),
        ((1.0, 0.0, 0.0), 0.0), ((-1.0, 0.0, float(target.width)), 0.0),
        ((0.0, 1.0, 0.0), 0.0), ((0.0, -1.0, float(target.height)), 0.0),
    )  # fmt: skip
    for normal, bound in limits:
        at_start, slope = float(np.dot(normal, start)) - bound, float(np.dot(normal, direction))
        if abs(slope) < 1e-12:
            if at_start < 0:
                return None
        elif slope > 0:
            nearest = max(nearest, -at_start / slope)
        else:
            farthest = min(farthest, -at_start / slope)
    if not nearest < farthest:
        return None
    ends = [start + nearest * direction, direction if np.isinf(farthest) else start + farthest * direction]
    if min(end[2] for end in ends) <= 0:
        return None
    (x0, y0), (x1, y1) = (end[:2] / end[2] for end in ends)
    return float(x0), float(y0), float(x1), float(y1)


def track_line(
    diagnosis: Diagnosis, cameras: Sequence[Camera], track: int, frame: int, camera: int, pointed: int | None
) -> tuple[str, tuple[float, float, float, float] | None]:
    """The line in ``camera`` on which a track lies as another camera sees it: the one last ``pointed`` at, else the track's own.

    Its own camera measured the point; another one sees it where the triangulated point is. Name of that camera and the segment as of
    `epipolar_segment`; an empty name and None where there is no line.
    """
    rows = np.flatnonzero(diagnosis.ids == track)
    if not len(rows) or frame not in diagnosis.frames:
        return "", None
    row, moment = int(rows[0]), diagnosis.frames.index(frame)
    own = next(i for i, known in enumerate(cameras) if known.name == diagnosis.cameras[int(diagnosis.camera[row])])
    source = own if pointed is None else pointed
    if source == camera:
        return "", None
    if source == own:
        at = diagnosis.position[moment, row]
    else:
        at, depth = (value[0] for value in cameras[source].project(diagnosis.world[moment, row][None].astype(np.float64)))
        if not depth > 0:
            return "", None
    if not np.isfinite(at).all():
        return "", None
    segment = epipolar_segment(cameras[source], (float(at[0]), float(at[1])), cameras[camera])
    return ("", None) if segment is None else (cameras[source].name, segment)


# -- how marks are coloured ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class MarkColours:
    """How the page colours marks: by a field, along a scale or by kinds."""

    field: str
    scale: ColourScale
    palette: tuple[RGB, ...] = ()  # of whole numbers (a category; an id, counted round and round)

    def to_json(self) -> dict[str, object]:
        return {"field": self.field, "palette": [list(colour) for colour in self.palette], **self.scale.to_json()}


def mark_colours(by: ColourBy, *, categories: Sequence[tuple[str, RGB]] = (), high: float | None = None) -> MarkColours:
    """``categories``: name and colour in the order of their numbers. ``high``: the end of the scale of errors and speeds in pixels.

    Ages and supporting views are no fields of marks; these are coloured by the id.
    """
    if by == "category" and categories:
        return MarkColours(
            "category",
            ColourScale("Category", "", 0.0, float(len(categories)), "grey", labels=tuple(categories), empty="not diagnosed"),
            tuple(colour for _, colour in categories),
        )
    if by == "score":
        return MarkColours("score", ColourScale("Failure score", "", 0.0, 1.0, "score", empty="not diagnosed"))
    if by == "error":
        return MarkColours("error", ColourScale("Residual", "px", 0.0, high or 4.0, "score", empty="not diagnosed"))
    if by == "speed":
        return MarkColours("speed", ColourScale("Speed", "px per frame", 0.0, high or 4.0, "plasma", empty="begins here"))
    if by == "confidence":
        return MarkColours("confidence", ColourScale("Confidence", "", 0.0, 1.0, "score", reversed=True, empty="unknown"))
    return MarkColours("id0", ColourScale("Colour by track", "", 0.0, 1.0, "grey"), id_colours())
