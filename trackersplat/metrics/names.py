"""Names of scores: ``[unmoved_|moved_][masked_|dynamic_]<metric>``."""

from __future__ import annotations

from dataclasses import dataclass

from trackersplat.metrics.registry import METRICS

STAGES = ("unmoved", "moved")  # the base frame as it is; moved by tracks, before optimisation
REGIONS = ("masked", "dynamic")  # pixels of the capture's mask; those that differ from the base frame (see metrics.dynamic)


@dataclass(frozen=True)
class ScoreName:
    """What a score is a score of."""

    metric: str  # a name of METRICS, or of a registry that had more in it
    region: str = ""  # one of REGIONS, "" is all pixels
    stage: str = ""  # one of STAGES, "" is the finished frame

    @staticmethod
    def parse(text: str) -> ScoreName:
        """The inverse of ``str``. Raises ValueError if there is no metric in it."""
        rest, found = text, []
        for prefixes in (STAGES, REGIONS):
            prefix = next((prefix for prefix in prefixes if rest.startswith(f"{prefix}_")), "")
            rest = rest[len(prefix) + 1 :] if prefix else rest
            found.append(prefix)
        if not rest:
            raise ValueError(f"not the name of a score: {text!r}")
        stage, region = found
        return ScoreName(rest, region, stage)

    def __str__(self) -> str:
        return "_".join(part for part in (self.stage, self.region, self.metric) if part)

    @property
    def title(self) -> str:
        """Heading of a column, such as "PSNR dynamic, unmoved (dB)"."""
        label, unit = self.metric, ""
        if self.metric in METRICS:
            facts = METRICS.facts(self.metric)
            label, unit = facts.label or self.metric, facts.unit
        text = f"{label} {self.region}" if self.region else label
        text = f"{text}, {self.stage}" if self.stage else text
        return f"{text} ({unit})" if unit else text
