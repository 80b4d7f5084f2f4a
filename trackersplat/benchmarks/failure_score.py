"""How well the failure score tells wrong positions from right ones, next to each piece of evidence alone; and fits it anew.

    python -m trackersplat.benchmarks.failure_score --fit RUN:CAPTURE ... --test RUN:CAPTURE ...

Needs captures with exact tracks from their first frame (``gt/flow_*.npz``), and runs of them. Scored are the run's own tracks and tracks
that the tracker made alone from frame to frame, both from the first frame on, in the frames of the exact tracks. Prints the settings that
fit the captures after ``--fit`` best, and with them a table for every capture.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize

from trackersplat.captures.capture import Capture
from trackersplat.captures.registry import open_capture
from trackersplat.diagnosis.chain import chained_tracks
from trackersplat.diagnosis.diagnose import diagnose_tracks
from trackersplat.diagnosis.diagnosis import Diagnosis, DiagnosisDone
from trackersplat.diagnosis.fields import sample_tracks
from trackersplat.diagnosis.registry import EVIDENCE
from trackersplat.diagnosis.score import features, raw_features, wrong_distance
from trackersplat.diagnosis.settings import DiagnosisSettings, ScoreSettings
from trackersplat.diagnosis.tracked import TrackTable
from trackersplat.jobs.diagnose import scene_of
from trackersplat.jobs.run_tracks import run_tracks
from trackersplat.rendering.registry import choose_rasterizer
from trackersplat.store.run import Run
from trackersplat.tracking.sources import reachable_targets, track_source
from trackersplat.tracking.tracks import DenseTracks

RIDGE = 1.0  # of the squared weights of standardised features, against the summed log-likelihood
BINS = 10  # of the expected calibration error
CHOSEN = (
    "step", "loop", "other_views", "rendered", "nearest", "picture", "unlike_previous", "unlike_query", "covered", "distrust", "hidden",
    "speed", "stretch", "few_views", "plain",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Observed:
    """N positions with a known truth."""

    name: str
    evidence: dict[str, np.ndarray]  # (N,) each
    state: np.ndarray  # (N,)
    limit: np.ndarray  # (N,) px from which a position is wrong
    error: np.ndarray  # (N,) px from the truth
    chained: np.ndarray  # (N,) bool: of the tracker's own tracks

    @property
    def wrong(self) -> np.ndarray:
        return self.error > self.limit

    def part(self, chosen: np.ndarray, name: str) -> Observed:
        evidence = {key: values[chosen] for key, values in self.evidence.items()}
        return Observed(name, evidence, self.state[chosen], self.limit[chosen], self.error[chosen], self.chained[chosen])


def area_under_roc(score: np.ndarray, wrong: np.ndarray) -> float:
    """Probability that a wrong position has the higher score than a right one; ties count half. nan without both."""
    from scipy.stats import rankdata

    bad = int(wrong.sum())
    if bad in (0, len(wrong)):
        return float("nan")
    ranks = rankdata(score)
    return float((ranks[wrong].sum() - bad * (bad + 1) / 2) / (bad * (len(wrong) - bad)))


def average_precision(score: np.ndarray, wrong: np.ndarray) -> float:
    """Mean over the wrong positions of the precision at their score, ties taken together. nan without any."""
    if not wrong.any():
        return float("nan")
    order = np.argsort(-score, kind="stable")
    last = np.r_[np.flatnonzero(np.diff(score[order])), len(score) - 1]  # of each run of equal scores
    hits = np.cumsum(wrong[order])[last]
    gained = np.diff(hits, prepend=0)
    return float((gained * hits / (last + 1)).sum() / wrong.sum())


def calibration_error(score: np.ndarray, wrong: np.ndarray, bins: int = BINS) -> float:
    """Expected calibration error: mean of |mean score - share of wrong| over bins of the score, weighted by their positions."""
    index = np.minimum((score * bins).astype(int), bins - 1)
    total = 0.0
    for b in range(bins):
        inside = index == b
        if inside.any():
            total += float(abs(score[inside].mean() - wrong[inside].mean())) * float(inside.mean())
    return total


def fit_score(parts: Sequence[Observed], names: tuple[str, ...] = CHOSEN, ridge: float = RIDGE) -> ScoreSettings:
    """Logistic regression with weights that are not negative: no piece of evidence can speak for what it should speak against."""
    raw = np.concatenate([raw_features(part.evidence, part.state, part.limit, names) for part in parts])
    wrong = np.concatenate([part.wrong for part in parts]).astype(np.float64)
    centres = np.nanmedian(raw, axis=0)
    values = np.nan_to_num(raw - centres)
    spread = values.std(0).clip(1e-6)

    def loss(x: np.ndarray) -> tuple[float, np.ndarray]:
        logit = x[0] + (values / spread) @ x[1:]
        residual = 1.0 / (1.0 + np.exp(-logit)) - wrong
        slope = np.r_[residual.sum(), (values / spread).T @ residual + ridge * x[1:]]
        return float((np.logaddexp(0.0, logit) - wrong * logit).sum() + 0.5 * ridge * (x[1:] ** 2).sum()), slope

    bounds = [(None, None), *[(0.0, None)] * len(names)]
    found = minimize(loss, np.zeros(len(names) + 1), jac=True, method="L-BFGS-B", bounds=bounds).x
    rounded = (tuple(round(float(v), 4) for v in part) for part in (centres, found[1:] / spread))
    kept, weights = rounded
    used = [i for i, weight in enumerate(weights) if weight > 0]
    return replace(
        ScoreSettings(),
        features=tuple(names[i] for i in used),
        centres=tuple(kept[i] for i in used),
        weights=tuple(weights[i] for i in used),
        bias=round(float(found[0]), 4),
    )


def scores(part: Observed, settings: ScoreSettings) -> np.ndarray:
    """(N,) in [0, 1]."""
    values = features(part.evidence, part.state, part.limit, settings)
    score: np.ndarray = 1.0 / (1.0 + np.exp(-(settings.bias + values @ np.array(settings.weights))))
    return score


def observe(run: Run, capture: Capture, settings: DiagnosisSettings) -> Observed:
    """Diagnoses the tracks from the first frame on, and compares them with the exact ones."""
    rasterizer = choose_rasterizer()
    table = run_tracks(run, run.frames())
    cameras = [capture.camera_index(name) for name in table.cameras]
    both = joined(table, chained_tracks(capture, cameras, table.frames, rasterizer.device, settings))
    diagnosis: Diagnosis | None = None
    for event in diagnose_tracks(both, scene_of(run, capture), rasterizer, settings):
        if isinstance(event, DiagnosisDone):
            diagnosis = event.diagnosis
    assert diagnosis is not None
    return compare(run.name, both, diagnosis, capture, settings, len(table))


def joined(own: TrackTable, chained: TrackTable) -> TrackTable:
    """Both in one table: the evidence needs one walk through the frames."""
    arrays: dict[str, Any] = {
        name: np.concatenate((getattr(own, name), getattr(chained, name)), axis=axis)
        for name, axis in (("camera", 0), ("query", 0), ("positions", 1), ("visibility", 1), ("confidence", 1), ("ends", 1))
    }
    return TrackTable(own.cameras, own.frames, ids=np.arange(len(own) + len(chained)), source="both", **arrays)


def compare(name: str, table: TrackTable, diagnosis: Diagnosis, capture: Capture, settings: DiagnosisSettings, own: int) -> Observed:
    """The positions with a truth, but those of the first frame, which are true by definition."""
    cameras = [capture.camera_index(camera) for camera in table.cameras]
    first = table.frames[0]
    targets = [target for target in reachable_targets("exact", capture, cameras, first) if target in table.frames]
    truth = np.full(table.positions.shape, np.nan)
    starts = np.flatnonzero(table.query[:, 0] == first)
    for camera, dense in track_source("exact", capture, torch.device("cpu"))(cameras, first, targets):
        chosen = starts[table.camera[starts] == cameras.index(camera)]
        for target in targets:
            moved, valid = sample_tracks(certain(dense.only([target])), torch.from_numpy(table.query[chosen, 1:]))
            row = table.frames.index(target)
            truth[row, chosen] = np.where((valid.numpy() > 0.99)[:, None], moved.numpy(), np.nan)
    error = np.linalg.norm(diagnosis.position - truth, axis=2)
    where = np.isfinite(error)
    limit = np.broadcast_to(wrong_distance(table, capture, settings.score), error.shape)
    chained = np.broadcast_to(np.arange(len(table)) >= own, error.shape)
    evidence = {piece: values[where].astype(np.float64) for piece, values in diagnosis.evidence.items()}
    return Observed(name, evidence, diagnosis.state[where], limit[where], error[where], chained[where])


def certain(dense: DenseTracks) -> DenseTracks:
    """Exact tracks with visibility 1: the position of a hidden point is as exact."""
    return replace(dense, visibility=torch.ones_like(dense.visibility))


def table(part: Observed, settings: ScoreSettings) -> str:
    """The score, then every piece of evidence alone, in the direction that speaks against a position."""
    score, wrong = scores(part, settings), part.wrong
    head = f"{part.name}: {len(wrong):,} positions, {int(wrong.sum()):,} wrong ({wrong.mean():.1%})"
    lines = [head, f"{'':42}{'AUROC':>8}{'AP':>8}{'ECE':>8}{'known':>8}"]

    def row(title: str, values: np.ndarray, known: np.ndarray, calibrated: bool) -> str:
        error = f"{calibration_error(values, wrong):8.3f}" if calibrated else f"{'-':>8}"
        return f"{title:42}{area_under_roc(values, wrong):8.3f}{average_precision(values, wrong):8.3f}{error}{known.mean():8.0%}"

    lines.append(row("failure score", score, np.isfinite(score), True))
    for facts in EVIDENCE:
        values = part.evidence[facts.name] * (-1.0 if facts.direction == "low" else 1.0)
        known = np.isfinite(values)
        if known.any():
            lines.append(row(facts.title, np.where(known, values, np.median(values[known])), known, False))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--fit", nargs="+", default=[], metavar="RUN:CAPTURE", help="fit the score to these; default: take the settings")
    parser.add_argument("--test", nargs="+", default=[], metavar="RUN:CAPTURE", help="only measure on these")
    arguments = parser.parse_args()

    def observed(pairs: list[str]) -> list[Observed]:
        found = []
        for pair in pairs:
            run, _, capture = pair.partition(":")
            found.append(observe(Run.open(Path(run)), open_capture(capture), DiagnosisSettings()))
        return found

    fitted, tested = observed(arguments.fit), observed(arguments.test)
    settings = fit_score(fitted) if fitted else ScoreSettings()
    if fitted:
        print(settings, "\n")
    for part in (*fitted, *tested):
        print(table(part, settings), "\n")
        for chained, title in ((False, "the run's own tracks"), (True, "tracks from frame to frame")):
            chosen = part.chained == chained
            print(*table(part.part(chosen, f"{part.name}, {title}"), settings).splitlines()[:3], "", sep="\n")


if __name__ == "__main__":
    main()
