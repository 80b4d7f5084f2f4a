"""What a check says while it works."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trackersplat.checks import findings
from trackersplat.checks.findings import Report


@dataclass(frozen=True)
class Step:
    """How far one part of the check is."""

    name: str  # "reading frames", "matching points", "measuring"
    done: int
    total: int


@dataclass(frozen=True)
class Checked:
    """The end: everything that was found."""

    report: Report


CheckEvent = Step | Checked


def to_json(event: CheckEvent) -> dict[str, Any]:
    """A plain dictionary with the event's class name under "event"."""
    fields = {"report": findings.to_json(event.report)} if isinstance(event, Checked) else dataclasses.asdict(event)
    return {"event": type(event).__name__, **fields}


def from_json(data: Mapping[str, Any]) -> CheckEvent:
    """The inverse of to_json. Raises ValueError if it is no event of a check."""
    try:
        if data["event"] == "Step":
            return Step(str(data["name"]), int(data["done"]), int(data["total"]))
        if data["event"] == "Checked":
            return Checked(findings.from_json(data["report"]))
    except (KeyError, TypeError) as error:
        raise ValueError(f"not an event: {data!r}") from error
    raise ValueError(f"not an event: {data!r}")
