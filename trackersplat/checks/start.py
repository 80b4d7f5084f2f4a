"""The part of the checks that a reconstruction makes by itself before its first frame: do the poses fit the images of that frame?"""

from __future__ import annotations

from trackersplat.captures.capture import Capture
from trackersplat.checks.check import find_wrong_poses
from trackersplat.checks.findings import sort_findings
from trackersplat.checks.settings import CheckSettings, MatchSettings

# Smaller images: the poses that matter here are wrong by several pixels, and the frame is waiting.
AT_START = CheckSettings(matches=MatchSettings(frames=1, longest_side=640))


def doubtful_poses(capture: Capture, frame: int) -> tuple[str, ...]:
    """Sentences about poses that do not fit the images of one frame (an index from 0), and what to do.

    Images that cannot be read are left to the reconstruction, which names them.
    """
    found = sort_findings(find_wrong_poses(capture, frame, AT_START))
    return tuple(f"{finding.what} {finding.advice}" for finding in found if finding.severity != "note")
