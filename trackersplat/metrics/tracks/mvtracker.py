"""The protocol of MVTracker (arXiv:2508.21060): 3D tracks in the world, each track scored first, then the mean over tracks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trackersplat.errors import ShapeError
from trackersplat.metrics.tracks.compared import ComparedTracks, TrackScores, missing_share
from trackersplat.metrics.tracks.jaccard import count


@dataclass(frozen=True)
class MVTracker:
    """A point is visible if any view sees it. Only tracks that are visible in two frames from the query on are measured.

    Lengths are metres; ``metres_per_unit`` brings tracks in scene units there.
    """

    name: str
    thresholds: tuple[float, ...]  # of the distance, for delta, J
    failure: float  # distance at which a track has not survived
    static_below: float | None  # length of the true path below which a track is static; None: not split
    dynamic_above: float | None
    very_dynamic_above: float | None
    include_query: bool = True  # in MTE and ATE, as in the published code; the error there is about 0
    metres_per_unit: float = 1.0

    @property
    def label(self) -> str:
        without = "" if self.include_query else ", MTE and ATE without the query"
        return f"MVTracker ({self.name} thresholds{without})"

    def scores(self, tracks: ComparedTracks) -> TrackScores:
        """MTE, ATE, FDE in cm and the rest in percent: of all tracks, then by group as ``dynamic.MTE``.

        ``mean`` is that of the dynamic and the static group, as in the tables of the paper. Raises ShapeError if the tracks are not 3D.
        """
        if tracks.truth.shape[2] != 3:
            raise ShapeError("The protocol of MVTracker measures 3D tracks.")
        frame = np.arange(len(tracks.truth))[:, None]
        seen = tracks.truth_visible & (frame >= tracks.query_frames)
        measured = seen.sum(0) >= 2
        chosen = tracks[measured]
        values: dict[str, float] = {}
        units: dict[str, str] = {}
        per_track = self._per_track(chosen, seen[:, measured])
        path = self._path(chosen, seen[:, measured])
        for group, members in self._groups(path).items():
            for name, scores in per_track.items():
                full = f"{group}.{name}" if group else name
                known = scores[members][np.isfinite(scores[members])]
                values[full] = 100 * float(known.mean()) if len(known) else float("nan")
                units[full] = "cm" if name in ("MTE", "ATE", "FDE") else "%"
        if self.static_below is not None:
            for name in per_track:
                values[f"mean.{name}"] = 0.5 * (values[f"dynamic.{name}"] + values[f"static.{name}"])
                units[f"mean.{name}"] = units[name]
        return TrackScores(self.label, values, units, int(measured.sum()), missing_share(chosen))

    def _groups(self, path: np.ndarray) -> dict[str, np.ndarray]:
        """Name -> (N,) bool; "" is all of them."""
        groups = {"": np.ones(len(path), bool)}
        if self.static_below is not None and self.dynamic_above is not None and self.very_dynamic_above is not None:
            groups["static"] = path < self.static_below
            groups["dynamic"] = path > self.dynamic_above
            groups["very_dynamic"] = path > self.very_dynamic_above
        return groups

    def _path(self, tracks: ComparedTracks, seen: np.ndarray) -> np.ndarray:
        """(N,) metres: sums of the steps between the frames in which the truth is visible."""
        lengths = np.zeros(len(tracks))
        for index in range(len(tracks)):
            points = tracks.truth[seen[:, index], index]
            lengths[index] = np.linalg.norm(np.diff(points, axis=0), axis=-1).sum()
        return lengths * self.metres_per_unit

    def _per_track(self, tracks: ComparedTracks, seen: np.ndarray) -> dict[str, np.ndarray]:
        """Name -> (N,) metres or shares; ``seen`` (T, N) bool: truth is visible, at the query or later."""
        tracks = tracks.held()
        frames, count_ = seen.shape
        frame, query = np.arange(frames)[:, None], tracks.query_frames
        distances = self.metres_per_unit * np.linalg.norm(tracks.found - tracks.truth, axis=-1)
        judged = seen if self.include_query else seen & (frame > query)
        ratios = count(
            ComparedTracks(query, tracks.truth, seen, tracks.found, tracks.found_visible),
            distances,
            np.array(self.thresholds)[:, None, None],
            (frame > query).astype(float),
            axis=0,
        )
        ordered = np.sort(np.where(judged, distances, np.inf), axis=0)
        middle = (judged.sum(0) - 1) // 2  # the lower one of two, as torch's median takes it
        tracks_at = np.arange(count_)
        failed = seen & (distances > self.failure)
        failure = np.where(failed.any(0), failed.argmax(0), frames)
        last = frames - 1 - seen[::-1].argmax(0)
        after = frame > query
        right = (seen == tracks.found_visible) & after
        with np.errstate(invalid="ignore", divide="ignore"):
            return {
                "MTE": ordered[middle, tracks_at],
                "ATE": np.where(judged, distances, 0.0).sum(0) / judged.sum(0),
                "FDE": distances[last, tracks_at],
                "delta_avg": ratios.within.mean(0),
                "AJ": ratios.jaccard.mean(0),
                "OA": ratios.occlusion_accuracy,
                "OA_visible": (right & seen).sum(0) / (after & seen).sum(0),
                "OA_occluded": (right & ~seen).sum(0) / (after & ~seen).sum(0),
                "survival": (failure - query) / (frames - query),
                **{f"delta_{k:g}": share for k, share in zip(self.thresholds, ratios.within, strict=True)},
                **{f"J_{k:g}": share for k, share in zip(self.thresholds, ratios.jaccard, strict=True)},
            }


def kubric(*, include_query: bool = True, metres_per_unit: float = 1.0) -> MVTracker:
    """Of MV-Kubric, whose unit is no metre: "cm" are hundredths of its unit."""
    return MVTracker("MV-Kubric", (0.05, 0.1, 0.2, 0.4, 0.8), 0.5, 0.01, 0.1, 2.0, include_query, metres_per_unit)


def dexycb(*, include_query: bool = True, metres_per_unit: float = 1.0) -> MVTracker:
    return MVTracker("DexYCB", (0.01, 0.02, 0.05, 0.1, 0.2), 0.1, 0.01, 0.1, 0.5, include_query, metres_per_unit)


def panoptic(*, include_query: bool = True, metres_per_unit: float = 1.0) -> MVTracker:
    """Four thresholds, and no groups: its labels are noisy."""
    return MVTracker("Panoptic Studio", (0.05, 0.1, 0.2, 0.4), 1.0, None, None, None, include_query, metres_per_unit)
