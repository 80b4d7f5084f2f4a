"""The part of the checks that a reconstruction makes by itself before its first frame: do the poses fit the images of that frame?"""

from __future__ import annotations

from trackersplat.captures.capture import Capture
from trackersplat.checks.check import check_capture
from trackersplat.checks.events import Checked
from trackersplat.checks.settings import CheckSettings, MatchSettings

# Smaller images: the poses that matter here are wrong by several pixels, and the frame is waiting.
AT_START = CheckSettings(matches=MatchSettings(frames=1, longest_side=640))


def doubtful_poses(capture: Capture, frame: int) -> tuple[str, ...]:
    """Sentences about poses that do not fit the images of one frame (an index from 0), and what to do.

    Images that cannot be read are left to the reconstruction, which names them.
    """
    *_, checked = check_capture(capture, (frame,), AT_START)
    assert isinstance(checked, Checked)
    found = [finding for finding in checked.report.findings if finding.check == "poses" and finding.severity != "note"]
    return tuple(f"{finding.what} {finding.advice}" for finding in found)
