"""The scores of a run as columns: which occur, in which order, under which titles."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from trackersplat.events import FrameDone
from trackersplat.metrics.names import REGIONS, STAGES, ScoreName
from trackersplat.metrics.registry import METRICS


@dataclass(frozen=True)
class Column:
    """One score name, with the facts of its metric."""

    score: str
    title: str  # with the unit
    unit: str
    digits: int

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
    found = (_parse(score) for score in dict.fromkeys(score for done in records for score in done.scores))
    return tuple(_column(name) for name in sorted((name for name in found if name is not None), key=_rank))


def missing(records: Iterable[FrameDone]) -> tuple[str, ...]:
    """A sentence per metric that some frame was not measured by; the newest reason counts."""
    reasons = {metric: why for done in records for metric, why in done.unavailable.items()}
    return tuple(f"{ScoreName(metric).title} not available: {why}" for metric, why in reasons.items())


def _parse(score: str) -> ScoreName | None:
    try:
        name = ScoreName.parse(score)
    except ValueError:
        return None
    return name if name.metric in METRICS else None


def _column(name: ScoreName) -> Column:
    facts = METRICS.facts(name.metric)
    return Column(str(name), name.title, facts.unit, facts.digits)


def _rank(name: ScoreName) -> tuple[int, int, int]:
    return METRICS.names().index(name.metric), ("", *REGIONS).index(name.region), (*STAGES, "").index(name.stage)
