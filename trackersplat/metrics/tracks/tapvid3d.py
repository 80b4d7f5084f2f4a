"""TAPVid-3D (arXiv:2407.05921): 3D tracks in the frame of a moving camera, with thresholds that grow with the depth."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from trackersplat.errors import ShapeError
from trackersplat.metrics.tracks.compared import ComparedTracks, TrackScores, missing_share
from trackersplat.metrics.tracks.jaccard import Ratios, count

THRESHOLDS_PX = (1, 2, 4, 8, 16)
THRESHOLDS_M = (0.01, 0.04, 0.16, 0.64, 2.56)  # fixed ones, in their place
Alignment = Literal["median", "mean", "median_on_queries", "per_trajectory", "local_neighborhood", "none", "reproduce_2d"]
ALIGNMENTS: tuple[str, ...] = get_args(Alignment)
_TINY = 1e-12  # as in the published code: keeps scales of nothing finite


@dataclass(frozen=True)
class TapVid3D:
    """All frames count, the query and those before it included. Predictions are first brought to the scale of the truth:

    ``median``, ``mean``: of the distances from the camera, over what is visible in truth and prediction; ``median_on_queries``: over the
    frames of the queries alone; ``per_trajectory``: each track by its depth at the query; ``local_neighborhood``: the same, but a track is
    measured on all true points that come within ``neighbourhood`` of it; ``none``: not at all; ``reproduce_2d``: each position by its own
    depth, which leaves its error in the image.
    """

    alignment: Alignment = "median"
    fixed_thresholds: bool = False  # 0.01 to 2.56 m for 1 to 16 px
    neighbourhood: float = 0.05  # scene units (metres in the benchmark)

    @property
    def label(self) -> str:
        return f"TAPVid-3D (alignment {self.alignment}, {'fixed metric' if self.fixed_thresholds else 'depth-adaptive'} thresholds)"

    def scores(self, tracks: ComparedTracks) -> TrackScores:
        """3D-AJ, APD and OA of one video in percent. Raises ShapeError if tracks are not 3D or the focal length is missing."""
        if tracks.truth.shape[2] != 3 or (tracks.focal_px is None and not self.fixed_thresholds):
            raise ShapeError("TAPVid-3D measures 3D tracks in the frame of a camera, whose focal length it needs.")
        missing, tracks = missing_share(tracks), tracks.held()
        scale = self._scale(tracks)
        if self.alignment == "local_neighborhood":
            ratios = self._over_neighbourhoods(tracks, scale)
        else:
            aligned = replace(tracks, found=tracks.found * scale)
            ratios = self._count(aligned, np.ones(tracks.truth_visible.shape))
        values = {
            "3D-AJ": float(ratios.jaccard.mean()),
            "APD": float(ratios.within.mean()),
            "OA": float(ratios.occlusion_accuracy),
            **{f"within_{k}": float(share) for k, share in zip(THRESHOLDS_PX, ratios.within, strict=True)},
            **{f"3D-J_{k}": float(share) for k, share in zip(THRESHOLDS_PX, ratios.jaccard, strict=True)},
        }
        return TrackScores(
            self.label, {name: 100 * value for name, value in values.items()}, dict.fromkeys(values, "%"), len(tracks), missing
        )

    def _thresholds(self, truth: np.ndarray, focal_px: float | None) -> np.ndarray:
        """(K, 1, 1) or (K, T, N) scene units: k px at the depth of the truth."""
        if self.fixed_thresholds or focal_px is None:
            return np.array(THRESHOLDS_M)[:, None, None]
        # The published code compares squares, so that a point behind the camera has the threshold of one before it.
        return np.array(THRESHOLDS_PX, float)[:, None, None] * np.abs(truth[..., 2]) / focal_px

    def _count(self, tracks: ComparedTracks, weights: np.ndarray) -> Ratios:
        distances = np.linalg.norm(tracks.found - tracks.truth, axis=-1)
        return count(tracks, distances, self._thresholds(tracks.truth, tracks.focal_px), weights, axis=None)

    def _scale(self, tracks: ComparedTracks) -> np.ndarray:
        """Of the predictions: broadcastable to (T, N, 1)."""
        if self.alignment == "none":
            return np.ones((1, 1, 1))
        if self.alignment == "reproduce_2d":
            with np.errstate(divide="ignore", invalid="ignore"):
                return tracks.truth[..., 2:] / tracks.found[..., 2:]
        at_query = (tracks.query_frames, np.arange(len(tracks)))
        if self.alignment in ("per_trajectory", "local_neighborhood"):
            depth, predicted = (np.maximum(points[..., 2][at_query], _TINY) for points in (tracks.truth, tracks.found))
            return (depth / predicted)[None, :, None]
        both = tracks.truth_visible & tracks.found_visible
        norms = [np.sqrt(np.maximum(_TINY, np.square(points).sum(-1))) for points in (tracks.truth, tracks.found)]
        chosen = both[at_query] if self.alignment == "median_on_queries" else both
        true, found = ((norm[at_query] if self.alignment == "median_on_queries" else norm)[chosen] for norm in norms)
        if not len(true):
            return np.full((1, 1, 1), np.nan)
        middle = np.mean if self.alignment == "mean" else np.median
        return np.full((1, 1, 1), middle(true) / middle(found))

    def _over_neighbourhoods(self, tracks: ComparedTracks, scale: np.ndarray) -> Ratios:
        """Each track stands for all true points near it in the same frame; together they weigh as much as its own visible ones."""
        parts, weights = [], []
        for index in range(len(tracks)):
            near = np.square(tracks.truth - tracks.truth[:, index : index + 1]).sum(-1) < self.neighbourhood**2  # (T, N)
            flat = near.ravel()
            part = [values.reshape(len(flat), *values.shape[2:])[flat] for values in (
                tracks.truth, tracks.truth_visible, tracks.found * scale[:, index : index + 1], tracks.found_visible)]  # fmt: skip
            own = tracks.truth_visible[:, index].sum()
            weights.append(np.full(len(part[0]), own / max(1.0, part[1].sum())))
            parts.append(part)
        truth, seen, found, found_seen = (np.concatenate(values)[:, None] for values in zip(*parts, strict=True))
        joined = ComparedTracks(np.zeros(1, int), truth, seen, found, found_seen, tracks.focal_px)
        return self._count(joined, np.concatenate(weights)[:, None])
