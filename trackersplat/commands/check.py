"""``trackersplat check``: finds what is wrong with a capture and prints it as a table."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from trackersplat.commands.shown import printable
from trackersplat.errors import InputError
from trackersplat.words import counted


@dataclass(frozen=True)
class Check:
    """Find what is wrong with a capture before hours are spent on it.

    Finds frames that are missing, black, frozen or repeated, cameras out of step, poses that do not fit the images, cameras out of focus,
    and cameras whose exposure or colours differ. The exit code is 0 whatever is found; with --strict it is 2 if there is a problem.
    """

    capture: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="CAPTURE")]
    """A capture folder, or "demo"."""
    frames: str | None = None
    """A:B (frames A to B, counted from 1, both included), one number, or all. If absent: all of a clip of up to 150 frames, else 50 at its
    start, middle and end."""
    json: Path | None = None
    """Write the findings, all numbers and the thresholds to this file."""
    strict: bool = False
    """Exit with code 2 if there is a problem."""
    events: Literal["text", "json"] = "text"
    """json: one event a line on standard output, for programs."""

    def run(self) -> None:
        from trackersplat.captures.registry import open_capture
        from trackersplat.checks import events
        from trackersplat.checks.check import check_capture, default_frames
        from trackersplat.checks.findings import to_json
        from trackersplat.commands.check_report import TextCheck
        from trackersplat.commands.terminal import JsonWork
        from trackersplat.files import write_json
        from trackersplat.jobs.plan import parse_frames

        capture = open_capture(self.capture)
        count = capture.frame_count
        frames = default_frames(count) if self.frames is None else tuple(parse_frames(self.frames, count))
        if self.json is not None and (not os.access(self.json.parent, os.W_OK) or self.json.is_dir()):
            raise InputError(f"{self.json} cannot be written: choose a file in a folder that is there with --json.")
        try:
            with JsonWork(events.to_json) if self.events == "json" else TextCheck(capture.warnings) as reporter:
                for event in check_capture(capture, frames):
                    reporter.show(event)
        except KeyboardInterrupt:
            print("Stopped. A check keeps no results.", file=sys.stderr)
            raise SystemExit(130) from None
        finally:
            capture.close()
        assert isinstance(event, events.Checked), "the last event of a check"
        if self.json is not None:
            write_json(self.json, to_json(event.report))
            if self.events == "text":
                print(printable(f"All numbers: {self.json}"))
        problems = event.report.count("problem")
        if self.strict and problems:
            raise InputError(f"{capture.name} has {counted(problems, 'problem')}: see the findings.")
