"""A run whose frames are given, as a reconstruction would have written it. For measurements and tests of what is done with runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import Capture
from trackersplat.events import FrameDone
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.gaussians.lineage import Lineage
from trackersplat.pipelines.pipeline import ChainState, FrameResult
from trackersplat.store.run import Run


class _NoImages:
    """The images of a capture that was never filmed."""

    def read(self, camera: int, frame: int) -> np.ndarray:
        raise AssertionError("a made run has no photographs")

    def prefetch(self, wanted: object) -> None: ...

    def close(self) -> None: ...


def made_capture_of(cameras: Sequence[Camera], frames: int, folder: Path) -> Capture:
    """Cameras without photographs."""
    return Capture("made", folder, "n3dv", tuple(cameras), frames, 30.0, _NoImages())


def write_made_run(
    folder: Path,
    frames: Sequence[Gaussians],
    cameras: Sequence[Camera],
    replaced: Mapping[int, Sequence[int]] | None = None,
    seconds: float = 1.0,
) -> Run:
    """Frame 0 is fitted, each other one moved from the one before. ``replaced``: frame -> indices that hold other Gaussians from it on.
    ``seconds`` is what the record of each frame says that it took.
    """
    capture = made_capture_of(cameras, len(frames), folder.parent / "made")
    run = Run.create(folder, capture, {"settings": {"pipeline": "base-propagate", "tracker": "dis", "metrics": ["psnr"]}})
    lineage = Lineage.of_first_frame(0, len(frames[0]))
    for frame, gaussians in enumerate(frames):
        indices = torch.tensor((replaced or {}).get(frame, ()), dtype=torch.long)
        lineage = lineage.with_replaced(indices, frame)
        base = frame - 1 if frame else None
        result = FrameResult(ChainState(frame, gaussians, lineage), base, None, indices, 1, {}, {}, {})
        run.write_frame(result, FrameDone(frame, base, {}, {}, len(gaussians), 0.0, 0.0, {"refine": seconds}), capture)
    return run
