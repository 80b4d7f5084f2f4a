"""What becomes of a run's folder when a reconstruction fails, and what is said of it."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from trackersplat.captures.capture import Capture
from trackersplat.errors import InputError
from trackersplat.events import Event, Remark, Stage, Started
from trackersplat.gaussians.ply import write_ply
from trackersplat.gaussians.readers.reader import read_gaussians
from trackersplat.jobs import reconstruct as job
from trackersplat.jobs.reconstruct import reconstruct
from trackersplat.pipelines.settings import ReconstructSettings
from trackersplat.rendering.backends.portable import PortableRasterizer
from trackersplat.store.run import Run


class Damaged:
    """The images of a capture, of which those of one frame cannot be decoded."""

    def __init__(self, capture: Capture, frame: int) -> None:
        self._capture, self._frame = capture, frame

    def read(self, camera: int, frame: int) -> np.ndarray:
        if frame == self._frame:
            raise InputError("cam01.mp4 cannot be decoded.")
        return self._capture.image(camera, frame)

    def prefetch(self, wanted: Iterable[tuple[int, int]]) -> None: ...

    def close(self) -> None: ...


def quick() -> ReconstructSettings:
    plain = ReconstructSettings.for_device("cpu", pipeline="train-base")
    points = replace(plain.first.points, strategy="patches")
    return replace(plain, first=replace(plain.first, steps=2, points=points), refine=replace(plain.refine, steps=1))


def start(folder: Path, capture: Capture) -> Run:
    return Run.create(folder, capture, {"settings": quick().to_json()})


def attempt(run: Run, capture: Capture, frames: range) -> list[Event]:
    return list(reconstruct(capture, run, frames, quick(), PortableRasterizer()))


@pytest.fixture(scope="module")
def first_frame(small_capture: Capture, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one frame."""
    run = start(tmp_path_factory.mktemp("runs") / "run", small_capture)
    attempt(run, small_capture, range(1))
    return run.path


def test_bad_input_before_the_first_frame_leaves_nothing(small_capture: Capture, tmp_path: Path) -> None:
    run = start(tmp_path / "output" / "run", small_capture)
    assert run.path.is_dir()
    with pytest.raises(InputError, match="cannot be decoded"):
        attempt(run, replace(small_capture, source=Damaged(small_capture, 0)), range(2))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_there_before_stays_and_so_does_what_others_have_put_there(small_capture: Capture, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    damaged = replace(small_capture, source=Damaged(small_capture, 0))
    notes = start(tmp_path / "notes", small_capture)
    (notes.path / "notes.txt").write_text("mine")
    for run in (start(tmp_path / "empty", small_capture), notes):
        with pytest.raises(InputError, match="cannot be decoded"):
            attempt(run, damaged, range(2))
    assert list((tmp_path / "empty").iterdir()) == []
    assert sorted(path.name for path in notes.path.iterdir()) == ["metrics.csv", "notes.txt", "run.json"]


def test_bad_input_after_a_frame_or_in_a_run_that_was_there_before_leaves_the_run(small_capture: Capture, tmp_path: Path) -> None:
    run = start(tmp_path / "run", small_capture)
    with pytest.raises(InputError, match="cannot be decoded"):
        attempt(run, replace(small_capture, source=Damaged(small_capture, 1)), range(2))
    assert Run.open(run.path).frames() == (0,)
    started = start(tmp_path / "started", small_capture)
    with pytest.raises(InputError, match="cannot be decoded"):
        attempt(Run.open(started.path), replace(small_capture, source=Damaged(small_capture, 0)), range(1))
    assert (started.path / "run.json").is_file()


@pytest.mark.parametrize("moved", [True, False])
def test_a_run_that_is_moved_or_removed_before_its_first_frame_is_the_cause_that_is_named(
    small_capture: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moved: bool
) -> None:
    monkeypatch.setattr(job, "PREVIEW_SECONDS", 0.0)  # so that a preview is what cannot be written
    run = start(tmp_path / "run", small_capture)

    def take_away() -> None:
        for event in reconstruct(small_capture, run, range(1), quick(), PortableRasterizer()):
            if isinstance(event, Stage) and event.name == "optimise" and run.path.exists():
                shutil.move(run.path, tmp_path / "elsewhere")
                if not moved:
                    shutil.rmtree(tmp_path / "elsewhere")

    with pytest.raises(InputError, match=r"run was moved, removed or replaced while the run was being written: bring the folder back"):
        take_away()
    assert not run.path.exists()
    assert (tmp_path / "elsewhere" / "run.json").is_file() == moved


def test_the_events_begin_with_the_remarks_about_capture_and_run_each_once(
    small_capture: Capture, first_frame: Path, tmp_path: Path
) -> None:
    shutil.copytree(first_frame, tmp_path / "run")
    (tmp_path / "run" / "metrics.csv").write_text("frame,camera\n1,cam00\n5,cam00\n")
    ply = next((tmp_path / "run").rglob("point_cloud.ply"))
    _make_opaque(ply)
    capture = replace(small_capture, warnings=("cam03 is odd.", "cam02 is left out."))
    found = attempt(Run.open(tmp_path / "run"), capture, range(3))
    assert isinstance(found[0], Started)
    *told, opaque = [event.text for event in found if isinstance(event, Remark)]
    assert opaque.startswith(f"{ply}: 1 of ")
    assert told == [
        "cam03 is odd.",
        "cam02 is left out.",
        f"Frame 5 of {tmp_path / 'run'} is lost: metrics.csv has the scores, but there is no folder; reconstruct it again, or bring the "
        "folder back.",
    ]


def _make_opaque(ply: Path) -> None:
    """Gives the first Gaussian an infinite opacity, as other programs write it."""
    gaussians = read_gaussians(ply).gaussians
    gaussians.opacity_logits[0] = math.inf
    write_ply(ply, gaussians)
