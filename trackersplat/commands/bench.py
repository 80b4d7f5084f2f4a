"""``trackersplat bench``: measurements with a table and a JSON file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import tyro

from trackersplat.commands.bench_motion import BenchMotion
from trackersplat.commands.bench_trackers import BenchTrackers

What = Annotated[BenchMotion, tyro.conf.subcommand("motion")] | Annotated[BenchTrackers, tyro.conf.subcommand("trackers")]


@dataclass(frozen=True)
class Bench:
    """Measure trackers, or what moving Gaussians by tracks is worth."""

    what: Annotated[What, tyro.conf.OmitArgPrefixes, tyro.conf.OmitSubcommandPrefixes]

    def run(self) -> None:
        self.what.run()
