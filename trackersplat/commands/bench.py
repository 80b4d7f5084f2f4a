"""``trackersplat bench``: measurements with a table and a JSON file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import tyro

from trackersplat.commands.bench_motion import BenchMotion
from trackersplat.commands.bench_speed import BenchSpeed
from trackersplat.commands.bench_trackers import BenchTrackers

What = (
    Annotated[BenchMotion, tyro.conf.subcommand("motion")]
    | Annotated[BenchTrackers, tyro.conf.subcommand("trackers")]
    | Annotated[BenchSpeed, tyro.conf.subcommand("speed")]
)


@dataclass(frozen=True)
class Bench:
    """Measure trackers, what moving Gaussians by tracks is worth, or what a frame costs."""

    what: Annotated[What, tyro.conf.OmitArgPrefixes, tyro.conf.OmitSubcommandPrefixes]

    def run(self) -> None:
        self.what.run()
