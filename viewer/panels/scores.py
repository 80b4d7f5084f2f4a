"""The scores of a run as columns: which occur, in which order, under which titles."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from trackersplat.metrics.names import ScoreName
from trackersplat.metrics.registry import METRICS

from trackersplat.events import FrameDone


@dataclass(frozen=True)
class Column:
    """One score name, with the facts of its metric."""

    score: str
    title: str
    unit: str
    digits: int

    @property
    def label(self) -> str:
        """Title and unit."""
        return f"{self.title}, {self.unit}" if self.unit else self.title

    def value(self, done: FrameDone) -> float | None:
        """None where the frame was not measured so."""
        value = done.scores.get(self.score)
        return None if value is None or math.isnan(value) else value

    def cell(self, done: FrameDone) -> str:
        value = self.value(done)
        return "–" if value is None else f"{value:.{self.digits}f}"


def columns(records: Iterable[FrameDone]) -> tuple[Column, ...]:
    """Of every score that occurs: metrics as registered; of each first whole images, and before moving first.

    Scores of metrics that this version does not know are left out.
    """
    known = METRICS.names()
    found = {score: ScoreName.parse(score) for done in records for score in done.scores}
    named = {score: name for score, name in found.items() if name.metric in known}
    order = sorted(named, key=lambda score: (known.index(named[score].metric), *_rank(score)))
    return tuple(_column(score, named[score]) for score in order)


def missing(records: Iterable[FrameDone]) -> tuple[str, ...]:
    """A sentence per metric that some frame was not measured by; the newest reason counts."""
    reasons = {metric: why for done in records for metric, why in done.unavailable.items()}
    return tuple(f"{METRICS.facts(metric).title if metric in METRICS else metric} not available: {why}" for metric, why in reasons.items())


def _column(score: str, name: ScoreName) -> Column:
    facts = METRICS.facts(name.metric)
    return Column(score, name.title, facts.unit, facts.digits)


def _rank(score: str) -> tuple[int, int]:
    """Whole images, masked, dynamic pixels; of each the unmoved base, the moved one, the finished frame."""
    region = 1 if "masked_" in score else 2 if "dynamic_" in score else 0
    stage = 0 if score.startswith("unmoved_") else 1 if score.startswith("moved_") else 2
    return region, stage
