"""Frames that are written in the background."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from trackersplat.captures.capture import Capture
from trackersplat.errors import InputError
from trackersplat.events import FrameDone
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.gaussians.lineage import Lineage
from trackersplat.pipelines.pipeline import ChainState, FrameResult
from trackersplat.store.run import Run
from trackersplat.store.writer import RunWriter


def result(frame: int) -> FrameResult:
    quats = torch.tensor([[1.0, 0, 0, 0]]).repeat(5, 1)
    cloud = Gaussians(torch.zeros(5, 3), quats, torch.zeros(5, 3), torch.zeros(5), torch.zeros(5, 1, 3))
    state = ChainState(frame, cloud, Lineage.of_first_frame(0, 5))
    return FrameResult(state, frame - 1 if frame else None, None, torch.zeros(0, dtype=torch.long), 3, {}, {})


def done(frame: int) -> FrameDone:
    return FrameDone(frame, frame - 1 if frame else None, {}, {}, 5, 0.0, 0.0, {})


@pytest.fixture
def run(tmp_path: Path, small_capture: Capture) -> Run:
    return Run.create(tmp_path / "run", small_capture, {"settings": {"pipeline": "base-propagate", "tracker": "dis", "metrics": []}})


def test_frames_are_written_in_order_and_said_when_they_are_on_disk(run: Run, small_capture: Capture) -> None:
    said = []
    with RunWriter(run, small_capture) as writer:
        for frame in range(5):
            writer.put(result(frame), done(frame))
            said += [event.frame for event in writer.finished()]
            assert set(said) <= set(Run.open(run.path).frames())
        writer.wait()
        said += [event.frame for event in writer.finished()]
    assert said == [0, 1, 2, 3, 4]


def test_what_waits_is_written_although_the_work_was_stopped(run: Run, small_capture: Capture) -> None:
    def stopped() -> None:
        with RunWriter(run, small_capture) as writer:
            writer.put(result(0), done(0))
            writer.put(result(1), done(1))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert Run.open(run.path).frames() == (0, 1)


def test_a_disk_that_refuses_stops_the_work_with_its_own_sentence_and_leaves_no_gap(
    run: Run, small_capture: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Run.write_frame

    def full(self: Run, result: FrameResult, done: FrameDone, capture: Capture, *more: Any) -> None:
        if result.frame == 1:
            raise InputError("Cannot write: no space")
        real(self, result, done, capture, *more)

    monkeypatch.setattr(Run, "write_frame", full)

    def write_all() -> None:
        with RunWriter(run, small_capture) as writer:
            for frame in range(4):
                writer.put(result(frame), done(frame))
            writer.wait()

    with pytest.raises(InputError, match="no space"):
        write_all()
    assert Run.open(run.path).frames() == (0,)
