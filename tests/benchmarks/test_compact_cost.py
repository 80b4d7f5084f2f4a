"""The made frames that the cost of the compact form is measured with."""

from __future__ import annotations

from pathlib import Path

import torch

from trackersplat.benchmarks.compact_cost import MOVING, made, write


def test_made_frames_are_written_as_changes_and_read_back(tmp_path: Path) -> None:
    frames = list(made(300, 3))
    cost = write(tmp_path, frames)
    assert len(cost.bytes) == len(cost.make) == 3
    assert cost.bytes == [(tmp_path / f"{frame}.tsgf").stat().st_size for frame in range(3)]
    assert max(cost.bytes[1:]) < 0.6 * cost.bytes[0]
    still = torch.arange(300) >= MOVING * 300
    for frame, exact in enumerate(frames):
        apart = ((cost.frames.read(frame).means - exact.means) / exact.scales.amax(1, keepdim=True)).abs().amax(1)
        assert apart.max() < 0.05
    step = ((frames[1].means - frames[0].means) / frames[0].scales).norm(dim=1)
    assert step[~still].median() > 10 * step[still].median()
