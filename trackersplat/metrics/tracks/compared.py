"""Tracks beside the truth, as every protocol takes them; and how queries are chosen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from trackersplat.errors import ShapeError

RASTER = 256  # px: side of the square image in which TAP-Vid measures, and shortest side in TAPVid-3D


@dataclass(frozen=True, eq=False)
class ComparedTracks:
    """N tracks of one video (or one rig) over T frames beside the truth; D is 2 (px) or 3 (length).

    Raises ShapeError if shapes differ, or a truth position that counts as visible is not finite.
    """

    query_frames: np.ndarray  # (N,) int64 from 0 to T - 1
    truth: np.ndarray  # (T, N, D) float64
    truth_visible: np.ndarray  # (T, N) bool
    found: np.ndarray  # (T, N, D) float64; nan where the track has no position: see `held`
    found_visible: np.ndarray  # (T, N) bool
    focal_px: float | None = None  # sqrt(fx fy) of the video scaled to a shortest side of RASTER px; 3D in the frame of that camera only

    def __post_init__(self) -> None:
        kinds = {"query_frames": np.int64, "truth": np.float64, "truth_visible": np.bool_, "found": np.float64, "found_visible": np.bool_}
        for name, kind in kinds.items():
            object.__setattr__(self, name, np.asarray(getattr(self, name), kind))
        shape = self.truth.shape
        if len(shape) != 3 or shape[2] not in (2, 3) or self.found.shape != shape:
            raise ShapeError(f"Compared tracks must both be (T, N, 2 or 3), got truth {shape} and found {self.found.shape}.")
        if self.truth_visible.shape != shape[:2] or self.found_visible.shape != shape[:2] or self.query_frames.shape != shape[1:2]:
            raise ShapeError(f"Visibility must be {shape[:2]} and query frames {shape[1:2]}, one per track.")
        if (self.query_frames < 0).any() or (self.query_frames >= shape[0]).any():
            raise ShapeError(f"Query frames must be from 0 to {shape[0] - 1}.")
        if not np.isfinite(self.truth[self.truth_visible]).all():
            raise ShapeError("Truth positions of visible points must be finite.")

    def __len__(self) -> int:
        return self.truth.shape[1]

    def __getitem__(self, chosen: np.ndarray) -> ComparedTracks:
        """These of the tracks, by boolean mask or indices."""
        return replace(
            self,
            query_frames=self.query_frames[chosen],
            truth=self.truth[:, chosen],
            truth_visible=self.truth_visible[:, chosen],
            found=self.found[:, chosen],
            found_visible=self.found_visible[:, chosen],
        )

    @property
    def missing(self) -> np.ndarray:
        """(T, N) bool: the track has no position there."""
        absent: np.ndarray = ~np.isfinite(self.found).all(-1)
        return absent

    def held(self) -> ComparedTracks:
        """Without gaps: a missing position is that of the frame before, from the query on, and counts as hidden.

        The protocols want a position in every frame. So a track that gives up is measured like one that stands still, and leaving out
        what is hard never makes a score better. At the query itself the truth is known, and stands in for a missing position; before
        it, the first position holds.
        """
        absent = self.missing
        if not absent.any():
            return self
        count = np.arange(len(self))
        at_query = np.zeros_like(absent)
        at_query[self.query_frames, count] = True
        start = absent & at_query & np.isfinite(self.truth).all(-1)
        found = np.where(start[..., None], self.truth, self.found)
        known = ~absent | start
        frame = np.arange(len(found))[:, None]
        last = np.maximum.accumulate(np.where(known, frame, -1), axis=0)
        first = np.where(known.any(0), known.argmax(0), 0)
        source = np.where(last < 0, first, last)
        return replace(self, found=found[source, count], found_visible=self.found_visible & ~absent)


@dataclass(frozen=True)
class TrackScores:
    """Numbers with the protocol that they belong to."""

    label: str  # such as "TAP-Vid (query first)": printed with every number
    values: dict[str, float]  # name -> value, nan where there is nothing to measure
    units: dict[str, str]  # name -> "%", "cm", "m" or ""; the same names
    tracks: int  # that were measured
    missing: float = 0.0  # share of the measured positions, from the query on, that the tracks did not have and that were held


class TrackProtocol(Protocol):
    """A protocol with its settings."""

    @property
    def label(self) -> str: ...

    def scores(self, tracks: ComparedTracks) -> TrackScores:
        """Raises ShapeError if the protocol is not for tracks of this kind."""
        ...


def mean_scores(videos: Iterable[TrackScores]) -> TrackScores:
    """The plain mean over videos, of those in which a number exists. Raises ShapeError for none, or of different protocols."""
    parts = list(videos)
    if not parts or any((part.label, part.units) != (parts[0].label, parts[0].units) for part in parts):
        raise ShapeError("A mean over videos needs scores of one protocol.")
    values = {}
    for name in parts[0].values:
        known = [part.values[name] for part in parts if np.isfinite(part.values[name])]
        values[name] = float(np.mean(known)) if known else float("nan")
    return TrackScores(
        parts[0].label, values, parts[0].units, sum(part.tracks for part in parts), float(np.mean([part.missing for part in parts]))
    )


def missing_share(tracks: ComparedTracks) -> float:
    """Of the positions after the query; 0 if there are none."""
    after = np.arange(len(tracks.truth))[:, None] > tracks.query_frames
    return float((tracks.missing & after).sum() / max(after.sum(), 1))


def to_raster(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    """Positions (..., 2) in an image, pixel centres at +0.5, scaled to a square of RASTER px, not uniformly.

    TAP-Vid counts pixels as we do: (0, 0) is the corner of the first one (tapnet, raster coordinates).
    """
    scaled: np.ndarray = np.asarray(pixels, np.float64) * (RASTER / width, RASTER / height)
    return scaled


def first_queries(visible: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Query-first: (Q,) indices of tracks and (Q,) frames, each track where it is first visible; ``visible`` (T, N) bool."""
    tracks = np.flatnonzero(visible.any(0))
    return tracks, visible[:, tracks].argmax(0)


def strided_queries(visible: np.ndarray, stride: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Query-strided: (Q,) indices of tracks and (Q,) frames, all that are visible in each ``stride``-th frame; ``visible`` (T, N)."""
    frames, tracks = np.nonzero(visible[::stride])
    return tracks, frames * stride
