"""The tracks of a run as rows of a table: worst first, found by text and category."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from trackersplat.diagnosis.categories import Category, TrackState
from trackersplat.diagnosis.diagnosis import Diagnosis, TrackSummary
from viewer.views.lanes import TrackValues, track_values

MOST_ROWS = 50_000  # that a page gets; the worst ones
FAILED = 0.5  # failure score from which a track counts as a failure

STATE_WORDS = {TrackState.ABSENT: "absent", TrackState.VISIBLE: "visible", TrackState.HIDDEN: "occluded", TrackState.ENDED: "ended"}


@dataclass(frozen=True)
class Column:
    """``key`` is the field of a row; ``digits`` is None for text and whole numbers."""

    key: str
    title: str
    hint: str  # tooltip of the header
    width: int  # pixels
    digits: int | None = None
    text: bool = False


# The first six fit into the inspector as it opens; the others are reached by scrolling or a wider one.
COLUMNS = (
    Column("id", "Track", "Number of the track. It stays the same in every frame and view.", 56),
    Column("camera", "Camera", "The camera in which the track was followed.", 50, text=True),
    Column("score", "Score", "Failure score of the worst frame: the probability that the position is wrong.", 44, 2),
    Column("category", "Why", "Why it fails, in its worst frame.", 110, text=True),
    Column("worst", "Worst", "The frame with the highest failure score; a click on the row goes there.", 42),
    Column("most", "Max px", "Largest reprojection residual: the measured position against the point that all views agree on.", 46, 1),
    Column("mean", "Mean px", "Mean reprojection residual over all frames.", 56, 1),
    Column("backward", "F-B px", "Largest forward-backward error: tracked on and back again, how far from where it started.", 52, 1),
    Column("views", "Views", "Median number of other views that agree on the point.", 46, 0),
    Column("span", "Frames", "First and last frame of the track.", 62, text=True),
    Column("state", "State", "What the track is in its last frame.", 64, text=True),
)


@dataclass(frozen=True, eq=False)
class TrackList:
    """A diagnosis with what tables, commands and panels look up in it. P tracks; a row is the index of a track in the diagnosis."""

    diagnosis: Diagnosis
    key: str = ""  # of the run that was diagnosed

    def __len__(self) -> int:
        return len(self.diagnosis)

    @cached_property
    def summary(self) -> TrackSummary:
        return self.diagnosis.summary()

    @cached_property
    def in_lanes(self) -> TrackValues:
        """What the timeline of every tab shows of them."""
        return track_values(self.diagnosis)

    @cached_property
    def row_of(self) -> dict[int, int]:
        """Id -> row."""
        return {int(identity): row for row, identity in enumerate(self.diagnosis.ids)}

    def number_of(self, camera: str) -> int | None:
        """What the names of its tracks begin with; None if tracks are called by their plain ids, or the camera has none."""
        from trackersplat.motion.followed_tracks import CELL_BITS

        cameras = self.diagnosis.cameras
        long_ids = len(self.diagnosis.ids) > 0 and int(self.diagnosis.ids.max()) >= 1 << CELL_BITS
        return camera_numbers(cameras)[cameras.index(camera)] if long_ids and camera in cameras else None

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Of the rows, for people: small ids as they are; long ones as number of the camera, first frame (from 1) and grid cell."""
        from trackersplat.motion.followed_tracks import CELL_BITS, FRAME_BITS

        ids = [int(identity) for identity in self.diagnosis.ids]
        if not ids or max(ids) < 1 << CELL_BITS:
            return tuple(map(str, ids))
        cells, frames, numbers = (1 << CELL_BITS) - 1, (1 << FRAME_BITS) - 1, camera_numbers(self.diagnosis.cameras)
        return tuple(
            f"{numbers[camera]}.{((identity >> CELL_BITS) & frames) + 1}.{identity & cells}"
            for identity, camera in zip(ids, self.diagnosis.camera.tolist(), strict=True)
        )

    @cached_property
    def worst_first(self) -> np.ndarray:
        """(P,) rows by falling highest score, then by falling residual; those without a score last."""
        score = np.nan_to_num(self.summary.max_score, nan=-1.0)
        return np.lexsort((self.diagnosis.ids, -np.nan_to_num(self.summary.max_reprojection, nan=-1.0), -score))

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """What a filter looks through, of each row."""
        cameras, summary = self.diagnosis.cameras, self.summary
        return tuple(
            f"{name} {identity} {cameras[camera]} {Category(category).title} {STATE_WORDS[TrackState(state)]}".lower()
            for name, identity, camera, category, state in zip(
                self.names,
                self.diagnosis.ids.tolist(),
                self.diagnosis.camera.tolist(),
                summary.category.tolist(),
                summary.state.tolist(),
                strict=True,
            )
        )

    def frame_row(self, frame: int) -> int | None:
        """The index of a frame in the diagnosis; None if it was not diagnosed."""
        return self._frame_rows.get(frame)

    @cached_property
    def _frame_rows(self) -> dict[int, int]:
        return {frame: row for row, frame in enumerate(self.diagnosis.frames)}

    # -- choosing -----------------------------------------------------------------------------------------------------

    def matching(self, text: str = "", categories: Collection[int] = ()) -> np.ndarray:
        """Rows, worst first, in which every word of ``text`` occurs and whose category is one of ``categories`` (none: all)."""
        rows, words = self.worst_first, text.lower().split()
        if categories:
            rows = rows[np.isin(self.summary.category[rows], list(categories))]
        if words:
            texts = self.texts
            rows = np.array([row for row in rows.tolist() if all(word in texts[row] for word in words)], np.int64)
        return rows

    def failures(self, text: str = "", categories: Collection[int] = ()) -> np.ndarray:
        """Those of `matching` that count as failures."""
        rows = self.matching(text, categories)
        return rows[self.summary.max_score[rows] >= FAILED]

    def counts(self, text: str = "") -> dict[Category, int]:
        """Failed tracks by category, most first; those without any are absent."""
        found = np.bincount(self.summary.category[self.failures(text)], minlength=len(Category))
        return {Category(number): int(found[number]) for number in np.argsort(-found, kind="stable") if found[number]}

    # -- rows ---------------------------------------------------------------------------------------------------------

    @cached_property
    def page_rows(self) -> list[list[Any]]:
        """`rows` as every page gets them."""
        return self.rows()

    def rows(self, most: int = MOST_ROWS) -> list[list[Any]]:
        """One list per track in the order of ``COLUMNS``, then its name; worst first. Numbers are rounded, None where nothing is known.

        Frames are counted from 1; a category is its number, a span its ends.
        """
        summary, cameras = self.summary, self.diagnosis.cameras
        chosen = self.worst_first[:most]
        columns: dict[str, list[Any]] = {
            "id": self.diagnosis.ids[chosen].tolist(),
            "camera": [cameras[camera] for camera in self.diagnosis.camera[chosen].tolist()],
            "score": _rounded(summary.max_score[chosen], 2),
            "category": [int(category) for category in summary.category[chosen]],
            "worst": (summary.worst[chosen] + 1).tolist(),
            "most": _rounded(summary.max_reprojection[chosen], 1),
            "mean": _rounded(summary.mean_reprojection[chosen], 1),
            "backward": _rounded(summary.forward_backward[chosen], 1),
            "views": _rounded(summary.views[chosen], 0),
            "span": [
                [first + 1, last + 1] for first, last in zip(summary.first[chosen].tolist(), summary.last[chosen].tolist(), strict=True)
            ],
            "state": [STATE_WORDS[TrackState(state)] for state in summary.state[chosen].tolist()],
        }
        names = [self.names[row] for row in chosen.tolist()]
        return [list(row) for row in zip(*(columns[column.key] for column in COLUMNS), names, strict=True)]


def camera_numbers(names: Sequence[str]) -> list[int]:
    """The numbers at the ends of the names, as people call the cameras; the places in the list if these do not tell them apart."""
    found = [re.search(r"(\d{1,9})$", name) for name in names]
    numbers = [int(match[1]) for match in found if match is not None]
    return numbers if len(set(numbers)) == len(names) else list(range(len(names)))


def _rounded(values: np.ndarray, digits: int) -> list[float | None]:
    return [round(value, digits) if math.isfinite(value) else None for value in values.tolist()]


def next_after(rows: np.ndarray, row: int | None, steps: int) -> int | None:
    """The row ``steps`` after ``row`` in a list that goes round; its first (or last) one if ``row`` is not in it; None if it is empty."""
    if not len(rows):
        return None
    at = np.flatnonzero(rows == row) if row is not None else rows[:0]
    if not len(at):
        return int(rows[0 if steps > 0 else -1])
    return int(rows[(int(at[0]) + steps) % len(rows)])
