"""Processes that are killed before one of their operations on files, of which every few are tried, while they write to a run."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from test_run import INFO, NONE, NoFrames, capture, done, gaussians, result, run

from trackersplat.captures.capture import Capture
from trackersplat.gaussians.sequence import GaussianSequence, write_sequence
from trackersplat.store.run import Run

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork, to kill what a test does")
OPERATIONS = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate"}
_ = (INFO, NONE, NoFrames, capture, run)  # fixtures and what they need


def killed_before(operation: int, work: Callable[[], Any]) -> bool:
    """Whether a copy of this process that does the work was killed before that operation on files; if not, it was done."""
    child = os.fork()
    if child == 0:
        left = operation

        def count(event: str, values: tuple[Any, ...]) -> None:
            nonlocal left
            if event in OPERATIONS or (event == "open" and isinstance(values[2], int) and values[2] & (os.O_WRONLY | os.O_RDWR)):
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        try:
            sys.addaudithook(count)
            work()
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert status in (0, signal.SIGKILL)
    return status != 0


def all_kills(folder: Path, copy: Path, work: Callable[[], Any], step: int = 1) -> Iterator[int]:
    """Brings a fresh copy of a folder to ``copy`` and kills the work there before its first operation, and then every ``step``-th."""
    operation, killed = 1 - step, True
    while killed:
        operation += step
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(folder, copy)
        killed = killed_before(operation, work)
        yield operation


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_run_whose_compacting_was_killed_has_all_frames_and_ends_like_one_that_was_not(
    run: Run, capture: Capture, tmp_path: Path
) -> None:
    """It was compacted before another frame was added, so that a sequence takes the place of another one."""
    run.compact()
    run.write_frame(result(2, 1, 5), done(result(2, 1)), capture)
    frames = (0, 1, 2)
    before = {frame: run.read_frame(frame).means for frame in frames}
    copy = tmp_path / "copy"
    shutil.copytree(run.path, copy)
    Run.open(copy).compact()
    expected = contents(copy)
    assert not any(name.endswith(".ply") for name in expected)
    kills = 0
    for operation in all_kills(run.path, copy, lambda: Run.open(copy).compact(), 2):
        kills = operation
        found = Run.open(copy)
        assert found.frames() == frames, operation
        for frame in frames:
            assert torch.allclose(found.read_frame(frame).means, before[frame], atol=1e-3), (operation, frame)
        found.compact()
        assert contents(copy) == expected, operation
        assert not list(copy.rglob(".*")), operation
    assert kills > 15


def test_a_frame_whose_writing_was_killed_is_whole_or_absent_and_leaves_nothing_after_the_next_start(
    run: Run, capture: Capture, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"

    def write(path: Path) -> None:
        opened = Run.open(path)
        with opened.writing():
            opened.write_metrics()
            if 2 not in opened.frames():
                opened.write_frame(result(2, 1, 5), done(result(2, 1)), capture)

    shutil.copytree(run.path, copy)
    write(copy)
    expected = contents(copy)
    for operation in all_kills(run.path, copy, lambda: write(copy), 4):
        found = Run.open(copy)
        assert found.frames() in ((0, 1), (0, 1, 2))
        for frame, seed in ((0, 1), (1, 2), (2, 5))[: len(found.frames())]:
            assert torch.equal(found.read_frame(frame).means, gaussians(seed).means)
        write(copy)
        assert contents(copy) == expected, operation


def test_a_run_whose_start_was_killed_starts_again(capture: Capture, tmp_path: Path) -> None:
    path = tmp_path / "copy"
    (tmp_path / "empty").mkdir()
    for _ in all_kills(tmp_path / "empty", path, lambda: Run.create(path, capture, INFO)):
        assert Run.create(path, capture, INFO).frames() == ()
        assert [child.name for child in path.iterdir()] == ["run.json"]


def test_frames_are_read_from_a_complete_sequence_while_plys_are_being_removed_and_from_plys_otherwise(run: Run) -> None:
    """A sequence that somebody put beside the PLYs on purpose does not replace them."""
    write_sequence(run.path / "sequence", (0, 1), run.read_frame)
    run.refresh()
    assert torch.equal(run.read_frame(1).means, gaussians(2).means)
    with run.writing():
        pass
    assert len(list(run.path.rglob("*.ply"))) == 2
    (run.path / "sequence" / "unfinished").touch()
    run.refresh()
    assert torch.equal(run.read_frame(1).means, GaussianSequence.open(run.path / "sequence").read(1).means)
    with run.writing():
        pass
    assert list(run.path.rglob("*.ply")) == []
    assert not (run.path / "sequence" / "unfinished").exists()


def test_what_an_older_version_left_of_a_frame_whose_ply_it_removed_does_not_hide_the_sequence(run: Run) -> None:
    write_sequence(run.path / "sequence", (0, 1), run.read_frame)
    (run.path / "frame1/point_cloud/iteration_60/point_cloud.ply").unlink()
    again = Run.open(run.path)
    assert again.frames() == (0, 1)
    assert torch.allclose(again.read_frame(0).means, gaussians(1).means, atol=1e-3)


def test_compacting_what_is_compact_changes_nothing(run: Run) -> None:
    size = run.compact()
    before = contents(run.path)
    assert Run.open(run.path).compact() == size
    assert contents(run.path) == before
