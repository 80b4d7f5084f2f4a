"""The failure score: the probability that a position is wrong, from all evidence about it.

A logistic regression with few parameters. Every piece of evidence is first brought to a scale that no capture sets: pixels are divided by
the distance that counts as wrong and taken logarithmically; evidence without unit is taken as it is, within bounds. Each is centred, and
0 where it is absent. `python -m trackersplat.benchmarks.failure_score` fits the numbers of `ScoreSettings` anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from trackersplat.captures.capture import Capture
from trackersplat.diagnosis.categories import TrackState
from trackersplat.diagnosis.settings import ScoreSettings
from trackersplat.diagnosis.tracked import TrackTable

Evidence = Mapping[str, np.ndarray]
Feature = Callable[[Evidence, np.ndarray, np.ndarray], np.ndarray]  # (evidence, state, wrong distance), (P,) each -> (P,)


def failure_score(evidence: Evidence, state: np.ndarray, table: TrackTable, capture: Capture, settings: ScoreSettings) -> np.ndarray:
    """(F, P) float32 in [0, 1]; nan where a track is absent, 0 in the frame in which it begins."""
    wrong = wrong_distance(table, capture, settings)
    weights = np.array(settings.weights)
    result = np.full(state.shape, np.nan, np.float32)
    begun = np.zeros(state.shape[1], bool)
    for row in range(len(state)):  # frame by frame, for memory
        here = state[row] != TrackState.ABSENT
        values = features({name: piece[row] for name, piece in evidence.items()}, state[row], wrong, settings)
        score = 1.0 / (1.0 + np.exp(-np.clip(settings.bias + values @ weights, -30.0, 30.0)))
        result[row] = np.where(here, np.where(begun, score, 0.0), np.nan)
        begun |= here
    return result


def wrong_distance(table: TrackTable, capture: Capture, settings: ScoreSettings) -> np.ndarray:
    """(P,) px from the truth at which a position counts as wrong."""
    cameras = [capture.cameras[capture.camera_index(name)] for name in table.cameras]
    longest = np.array([max(camera.width, camera.height) for camera in cameras], np.float64)
    return settings.wrong_share * longest[table.camera]


def features(evidence: Evidence, state: np.ndarray, wrong: np.ndarray, settings: ScoreSettings) -> np.ndarray:
    """(P, K) float64: what the regression sees, in the order of ``settings.features``."""
    raw = raw_features(evidence, state, wrong, settings.features)
    return np.nan_to_num(raw - np.array(settings.centres))


def raw_features(evidence: Evidence, state: np.ndarray, wrong: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """(P, K) float64 before they are centred; nan where there is no evidence."""
    columns = [FEATURES[name](evidence, state, wrong) for name in names]
    return np.stack(columns, axis=1).astype(np.float64) if columns else np.zeros((len(wrong), 0))


def _distance(*names: str) -> Feature:
    """Of a piece of evidence in pixels: the logarithm of its share of the wrong distance. Of several: of the smallest there is."""

    def feature(evidence: Evidence, state: np.ndarray, wrong: np.ndarray) -> np.ndarray:
        values = np.stack([evidence[name] for name in names])
        known = np.isfinite(values).any(0)
        least = np.where(known, np.where(np.isfinite(values), values, np.inf).min(0), np.nan)
        logarithm: np.ndarray = np.log(np.minimum(least / wrong, 30.0) + 0.03)
        return logarithm

    return feature


def _unlike(name: str) -> Feature:
    """Of a correlation: the logarithm of what it lacks to 1."""

    def feature(evidence: Evidence, state: np.ndarray, wrong: np.ndarray) -> np.ndarray:
        logarithm: np.ndarray = np.log(1.0 - np.clip(evidence[name], -1.0, 1.0) + 0.02)
        return logarithm

    return feature


def _logarithm(name: str, least: float, sign: float = 1.0) -> Feature:
    def feature(evidence: Evidence, state: np.ndarray, wrong: np.ndarray) -> np.ndarray:
        logarithm: np.ndarray = sign * np.log(np.maximum(evidence[name], 0.0) + least)
        return logarithm

    return feature


# All grow with what speaks against a position, so that no weight is negative.
FEATURES: dict[str, Feature] = {
    "step": _distance("forward_backward"),
    "loop": _distance("loop"),
    "other_views": _distance("leave_one_out"),
    "all_views": _distance("reprojection"),
    "rendered": _distance("rendered_gap"),
    "nearest": _distance("leave_one_out", "rendered_gap"),  # what every reference contradicts, the tracker got wrong
    "picture": _distance("render_offset"),
    "unlike_previous": _unlike("ncc_previous"),
    "unlike_query": _unlike("ncc_query"),
    "covered": lambda evidence, state, wrong: np.maximum(evidence["visibility_conflict"], 0.0),
    "distrust": lambda evidence, state, wrong: evidence["distrust"],
    "hidden": lambda evidence, state, wrong: (state == TrackState.HIDDEN).astype(np.float64),
    "speed": _distance("speed"),
    "stretch": _logarithm("stretch", 0.02),
    "few_views": _logarithm("views", 1.0, -1.0),
    "plain": _logarithm("texture", 1.0, -1.0),
}
