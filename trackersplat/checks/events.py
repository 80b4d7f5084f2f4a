"""The events of a check, and their form in JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trackersplat.checks import findings
from trackersplat.checks.findings import Report
from trackersplat.events import Event, PlainEvents


@dataclass(frozen=True)
class Step(Event):
    """How far one part of the check is."""

    name: str  # "reading frames", "matching points", "measuring"
    done: int
    total: int


@dataclass(frozen=True)
class Checked(Event):
    """The last event of a check."""

    report: Report


_STEPS = PlainEvents("a check", Step)


def to_json(event: Event) -> dict[str, Any]:
    """A plain dictionary with the event's class name under "event". Raises ValueError if it is no event of a check."""
    if isinstance(event, Checked):
        return {"event": "Checked", "report": findings.to_json(event.report)}
    return _STEPS.to_json(event)


def from_json(data: Mapping[str, Any]) -> Event:
    """The inverse of to_json. Raises ValueError if it is no event of a check."""
    if data.get("event") != "Checked":
        return _STEPS.from_json(data)
    try:
        return Checked(findings.from_json(data["report"]))
    except (KeyError, TypeError) as error:
        raise ValueError(f"not an event: {data!r}") from error
