"""``trackersplat trackers``: which trackers there are, which work here, and how to get the others."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from typing import Annotated

import tyro

from trackersplat.commands.shown import escape
from trackersplat.tracking.registry import DEFAULT_TRACKER, TRACKERS, licence_remark
from trackersplat.tracking.tracker import TrackerFacts
from trackersplat.tracking.upstream import CLONES_VARIABLE, clones_folder
from trackersplat.tracking.weights import WEIGHTS_VARIABLE, folders


@dataclass(frozen=True)
class TrackerRow:
    """What the command says about one tracker. Nothing of it is imported to know it."""

    name: str
    title: str
    state: str  # ready, package missing, weights missing
    missing: str  # in words; "" if ready
    kind: str  # 2D or 3D, dense or sparse
    devices: str
    time: str  # which frames a position depends on
    code_licence: str
    weights_licence: str  # "" without weights
    non_commercial: bool
    commands: tuple[str, ...]  # that get what is missing


def describe(facts: TrackerFacts) -> TrackerRow:
    """What there is to say about a tracker."""
    code = TRACKERS.code_missing(facts.name)
    weights = TRACKERS.weights_missing(facts.name)
    state = "package missing" if code else "weights missing" if weights else "ready"
    commands = () if facts.upstream is None else facts.upstream.commands()
    if facts.server and not os.environ.get(facts.server):
        commands = (*commands, f"export {facts.server}=http://HOST:PORT  # where its server runs")
    lacking = [file for file in facts.weights if file.missing()]
    return TrackerRow(
        name=facts.name,
        title=facts.title,
        state=state,
        missing="" if state == "ready" else (code or weights or "").partition("; `")[0],
        kind=f"{'3D' if facts.three_d else '2D'} {'dense' if facts.dense else 'sparse'}",
        devices=", ".join("GPU" if device == "cuda" else device.upper() for device in facts.devices),
        time="both ways" if facts.time == "both" else "forward",
        code_licence=facts.licence,
        weights_licence=", ".join(dict.fromkeys(file.licence for file in facts.weights)),
        non_commercial=facts.non_commercial,
        commands=(*commands, *(command for file in lacking for command in file.commands())),
    )


@dataclass(frozen=True)
class Trackers:
    """List all point trackers: which are ready here, where they run, their licences. With NAME: how to get that one. Fetches nothing."""

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")] = ""
    """A tracker: everything about it, and the commands that get its code and weights."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """The same as JSON, for programs."""

    def run(self) -> None:
        rows = [describe(facts) for facts in ([TRACKERS.facts(self.name)] if self.name else TRACKERS)]
        if self.json:
            print(json.dumps([asdict(row) for row in rows], indent=1))
        elif self.name:
            _print_one(rows[0], TRACKERS.facts(self.name))
        else:
            _print_table(rows)


def _print_table(rows: list[TrackerRow]) -> None:
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    headings = ("tracker", "state", "tracks", "runs on", "time", "licence")
    cells = [(row.name, row.state, row.kind, row.devices, row.time, _licence(row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(headings, *cells, strict=True)]

    def line(values: tuple[str, ...]) -> str:
        return "  ".join(value.ljust(width) for value, width in zip(values, widths, strict=True)).rstrip()

    console.print(f"[bold]{line(headings)}[/bold]")
    for row, values in zip(rows, cells, strict=True):
        text = escape(line(values))
        console.print(text if row.state == "ready" else f"[dim]{text}[/dim]")
    console.print(f"The default is {DEFAULT_TRACKER}. How to get another: trackersplat trackers NAME. Nothing is downloaded by itself.")


def _licence(row: TrackerRow) -> str:
    """Of the code and, where they are under another one, of the weights."""
    same = row.weights_licence in ("", row.code_licence)
    return row.code_licence if same else f"{row.code_licence}; weights {row.weights_licence}"


def _print_one(row: TrackerRow, facts: TrackerFacts) -> None:
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)

    def line(label: str, value: str) -> None:
        console.print(f"  {label:<18} {escape(value)}")

    console.print(f"[bold]{escape(row.name)}[/bold]: {escape(row.title)}")
    line("state", row.state + (f": {row.missing}" if row.missing else ""))
    line("tracks", row.kind)
    line("runs on", row.devices)
    line("time", row.time)
    line("licence of code", row.code_licence)
    for file in facts.weights:
        size = f", about {file.size / 1e6:,.0f} MB" if file.size else ""
        line("weights", f"{file.file}{size}, {file.licence}, {file.url}")
    if facts.upstream is not None:
        line("code", f"{facts.upstream.url} at {facts.upstream.commit}")
    if (remark := licence_remark(row.name)) is not None:
        line("note", remark)
    if row.commands:
        console.print("To get what is missing:")
        for command in row.commands:
            console.print(f"  {escape(command)}")
    if facts.upstream is not None:
        console.print(
            f"Clones are looked for in {escape(str(clones_folder()))} (or ${CLONES_VARIABLE}), weights in "
            f"{escape(', '.join(map(str, folders())))} (${WEIGHTS_VARIABLE} comes first)."
        )
