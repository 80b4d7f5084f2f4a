"""Why a track fails: rules over the evidence, from the plainest reason to the vaguest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from trackersplat.captures.capture import Capture
from trackersplat.diagnosis.categories import Category, TrackState
from trackersplat.diagnosis.diagnosis import CameraFinding
from trackersplat.diagnosis.score import wrong_distance
from trackersplat.diagnosis.settings import DiagnosisSettings
from trackersplat.diagnosis.tracked import TrackTable
from trackersplat.tracking.tracks import TrackEnd

_OF_END = {
    TrackEnd.LEFT_IMAGE: Category.LEFT_IMAGE,
    TrackEnd.OCCLUDED: Category.OCCLUSION,
    TrackEnd.CROSSED_MASK: Category.IDENTITY_SWAP,
    TrackEnd.REPLACED: Category.GEOMETRY,
}


def categorise(
    evidence: Mapping[str, np.ndarray],
    score: np.ndarray,  # (F, P)
    state: np.ndarray,  # (F, P)
    table: TrackTable,
    capture: Capture,
    found: Sequence[CameraFinding],
    settings: DiagnosisSettings,
) -> np.ndarray:
    """(F, P) uint8, a Category.

    A position with a high score has one; so has a good one that the Gaussians contradict, and a track that ends. What goes wrong and stays
    wrong keeps the reason of the frame in which it went wrong, unless a plainer one comes.
    """
    wrong = wrong_distance(table, capture, settings.score)
    longest = wrong / settings.score.wrong_share
    bad_cameras = np.isin(table.camera, [table.cameras.index(finding.camera) for finding in found])
    result = np.zeros(score.shape, np.uint8)
    gap_before = np.full(score.shape[1], np.nan)
    for row in range(len(score)):
        now = {name: piece[row].astype(np.float64) for name, piece in evidence.items()}
        reason, fails = _reasons(now, score[row], gap_before, wrong, longest, bad_cameras, settings)
        if row:
            goes_on = (reason == Category.DRIFT) & (result[row - 1] != Category.NONE)
            reason = np.where(goes_on, result[row - 1], reason)
        end = table.ends[row]
        for kind, category in _OF_END.items():
            reason = np.where(end == kind, category, reason)
        fails |= np.isin(end, list(_OF_END))
        result[row] = np.where(fails & (state[row] != TrackState.ABSENT), reason, Category.NONE)
        gap_before = now["rendered_gap"]
    return result


def _reasons(
    now: Mapping[str, np.ndarray],
    score: np.ndarray,
    gap_before: np.ndarray,
    wrong: np.ndarray,
    longest: np.ndarray,
    bad_cameras: np.ndarray,
    settings: DiagnosisSettings,
) -> tuple[np.ndarray, np.ndarray]:
    """Of one frame, (P,): the category it would have, and whether it has one. Comparisons with nan are false."""
    rules = settings.category
    agrees = now["leave_one_out"] <= rules.agrees * wrong
    geometry = agrees & (now["rendered_gap"] >= wrong)
    fails = (score >= rules.least_score) | geometry
    jumped = (now["rendered_gap"] - gap_before >= wrong) | (now["forward_backward"] >= wrong)
    rows = (
        (Category.LEFT_IMAGE, now["image_border"] < 0),
        (Category.BAD_CAMERA, bad_cameras),
        (Category.GEOMETRY, geometry),
        (Category.OCCLUSION, np.abs(now["visibility_conflict"]) >= rules.covered),
        (Category.TOO_FAST, jumped & (now["speed"] >= rules.fast_share * longest)),
        (Category.TEXTURELESS, now["texture"] < rules.texture),
        (Category.IDENTITY_SWAP, jumped),
        (Category.FEW_VIEWS, (now["views"] < rules.least_views) | (now["parallax"] < rules.least_parallax)),
    )
    reason = np.select([condition for _, condition in rows], [int(category) for category, _ in rows], int(Category.DRIFT))
    return reason, fails
