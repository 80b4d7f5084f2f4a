"""What the document of a run deletes is left out of what is reconstructed next: proved on a floater that would come back."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import trackersplat.pipelines.frames
from trackersplat.captures.capture import Capture
from trackersplat.document.document import Document
from trackersplat.document.kinds.delete import Delete
from trackersplat.document.left_out import LOGIT, leave_out
from trackersplat.document.scene_edit import Target
from trackersplat.document.selection import Selection
from trackersplat.events import Event, Note
from trackersplat.gaussians.lineage import Lineage
from trackersplat.gaussians.ply import write_ply
from trackersplat.jobs.reconstruct import LEFT_OUT, reconstruct
from trackersplat.pipelines.pipeline import ChainState, Origin
from trackersplat.pipelines.settings import ReconstructSettings
from trackersplat.rendering.backends.portable import PortableRasterizer
from trackersplat.rendering.lift import lift
from trackersplat.store.run import Run
from trackersplat.training.fit import FitDone
from trackersplat.training.refine.adam import refine as adam_refine
from trackersplat.training.refine.task import RefineTask

FLOATER = 3  # its index


def quick() -> ReconstructSettings:
    plain = ReconstructSettings.for_device("cpu")
    points = replace(plain.first.points, strategy="patches")
    motion = replace(plain.motion, render_and_match=replace(plain.motion.render_and_match, match_rounds=0))
    first, refine = replace(plain.first, steps=40, points=points), replace(plain.refine, steps=3)
    return replace(plain, first=first, motion=motion, refine=refine, metrics=("psnr",))


@pytest.fixture(scope="module")
def with_floater(small_capture: Capture, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one frame, in which a Gaussian hangs in front of all cameras, large and opaque."""
    settings = quick()
    run = Run.create(tmp_path_factory.mktemp("floater") / "run", small_capture, {"settings": settings.to_json()})
    list(reconstruct(small_capture, run, [0], settings, PortableRasterizer()))
    gaussians = run.read_frame(0)
    tensors = {name: tensor.clone() for name, tensor in gaussians.tensors().items()}
    tensors["means"][FLOATER] = torch.tensor([0.0, 0.0, -1.2])
    tensors["log_scales"][FLOATER] = -2.0
    tensors["opacity_logits"][FLOATER] = 3.0
    cloud = next(run.path.glob("frame1/point_cloud/*/point_cloud.ply"))
    write_ply(cloud, type(gaussians)(**tensors))
    return run.path


def second_frame(run: Path, capture: Capture, **options: Any) -> tuple[Run, list[str]]:
    """Reconstructs it; the run, and what was noted."""
    opened = Run.open(run)
    found = list(reconstruct(capture, opened, [1], quick(), PortableRasterizer(), **options))
    return opened, [event.text for event in found if isinstance(event, Note)]


def weight_of_floater(run: Run, capture: Capture) -> float:
    """Pixels that it makes in the second frame, in all cameras."""
    ones = torch.ones(1, capture.cameras[0].height, capture.cameras[0].width, 1)
    gaussians = run.read_frame(1)
    return sum(float(lift(PortableRasterizer(), gaussians, [camera], ones)[0, FLOATER, 0]) for camera in capture.cameras)


def test_what_static_content_is_reset_to_lacks_it_too_also_when_a_run_is_continued(with_floater: Path, tmp_path: Path) -> None:
    """There the frame in work has it faint already, and its row may hold another Gaussian; the first frame is read with it."""
    document = Document.open(Path(shutil.copytree(with_floater, tmp_path / "run")))
    document.do(Delete(Target.of(Selection.of([FLOATER, FLOATER + 1]))))
    first = document.original(0)
    lineage = Lineage.of_first_frame(0, len(first)).with_replaced(torch.tensor([FLOATER + 1]), 1)
    state = ChainState(1, first, lineage, Origin(0, first))
    left, count = leave_out(document, state, 2)
    again, none = leave_out(document, replace(left, origin=state.origin), 2)
    assert (count, none) == (1, 0)
    kept = torch.ones(len(first), dtype=torch.bool)
    kept[[FLOATER, FLOATER + 1]] = False
    for each in (left, again):
        assert each.origin is not None
        assert (each.origin.gaussians.opacity_logits[~kept] <= LOGIT).all()
        assert torch.equal(each.origin.gaussians.opacity_logits[kept], first.opacity_logits[kept])
        assert each.gaussians.opacity_logits[FLOATER] == LOGIT
        assert each.gaussians.opacity_logits[FLOATER + 1] == first.opacity_logits[FLOATER + 1]


