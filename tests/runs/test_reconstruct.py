"""A reconstruction that is stopped and taken up again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from trackersplat.captures.capture import Capture
from trackersplat.motion.motion import Carried
from trackersplat.rendering.portable import PortableRasterizer
from trackersplat.runs.events import FrameDone
from trackersplat.runs.reconstruct import reconstruct
from trackersplat.runs.run import Run
from trackersplat.runs.settings import ReconstructSettings


def test_a_run_that_is_stopped_anywhere_ends_like_one_that_is_not(small_capture: Capture, tmp_path: Path) -> None:
    plain = ReconstructSettings.for_device("cpu")
    settings = replace(plain, first=replace(plain.first, steps=40), refine=replace(plain.refine, steps=3), batch=2)
    info, frames = {"settings": settings.to_json()}, range(small_capture.frame_count)
    whole = Run.create(tmp_path / "whole", small_capture, info)
    list(reconstruct(small_capture, whole, frames, settings, PortableRasterizer()))
    stopped = Run.create(tmp_path / "stopped", small_capture, info)
    for _ in frames:  # one frame an attempt, so every batch is stopped in its middle
        attempt = reconstruct(small_capture, stopped, frames, settings, PortableRasterizer())
        next((event for event in attempt if isinstance(event, FrameDone)), None)
        attempt.close()
    assert stopped.frames() == whole.frames() == tuple(frames)
    for frame in frames:
        for name, tensor in whole.read_frame(frame).tensors().items():
            assert torch.equal(tensor, stopped.read_frame(frame).tensors()[name]), (frame, name)
    handed_on = [(whole.read_carried(frame), stopped.read_carried(frame)) for frame in frames]
    assert handed_on[0] == (None, None)
    for ours, theirs in handed_on[1:]:
        assert isinstance(ours, Carried)
        assert isinstance(theirs, Carried)
        assert (ours.velocity != 0).any()
        for name, tensor in vars(ours).items():
            assert torch.equal(tensor, vars(theirs)[name]), name
