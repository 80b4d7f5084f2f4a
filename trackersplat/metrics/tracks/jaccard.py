"""Points within a distance, Jaccard and occlusion accuracy: counted the same way by all protocols, pooled differently."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trackersplat.metrics.tracks.compared import ComparedTracks


@dataclass(frozen=True, eq=False)
class Ratios:
    """Shares in [0, 1], or nan where there is nothing to count: of a whole video, or one per track."""

    within: np.ndarray  # (K,) or (K, N): of the visible truth, within each of K thresholds, whatever visibility was predicted
    jaccard: np.ndarray  # (K,) or (K, N): true positives over visible truth and false positives
    occlusion_accuracy: np.ndarray  # () or (N,): visibility predicted right


def count(tracks: ComparedTracks, distances: np.ndarray, thresholds: np.ndarray, weights: np.ndarray, axis: int | None) -> Ratios:
    """``distances`` (T, N) and ``thresholds`` (K, 1, 1) or (K, T, N) of one unit; ``weights`` (T, N), 0 for what is not evaluated.

    Sums go over ``axis``: 0 for each track, None for the video. A distance counts if it is strictly below the threshold. A point that is
    predicted visible too far off is a false positive and its truth stays a positive, so it is punished twice (TAP-Vid,
    arXiv:2211.03726).
    """
    close = distances[None] < thresholds  # (K, T, N); false for nan
    seen, found = tracks.truth_visible, tracks.found_visible
    over = (1, 2) if axis is None else (1,)
    positives = (seen * weights).sum(axis=axis)
    correct = ((close & seen) * weights).sum(axis=over)
    true_positives = ((close & seen & found) * weights).sum(axis=over)
    false_positives = ((found & (~seen | ~close)) * weights).sum(axis=over)
    with np.errstate(invalid="ignore", divide="ignore"):
        return Ratios(
            within=correct / positives,
            jaccard=true_positives / (positives + false_positives),
            occlusion_accuracy=np.asarray(((seen == found) * weights).sum(axis=axis) / weights.sum(axis=axis)),
        )
