"""Runs that were never reconstructed: a few coloured Gaussians before the cameras of the tiny capture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from trackersplat.captures.capture import Capture
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.gaussians.lineage import Lineage
from trackersplat.jobs.reconstruct import frame_done
from trackersplat.pipelines.pipeline import ChainState, FrameResult
from trackersplat.store.run import Run

STEP = 0.2  # scene units along x from one frame to the next


def tiny_gaussians(frame: int) -> Gaussians:
    """A red, a green and a blue ball of Gaussians side by side; all move to the right."""
    places = torch.tensor([(-0.6, 0.0, 0.0), (0.0, 0.3, 0.2), (0.5, -0.3, 0.4)]) + torch.tensor((STEP * frame, 0.0, 0.0))
    colours = torch.tensor([(1.7, -1.7, -1.7), (-1.7, 1.7, -1.7), (-1.7, -1.7, 1.7)])
    turned = torch.tensor([1.0, 0.0, 0.0, 0.0]).expand(3, 4).contiguous()
    return Gaussians(places, turned, torch.full((3, 3), -1.6), torch.full((3,), 4.0), colours[:, None].contiguous())


def write_tiny_run(path: Path, capture: Capture, frames: Sequence[int], replaced_at: int | None = None) -> Run:
    """``replaced_at``: the frame in which the third Gaussian is another one than before, at another place."""
    run = Run.create(path, capture, {"settings": {"pipeline": "train-base", "tracker": "dis", "metrics": ["psnr"]}})
    lineage, nothing = Lineage.of_first_frame(frames[0], 3), torch.zeros(0, dtype=torch.long)
    for frame in frames:
        gaussians, replaced = tiny_gaussians(frame), nothing
        if replaced_at is not None and frame >= replaced_at:
            gaussians = replace(gaussians, means=gaussians.means + torch.tensor([(0.0, 0, 0), (0.0, 0, 0), (0.0, 1.0, 0)]))
        if frame == replaced_at:
            replaced = torch.tensor([2])
            lineage = lineage.with_replaced(replaced, frame)
        base = None if frame == frames[0] else frame - 1
        result = FrameResult(ChainState(frame, gaussians, lineage), base, None, replaced, 7, {}, {}, {"refine": 1.0})
        run.write_frame(result, frame_done(result, capture), capture)
    return run
