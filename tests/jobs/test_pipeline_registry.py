"""A pipeline as somebody may add it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from trackersplat.captures.capture import Capture
from trackersplat.commands.reconstruct import Reconstruct
from trackersplat.errors import InputError
from trackersplat.events import FrameDone, Stage, Started
from trackersplat.jobs.reconstruct import reconstruct
from trackersplat.pipelines.pipeline import PipelineFacts
from trackersplat.pipelines.registry import PIPELINES, create_pipeline
from trackersplat.pipelines.settings import ReconstructSettings
from trackersplat.rendering.backends.portable import PortableRasterizer
from trackersplat.store.run import Run
from trackersplat.training.optimiser import LearningRates

# One file: all Gaussians go a known way per frame, then they are refined.
MODULE = """
from dataclasses import replace

import torch

from trackersplat.pipelines.frames import FirstFrame, Moved, refine_and_measure

WAY = torch.tensor([0.5, -0.25, 1.0])


class Shift(FirstFrame):
    def step(self, state, batch, context):
        for frame in batch.targets:
            way = (frame - state.frame) * WAY.to(state.gaussians.means.device)
            moved = replace(state.gaussians, means=state.gaussians.means + way)
            yield from refine_and_measure(state, Moved(frame, moved, None, None, {}), context)
"""


@pytest.fixture
def added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module with a pipeline named "shift", registered for one test."""
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "shift_pipeline.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path / "package")
    monkeypatch.setattr(PIPELINES, "_entries", dict(PIPELINES._entries))
    PIPELINES.add(PipelineFacts("shift", "a known shift", "shift_pipeline:Shift", folder="shift/by-hand", tracks=False))  # one line
    yield "shift"
    sys.modules.pop("shift_pipeline", None)


def test_a_pipeline_is_added_with_one_file_and_one_line_and_writes_into_its_own_folder(
    added: str, small_capture: Capture, tmp_path: Path
) -> None:
    assert "shift_pipeline" not in sys.modules  # facts import nothing
    plain = ReconstructSettings.for_device("cpu", pipeline=added)
    unchanged = LearningRates(means=0.0, means_end=0.0, quats=0.0, log_scales=0.0, opacity_logits=0.0, sh_dc=0.0, sh_rest=0.0)
    settings = replace(
        plain,
        first=replace(plain.first, steps=20, points=replace(plain.first.points, strategy="patches")),
        refine=replace(plain.refine, steps=2, rates=unchanged),
        batch=2,
        metrics=("psnr",),
    )
    run = Run.create(tmp_path / "run", small_capture, {"settings": settings.to_json()})
    events = list(reconstruct(small_capture, run, range(4), settings, PortableRasterizer()))
    assert isinstance(events[0], Started)
    assert events[0].pipeline == "shift"
    assert {event.name for event in events if isinstance(event, Stage)} <= {"compile", "check", "points", "optimise", "refine", "measure"}
    assert [(event.frame, event.base) for event in events if isinstance(event, FrameDone)] == [(0, None), (1, 0), (2, 0), (3, 2)]
    assert sorted(path.name for path in (run.path / "shift" / "by-hand").iterdir()) == ["frame2", "frame3", "frame4"]
    again = Run.open(run.path)
    assert again.frames() == (0, 1, 2, 3)
    first, last = again.read_frame(0), again.read_frame(3)
    way = (last.means - first.means).mean(dim=0)
    torch.testing.assert_close(way, 3 * torch.tensor([0.5, -0.25, 1.0]), atol=1e-4, rtol=0)


def test_an_added_pipeline_is_known_to_the_command_line(added: str, small_capture_folder: Path, tmp_path: Path) -> None:
    quick = Reconstruct(str(small_capture_folder), frames="1:2", points="patches", first_steps=5, steps=1, out=tmp_path / "run")
    replace(quick, pipeline=added).run()
    assert (tmp_path / "run" / "shift" / "by-hand" / "frame2" / "frame.json").is_file()


def test_an_unknown_pipeline_is_answered_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"no pipeline named 'guess'; choose one of base-propagate, train-base"):
        create_pipeline("guess")
    with pytest.raises(InputError, match="no pipeline named 'guess'"):
        PIPELINES.facts("guess")
