"""The events of a check, and their form in JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trackersplat.checks import findings
from trackersplat.checks.findings import Report
from trackersplat.events import Event


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


def to_json(event: Event) -> dict[str, Any]:
    """A plain dictionary with the event's class name under "event". Raises ValueError if it is no event of a check."""
    match event:
        case Step():
            fields = dataclasses.asdict(event)
        case Checked(report):
            fields = {"report": findings.to_json(report)}
        case _:
            raise ValueError(f"not an event of a check: {event!r}")
    return {"event": type(event).__name__, **fields}


def from_json(data: Mapping[str, Any]) -> Event:
    """The inverse of to_json. Raises ValueError if it is no event of a check."""
    try:
        if data["event"] == "Step":
            return Step(str(data["name"]), int(data["done"]), int(data["total"]))
        if data["event"] == "Checked":
            return Checked(findings.from_json(data["report"]))
    except (KeyError, TypeError) as error:
        raise ValueError(f"not an event: {data!r}") from error
    raise ValueError(f"not an event: {data!r}")
