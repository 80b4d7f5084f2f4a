"""What is known about one track: its evidence in one frame, its curve over time, and why it fails in a sentence."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from trackersplat.diagnosis.categories import Category, TrackState
from trackersplat.diagnosis.registry import EVIDENCE
from viewer.views.table import FAILED, STATE_WORDS, TrackList

UNUSUAL = 0.95  # share of the other tracks in the frame that a value is worse than, from which it is marked


@dataclass(frozen=True)
class Value:
    """One piece of evidence."""

    name: str
    title: str
    value: str | None  # None if there is none
    unit: str
    rank: float | None  # share of the tracks in this frame that it is worse than; None if it has no direction or no value
    hint: str

    @property
    def unusual(self) -> bool:
        return self.rank is not None and self.rank >= UNUSUAL


@dataclass(frozen=True)
class Curve:
    """One track over the frames of a diagnosis."""

    frames: tuple[int, ...]
    reprojection: tuple[float | None, ...]  # px
    gap: tuple[float | None, ...]  # px from the rendered point
    score: tuple[float | None, ...]
    states: str  # one letter per frame: v visible, o occluded, e ended, a absent, f visible but failing


def values(tracks: TrackList, row: int, frame: int) -> tuple[Value, ...]:
    """All evidence about a track in a frame, in the order of the registry; empty if the frame was not diagnosed."""
    at = tracks.frame_row(frame)
    if at is None:
        return ()
    found = []
    pieces = tracks.diagnosis.evidence_in(at)
    for facts in EVIDENCE:
        piece = pieces.get(facts.name)
        if piece is None:
            continue
        value = float(piece[row])
        rank = None
        if math.isfinite(value) and facts.direction != "none":
            others = piece[np.isfinite(piece)]
            better = others < value if facts.direction == "high" else others > value
            rank = float(better.sum()) / max(len(others) - 1, 1)
        unit = facts.unit.replace("^2", "²").replace("scene units", "units")
        found.append(Value(facts.name, facts.title, number(value) if math.isfinite(value) else None, unit, rank, facts.how))
    return tuple(found)


def number(value: float) -> str:
    """A finite number with about three significant digits; whole ones as they are."""
    size = abs(value)
    digits = 0 if size >= 100 or value == int(value) else 1 if size >= 10 else 2 if size >= 0.1 else 3 if size >= 0.01 else 4
    return f"{value:.{digits}f}"


def curve(tracks: TrackList, row: int) -> Curve:
    diagnosis = tracks.diagnosis
    letters = {TrackState.ABSENT: "a", TrackState.VISIBLE: "v", TrackState.HIDDEN: "o", TrackState.ENDED: "e"}
    states = "".join(
        "f" if state == TrackState.VISIBLE and score >= FAILED else letters[TrackState(state)]
        for state, score in zip(diagnosis.state[:, row].tolist(), diagnosis.score[:, row].tolist(), strict=True)
    )
    return Curve(
        diagnosis.frames,
        _column(diagnosis.evidence.get("reprojection"), row, len(diagnosis.frames)),
        _column(diagnosis.evidence.get("rendered_gap"), row, len(diagnosis.frames)),
        _column(diagnosis.score, row, len(diagnosis.frames)),
        states,
    )


def _column(values: np.ndarray | None, row: int, count: int) -> tuple[float | None, ...]:
    if values is None:
        return (None,) * count
    return tuple(round(value, 3) if math.isfinite(value) else None for value in values[:, row].tolist())


def state_at(tracks: TrackList, row: int, frame: int) -> str:
    """What the track is in a frame, in words."""
    at = tracks.frame_row(frame)
    return "not diagnosed" if at is None else STATE_WORDS[TrackState(int(tracks.diagnosis.state[at, row]))]


def reason(tracks: TrackList, row: int, frame: int) -> tuple[Category, str]:
    """The category in this frame, or in the worst one if the track does not fail here; and why, in a sentence."""
    summary, at = tracks.summary, tracks.frame_row(frame)
    worst = int(summary.worst[row])
    here = at is not None and float(tracks.diagnosis.score[at, row]) >= FAILED
    category = Category(int(tracks.diagnosis.category[at, row] if here and at is not None else summary.category[row]))
    top = float(summary.max_score[row])
    if not math.isfinite(top) or top < FAILED:
        return category, f"Nothing speaks against the track: its highest failure score is {number(top) if math.isfinite(top) else 0}."
    where = f"In frame {frame + 1}" if here else f"In its worst frame, {worst + 1}"
    score = float(tracks.diagnosis.score[at, row]) if here and at is not None else top
    return category, f"{where}: {category.title}, with a failure score of {score:.2f}. {category.meaning}"


def failing_span(tracks: TrackList, row: int, frame: int) -> tuple[int, int]:
    """The first and last frame of the failure around ``frame``, or around the worst frame if the track does not fail there."""
    frames, score = tracks.diagnosis.frames, tracks.diagnosis.score[:, row]
    at = tracks.frame_row(frame)
    if at is None or not score[at] >= FAILED:
        at = tracks.frame_row(int(tracks.summary.worst[row]))
    assert at is not None, "the worst frame is one of the diagnosis"
    first = last = at
    while first > 0 and score[first - 1] >= FAILED:
        first -= 1
    while last + 1 < len(frames) and score[last + 1] >= FAILED:
        last += 1
    return frames[first], frames[last]


def last_good(tracks: TrackList, row: int, frame: int) -> int:
    """The last frame before the failure in which the track is visible and does not fail; its first frame if there is none."""
    first, _ = failing_span(tracks, row, frame)
    diagnosis = tracks.diagnosis
    for at in range(len(diagnosis.frames) - 1, -1, -1):
        good = diagnosis.state[at, row] == TrackState.VISIBLE and not diagnosis.score[at, row] >= FAILED
        if diagnosis.frames[at] < first and good:
            return diagnosis.frames[at]
    return int(tracks.summary.first[row])
