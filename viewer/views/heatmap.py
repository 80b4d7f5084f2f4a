"""Evidence by camera and time: a bad camera is a stripe."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from trackersplat.diagnosis.categories import TrackState
from trackersplat.diagnosis.diagnosis import Diagnosis
from trackersplat.diagnosis.registry import EVIDENCE

# What can be shown: pieces of evidence in pixels, and the failure score.
MEASURES = ("reprojection", "leave_one_out", "rendered_gap", "render_offset", "forward_backward", "score")
SCORE_TITLE = "failure score"
WORST_SHARE = 0.05  # of the tracks of a camera and frame that are left out: a few that failed make no stripe
LEAST_SCALE = 1e-3  # of a scale that would be empty otherwise


@dataclass(frozen=True, eq=False)
class HeatMap:
    """C cameras over F frames."""

    title: str
    unit: str
    cameras: tuple[str, ...]
    frames: tuple[int, ...]
    values: np.ndarray  # (C, F) float32, means over the tracks that claim to be seen, without the worst; nan where there is none
    counts: np.ndarray  # (C, F) int32 tracks
    high: float  # end of the scale, which begins at 0


def camera_time(diagnosis: Diagnosis, measure: str) -> HeatMap:
    """The mean of a measure over the visible tracks of each camera in each frame, the worst 5 % of them left out.

    A camera that is wrong is so for all its tracks, and one that is out of step for all that move; the failures of single tracks, which
    can be as large as the image, are in the table. Raises KeyError if there is no such evidence in the diagnosis.
    """
    if measure == "score":
        source, title, unit = diagnosis.score, SCORE_TITLE, ""
    else:
        facts = EVIDENCE.facts(measure)
        source, title, unit = diagnosis.evidence[measure], facts.title, facts.unit
    known = np.isfinite(source) & (diagnosis.state == TrackState.VISIBLE)
    ranked = np.where(known, source, np.inf)
    shape = (len(diagnosis.cameras), len(diagnosis.frames))
    sums, counts, kept = np.zeros(shape, np.float64), np.zeros(shape, np.int32), np.zeros(shape, np.int32)
    for camera in range(shape[0]):
        own = diagnosis.camera == camera
        counts[camera] = known[:, own].sum(1)
        kept[camera] = counts[camera] - (WORST_SHARE * counts[camera]).astype(np.int32)
        column = np.arange(int(own.sum()))
        sums[camera] = np.where(column < kept[camera][:, None], np.sort(ranked[:, own], axis=1), 0.0).sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        values = np.where(kept > 0, sums / kept, np.nan).astype(np.float32)
    return HeatMap(title, unit, diagnosis.cameras, diagnosis.frames, values, counts, 1.0 if measure == "score" else scale(values))


def available(diagnosis: Diagnosis) -> dict[str, str]:
    """Name -> title of the measures that say something about this run."""
    found = {
        name: EVIDENCE.facts(name).title
        for name in MEASURES
        if name != "score" and name in diagnosis.evidence and bool(np.isfinite(diagnosis.evidence[name]).any())
    }
    return found | {"score": SCORE_TITLE}


def scale(values: np.ndarray) -> float:
    """The end of a scale from 0: the value that only one in fifty is above, rounded up to 1, 2 or 5 times a power of ten."""
    known = values[np.isfinite(values)]
    if not len(known):
        return 1.0
    high = max(float(np.quantile(known, 0.98)), LEAST_SCALE)
    power = 10.0 ** math.floor(math.log10(high))
    return next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if high <= factor * power * (1 + 1e-6))
