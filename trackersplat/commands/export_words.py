"""What an export says, in words."""

from __future__ import annotations

import math
from collections.abc import Sequence

from trackersplat.jobs.export_events import FrameCompared, Pruned
from trackersplat.words import counted


def size_sentence(frames: int, size: int) -> str:
    if not frames:
        return f"{size / 1e3:,.0f} kB"
    return f"{counted(frames, 'frame')}, {size / 1e6:.2f} MB, {size / frames / 1e3:,.0f} kB per frame"


def left_out_sentence(frames: Sequence[int]) -> str:
    """``frames``: ascending indices of frames that the run has and its clip has not."""
    several = len(frames) > 1
    named = f"Frames {frames[0] + 1} to {frames[-1] + 1}" if several else f"Frame {frames[0] + 1}"
    if several and len(frames) <= frames[-1] - frames[0]:
        named = f"{len(frames)} of the frames {frames[0] + 1} to {frames[-1] + 1}"
    return f"{named} {'are' if several else 'is'} not in the clip as it is edited (trimmed or retimed), so not written."


def pruned_sentence(pruned: Pruned) -> str:
    share = pruned.removed / max(pruned.total, 1)
    if pruned.psnr == math.inf:
        cost = "the pictures stay the same"
    else:
        cost = f"the pictures without them show those with them with at least {pruned.psnr:.1f} dB"
    return f"pruned: {pruned.removed:,} of {pruned.total:,} Gaussians ({share:.1%}) are left out; {cost}"


def compared_sentence(compared: Sequence[FrameCompared]) -> str:
    several = len(compared) > 1
    frames = ", ".join(str(one.frame + 1) for one in compared)
    worst = min(one.psnr for one in compared)
    what = "exactly what the run shows" if worst == math.inf else f"what the run shows with at least {worst:.1f} dB"
    return f"read back: frame{'s' * several} {frames} show{'s' * (not several)} {what}"
