"""TAP-Vid (arXiv:2211.03726): 2D tracks in images of 256 x 256 px, pooled over all points of a video."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from trackersplat.errors import ShapeError
from trackersplat.metrics.tracks.compared import ComparedTracks, TrackScores, missing_share
from trackersplat.metrics.tracks.jaccard import count

THRESHOLDS_PX = (1, 2, 4, 8, 16)


@dataclass(frozen=True)
class TapVid:
    """``first``: frames after the query count; ``strided``: all but the frame of the query. Positions are scaled by `to_raster`."""

    mode: Literal["first", "strided"] = "first"

    @property
    def label(self) -> str:
        return f"TAP-Vid (query {self.mode}, 256 x 256)"

    def scores(self, tracks: ComparedTracks) -> TrackScores:
        """AJ, delta_avg and OA of one video in percent. Raises ShapeError if the tracks are not 2D."""
        if tracks.truth.shape[2] != 2:
            raise ShapeError("TAP-Vid measures 2D tracks.")
        missing, tracks = missing_share(tracks), tracks.held()
        frame = np.arange(len(tracks.truth))[:, None]
        evaluated = frame > tracks.query_frames if self.mode == "first" else frame != tracks.query_frames
        distances = np.linalg.norm(tracks.found - tracks.truth, axis=-1)
        ratios = count(tracks, distances, np.array(THRESHOLDS_PX, float)[:, None, None], evaluated, axis=None)
        values = {
            "AJ": float(ratios.jaccard.mean()),
            "delta_avg": float(ratios.within.mean()),
            "OA": float(ratios.occlusion_accuracy),
            **{f"delta_{k}": float(share) for k, share in zip(THRESHOLDS_PX, ratios.within, strict=True)},
            **{f"J_{k}": float(share) for k, share in zip(THRESHOLDS_PX, ratios.jaccard, strict=True)},
        }
        return TrackScores(
            self.label, {name: 100 * value for name, value in values.items()}, dict.fromkeys(values, "%"), len(tracks), missing
        )


def strided() -> TapVid:
    return TapVid("strided")
