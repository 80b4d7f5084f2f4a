from __future__ import annotations

import numpy as np
import pytest

from trackersplat.benchmarks.failure_score import Observed, area_under_roc, average_precision, calibration_error, fit_score, scores
from trackersplat.diagnosis.categories import TrackState
from trackersplat.diagnosis.registry import EVIDENCE
from trackersplat.diagnosis.score import FEATURES, features
from trackersplat.diagnosis.settings import ScoreSettings

SETTINGS = ScoreSettings()
NUMBER = 2000


def made(seed: int = 0, limit: float = 4.0) -> Observed:
    """Errors from far below to far above the limit, and evidence that follows them with noise; some of it is missing."""
    random = np.random.default_rng(seed)
    error = limit * np.exp(random.normal(-1.5, 1.5, NUMBER))
    evidence = {facts.name: random.random(NUMBER) for facts in EVIDENCE}
    for name in ("rendered_gap", "leave_one_out", "loop"):
        evidence[name] = error * np.exp(random.normal(0, 0.4, NUMBER))
    evidence["leave_one_out"][::7] = np.nan
    state = np.full(NUMBER, TrackState.VISIBLE)
    return Observed("made", evidence, state, np.full(NUMBER, limit), error, np.zeros(NUMBER, bool))


def test_a_picture_of_twice_the_size_has_the_same_features() -> None:
    one = made()
    pixels = {facts.name for facts in EVIDENCE if facts.unit.startswith("px")}
    twice = {name: values * (2.0 if name in pixels else 1.0) for name, values in one.evidence.items()}
    every = ScoreSettings(features=tuple(FEATURES), centres=(0.0,) * len(FEATURES), weights=(1.0,) * len(FEATURES))
    assert features(twice, one.state, 2 * one.limit, every) == pytest.approx(features(one.evidence, one.state, one.limit, every))


def test_no_feature_reads_lengths_in_scene_units() -> None:
    one = made()
    scaled = {name: values * (1000.0 if name.startswith("world_") else 1.0) for name, values in one.evidence.items()}
    every = ScoreSettings(features=tuple(FEATURES), centres=(0.0,) * len(FEATURES), weights=(1.0,) * len(FEATURES))
    assert np.array_equal(features(scaled, one.state, one.limit, every), features(one.evidence, one.state, one.limit, every))


def test_the_settings_name_known_features_and_let_none_speak_for_a_position_that_it_should_speak_against() -> None:
    assert set(SETTINGS.features) <= set(FEATURES)
    assert len(SETTINGS.features) == len(SETTINGS.centres) == len(SETTINGS.weights)
    assert min(SETTINGS.weights) > 0


def test_more_distance_never_lowers_the_score_and_missing_evidence_gives_a_number() -> None:
    one = made()
    farther = {name: values * (3.0 if name in ("rendered_gap", "leave_one_out") else 1.0) for name, values in one.evidence.items()}
    more = Observed("more", farther, one.state, one.limit, one.error, one.chained)
    assert (scores(more, SETTINGS) >= scores(one, SETTINGS) - 1e-12).all()
    nothing = Observed("", {name: np.full(NUMBER, np.nan) for name in one.evidence}, one.state, one.limit, one.error, one.chained)
    assert np.isfinite(scores(nothing, SETTINGS)).all()


def test_a_fit_separates_and_is_calibrated_also_on_other_data() -> None:
    fitted = fit_score([made(0)])
    other = made(1, limit=16.0)
    score = scores(other, fitted)
    assert area_under_roc(score, other.wrong) > 0.97
    assert calibration_error(score, other.wrong) < 0.03
    assert min(fitted.weights) > 0


def test_the_area_under_the_curve_is_the_share_of_pairs_in_the_right_order() -> None:
    random = np.random.default_rng(3)
    score, wrong = random.integers(0, 6, 60).astype(float), random.random(60) < 0.3
    pairs = [(a > b) + 0.5 * (a == b) for a in score[wrong] for b in score[~wrong]]
    assert area_under_roc(score, wrong) == pytest.approx(np.mean(pairs))
    assert np.isnan(area_under_roc(score, np.zeros(60, bool)))


def test_the_average_precision_of_a_known_order() -> None:
    # Wrong at ranks 1, 3 and 4 of 5: precisions 1, 2/3, 3/4.
    assert average_precision(np.array([5.0, 4, 3, 2, 1]), np.array([True, False, True, True, False])) == pytest.approx(
        (1 + 2 / 3 + 3 / 4) / 3
    )
    assert average_precision(np.ones(4), np.array([True, False, False, False])) == pytest.approx(0.25)


def test_the_calibration_error_of_known_bins() -> None:
    score, wrong = np.array([0.05] * 10 + [0.95] * 10), np.array([True] + [False] * 9 + [True] * 10)
    assert calibration_error(score, wrong) == pytest.approx(0.5 * 0.05 + 0.5 * 0.05)
