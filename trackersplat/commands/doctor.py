"""``trackersplat doctor``: what works on this machine, and what is missing."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import tyro

from trackersplat.commands.shown import escape
from trackersplat.errors import InputError

if TYPE_CHECKING:
    from trackersplat.commands.machine import Machine


@dataclass(frozen=True)
class Doctor:
    """Say what this machine has and what works here. Exit code 0 if the bundled demo can be reconstructed, else 2."""

    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Everything as one JSON object, for programs."""

    def run(self) -> None:
        from trackersplat.commands.machine import examine

        machine = examine()
        if self.json:
            print(json.dumps(asdict(machine), indent=1))
        else:
            print_machine(machine)
        if machine.problems:
            raise InputError(f"The demo cannot be reconstructed here: {machine.problems[0]}")


def print_machine(machine: Machine) -> None:
    """For people."""
    from rich.console import Console

    from trackersplat.commands.machine import LITTLE_SPACE

    console = Console(highlight=False, soft_wrap=True)

    def line(label: str, value: str) -> None:
        console.print(f"  {escape(label):<26} {value}")

    def works(problem: str | None, note: str) -> str:
        if problem is not None:
            return f"[yellow]no[/yellow]: {escape(problem)}"
        return "[green]works[/green]" + escape(f" ({note})" if note else "")

    console.print(f"[bold]TrackerSplat {escape(machine.trackersplat)}[/bold]")
    line("Python", escape(machine.python))
    line("system", escape(f"{machine.system}, {machine.cores} cores"))
    built = "without CUDA" if machine.cuda is None else f"for CUDA {machine.cuda}"
    line("GPU", escape(", ".join(machine.gpus) or "none that torch sees") + f" (torch is built {built})")
    for package in machine.packages:
        missing = "[red]missing[/red]" if not package.purpose else escape(f"not installed; for {package.purpose}: {package.install}")
        line(package.name, escape(package.version) if package.version else missing)
    console.print("[bold]Rasterisers[/bold]")
    for part in machine.rasterisers:
        line(f"{part.name} ({part.licence})", works(part.problem, part.note))
    console.print("[bold]Trackers[/bold]")
    for part in machine.trackers:
        if part.problem is None:
            line(part.name, works(None, part.note) + escape(f" - {part.title}, {part.licence}"))
    if lacking := sum(part.problem is not None for part in machine.trackers):
        line(f"{lacking} more", "need code or weights: `trackersplat trackers` says how to get them")
    console.print("[bold]Metrics[/bold]")
    for part in machine.metrics:
        line(part.name, works(part.problem, part.note) + escape(f" - {part.title}, {part.licence}"))
    console.print("[bold]Preparation[/bold]")
    line(machine.preparation.name, works(machine.preparation.problem, machine.preparation.note))
    for part in machine.initialisers:
        line(f"prepare --points {part.name}", works(part.problem, part.note) + escape(f" - {part.licence}"))
    console.print("[bold]Folders[/bold]")
    for folder in machine.folders:
        state = f"{folder.free / 2**30:.1f} GiB free"
        state = state if folder.free >= LITTLE_SPACE else f"[yellow]only {state}[/yellow]"
        line(folder.purpose, escape(folder.path) + f", {state if folder.writable else '[yellow]cannot be written[/yellow]'}")
    for problem in machine.problems:
        console.print(f"[red]problem:[/red] {escape(problem)}")
    if not machine.problems:
        console.print("The demo can be reconstructed: trackersplat reconstruct demo")
