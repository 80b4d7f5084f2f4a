"""What is left out of an export, and where its Gaussians come from."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from trackersplat.captures.capture import Capture
from trackersplat.document.document import Document
from trackersplat.events import Event
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.gaussians.lineage import Lineage
from trackersplat.gaussians.readers.reader import read_gaussians
from trackersplat.jobs.export import ExportOptions, export_run, of_run
from trackersplat.jobs.export_events import FrameCompared, Pruned, Said
from trackersplat.jobs.reconstruct import frame_done
from trackersplat.jobs.weighing import WeighingSettings, contribution, kept, most_of_all
from trackersplat.pipelines.pipeline import ChainState, FrameResult
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.rendering.registry import choose_rasterizer
from trackersplat.store.run import Run


@pytest.fixture(scope="module")
def rasterizer() -> Rasterizer:
    return choose_rasterizer("cpu")


def gaussians(frame: int) -> Gaussians:
    """Three in view, one of them faint; a fourth far behind all cameras, but in frame 1 in view."""
    means = torch.tensor([[0.0, 0.0, 0.2], [0.4, 0.1, 0.4], [-0.4, 0.2, 0.3], [0.1, 0.3, 0.2 if frame == 1 else -90.0]])
    return Gaussians(
        means=means,
        quats=torch.tensor([[1.0, 0, 0, 0]]).repeat(4, 1),
        log_scales=torch.full((4, 3), -2.0),
        opacity_logits=torch.tensor([3.0, 2.0, -4.5, 1.0]),
        sh=torch.ones(4, 1, 3),
    )


@pytest.fixture
def run(small_capture: Capture, tmp_path: Path) -> Run:
    run = Run.create(tmp_path / "run", small_capture, {"settings": {"pipeline": "base-propagate", "tracker": "dis"}})
    lineage = Lineage.of_first_frame(0, 4)
    for frame in (0, 1):
        result = FrameResult(ChainState(frame, gaussians(frame), lineage), 0 if frame else None, None, torch.zeros(0).long(), 1, {}, {}, {})
        run.write_frame(result, frame_done(result, small_capture), small_capture)
    return run


def exported(run: Run, path: Path, rasterizer: Rasterizer, options: ExportOptions, edits: bool = True) -> list[Event]:
    source = of_run(run, edits)
    return list(export_run(source, source.frames, path, rasterizer, options))


def read(path: Path, frame: int) -> Gaussians:
    return read_gaussians(path / f"frame{frame + 1:05d}.ply").gaussians


def test_contributions_are_shares_of_the_pixels_and_what_no_camera_sees_has_none(small_capture: Capture, rasterizer: Rasterizer) -> None:
    found = contribution(gaussians(0), small_capture.cameras, rasterizer, WeighingSettings())
    alpha = [rasterizer.render(gaussians(0), [camera]).alpha.double().mean() for camera in small_capture.cameras]
    assert float(found.sum()) == pytest.approx(float(sum(alpha)) / 4, rel=1e-4)
    assert found[3] == 0
    assert found[0] > found[2] > 0


def test_the_least_are_left_out_until_their_share_is_reached() -> None:
    weights = torch.tensor([5.0, 1.0, 0.0, 2.0, 2.0])
    assert kept(weights, 0.0).tolist() == [True, True, False, True, True]  # what is not seen at all costs nothing
    assert kept(weights, 0.1).tolist() == [True, False, False, True, True]
    assert kept(weights, 0.3).tolist() == [True, False, False, False, True]
    assert kept(torch.zeros(3), 0.1).tolist() == [False] * 3


def test_a_gaussian_that_matters_in_one_frame_is_kept_in_all() -> None:
    first, second = most_of_all([torch.tensor([1.0, 0.0]), torch.tensor([0.0, 3.0])])
    assert first.tolist() == second.tolist() == [1.0, 3.0]
    assert [len(each) for each in most_of_all([torch.ones(2), torch.ones(3)])] == [2, 3]


def test_pruning_says_how_many_went_and_what_it_costs(run: Run, tmp_path: Path, rasterizer: Rasterizer) -> None:
    events = exported(run, tmp_path / "plys", rasterizer, ExportOptions(prune=0.02))
    (pruned,) = (event for event in events if isinstance(event, Pruned))
    assert (pruned.removed, pruned.total) == (1, 4)  # the faint one; the fourth is seen in frame 1
    assert 20 < pruned.psnr < math.inf
    for frame in (0, 1):
        assert torch.equal(read(tmp_path / "plys", frame).means, gaussians(frame).means[[0, 1, 3]])


@pytest.mark.parametrize("format", ["html", "sequence"])
def test_a_frame_is_compared_with_the_same_frame_of_the_run(run: Run, tmp_path: Path, rasterizer: Rasterizer, format: str) -> None:
    suffix = ".html" if format == "html" else ""
    events = exported(run, tmp_path / f"scene{suffix}", rasterizer, ExportOptions(format))
    compared = {event.frame: event.psnr for event in events if isinstance(event, FrameCompared)}
    assert list(compared) == [0, 1]
    assert min(compared.values()) > 35  # what another frame does not reach


def test_edits_are_exported_unless_they_are_not_wanted(run: Run, tmp_path: Path, rasterizer: Rasterizer) -> None:
    document = Document.open(run.path)
    document.apply([{"edit": "delete", "selection": {"ids": [int(document.ids(0)[1])]}}])
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    events = exported(run, tmp_path / "edited", rasterizer, ExportOptions())
    assert any(isinstance(event, Said) and "1 edit is in effect" in event.text for event in events)
    exported(run, tmp_path / "plain", rasterizer, ExportOptions(), edits=False)
    for frame in (0, 1):
        assert torch.equal(read(tmp_path / "edited", frame).means, gaussians(frame).means[[0, 2, 3]])
        assert torch.equal(read(tmp_path / "plain", frame).means, gaussians(frame).means)
    assert {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()} == before
