"""``trackersplat bench``: measurements with a table and a JSON file, one module for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import tyro

from trackersplat.commands.bench_motion import BenchMotion
from trackersplat.commands.bench_speed import BenchSpeed


@dataclass(frozen=True)
class Bench:
    """Measure what moving Gaussians by tracks is worth, or what a frame costs."""

    what: tyro.conf.OmitSubcommandPrefixes[
        Annotated[BenchMotion, tyro.conf.subcommand("motion")] | Annotated[BenchSpeed, tyro.conf.subcommand("speed")]
    ]

    def run(self) -> None:
        self.what.run()