def test_a_deleted_floater_does_not_come_back_and_the_picture_is_better(with_floater: Path, small_capture: Capture, tmp_path: Path) -> None:
    runs = [Path(shutil.copytree(with_floater, tmp_path / name)) for name in ("plain", "deleted", "kept")]
    for path in runs[1:]:
        Document.open(path).do(Delete(Target.of(Selection.of([FLOATER]))))
    plain, said = second_frame(runs[0], small_capture)
    assert LEFT_OUT.format(1) not in said
    assert weight_of_floater(plain, small_capture) > 100
    deleted, said = second_frame(runs[1], small_capture)
    assert LEFT_OUT.format(1) in said
    assert weight_of_floater(deleted, small_capture) == 0
    assert deleted.records()[1].left_out == 1
    assert LEFT_OUT.format(1) in deleted.records()[1].notes
    assert len(deleted.read_frame(1)) == len(plain.read_frame(1))  # its row stays, so that ids stay valid
    assert deleted.records()[1].scores["psnr"] > plain.records()[1].scores["psnr"] + 0.2
    kept, said = second_frame(runs[2], small_capture, keep_deleted=True)
    assert LEFT_OUT.format(1) not in said
    for name, tensor in kept.read_frame(1).tensors().items():
        assert torch.equal(tensor, plain.read_frame(1).tensors()[name])
    assert not np.isin(FLOATER, Document.open(runs[2]).ids(1))  # the document still hides it
    document = Document.open(runs[1])
    document.undo()
    assert document.warnings == (
        "Frame 2 was reconstructed without 1 Gaussian that was deleted then. Not deleted any more: 1. Reconstruct it again to have it.",
    )


def test_what_is_left_out_is_counted_also_after_its_row_was_used_for_what_appears(
    with_floater: Path, small_capture: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In two batches, and once more in a run that is continued: ids of new Gaussians stand in the rows from frame 2 on."""
    path = Path(shutil.copytree(with_floater, tmp_path / "run"))
    deleted = range(FLOATER, FLOATER + 4)
    Document.open(path).do(Delete(Target.of(Selection.of(deleted))))

    def replace_two(task: RefineTask) -> Iterator[Event]:
        rows = torch.tensor([FLOATER, FLOATER + 1]) if task.frame == 1 else torch.zeros(0, dtype=torch.int64)
        for event in adam_refine(task):
            yield replace(event, replaced=rows) if isinstance(event, FitDone) else event

    monkeypatch.setattr(trackersplat.pipelines.frames, "REFINEMENTS", SimpleNamespace(load=lambda name: replace_two))
    settings = replace(quick(), batch=1)
    for last in (3, 4):
        list(reconstruct(small_capture, Run.open(path), range(last), settings, PortableRasterizer()))
    run = Run.open(path)
    document = Document.open(run)
    assert [int(np.isin(document.original_ids(frame), deleted).sum()) for frame in range(4)] == [4, 2, 2, 2]
    assert [run.records()[frame].left_out for frame in range(4)] == [0, 4, 4, 4]
    assert document.warnings == ()
    document.undo()
    assert [warning.split(" was ")[0] for warning in document.warnings] == ["Frame 2", "Frame 3", "Frame 4"]
    assert all("without 4 Gaussians that were deleted then. Not deleted any more: 4." in warning for warning in document.warnings)
    document.do(Delete(Target.of(Selection.of([FLOATER, FLOATER + 2]))))
    assert all("Not deleted any more: 2." in warning for warning in document.warnings)
    assert len(document.warnings) == 3
