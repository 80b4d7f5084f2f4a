"""The part of the checks that a reconstruction makes by itself before its first frame: do the poses fit the images of that frame?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from trackersplat.captures.capture import Capture
from trackersplat.checks.check import PosesChecked, find_wrong_poses
from trackersplat.checks.events import Step
from trackersplat.checks.findings import sort_findings
from trackersplat.checks.settings import CheckSettings, MatchSettings
from trackersplat.events import Event, Stage

# Smaller images: the poses that matter here are wrong by several pixels, and the frame is waiting.
AT_START = CheckSettings(matches=MatchSettings(frames=1, longest_side=640))


@dataclass(frozen=True)
class Doubts(Event):
    """The last event of `doubtful_poses`: sentences about poses that do not fit the images, and what to do."""

    sentences: tuple[str, ...]


def doubtful_poses(capture: Capture, frame: int) -> Iterator[Event]:
    """Compares the poses with the images of one frame (an index from 0): a `Stage` per tenth of the work, then `Doubts`.

    Closing the iterator stops the work. Images that cannot be read are left to the reconstruction, which names them.
    """
    told = ""
    for event in find_wrong_poses(capture, frame, AT_START):
        if isinstance(event, PosesChecked):
            found = sort_findings(event.findings)
            yield Doubts(tuple(f"{finding.what} {finding.advice}" for finding in found if finding.severity != "note"))
        elif isinstance(event, Step) and (now := f"{event.name}, {10 * (10 * event.done // event.total)} %") != told:
            yield Stage(frame, "check", now)
            told = now
