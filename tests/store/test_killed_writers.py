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
from test_run import INFO, NONE, NoFrames, assert_near, capture, carried, done, gaussians, near, result, run

from trackersplat.captures.capture import Capture
from trackersplat.gaussians.sequence import write_sequence
from trackersplat.store.run import Run

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork, to kill what a test does")
OPERATIONS = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate"}
COMPACT_IN_PAIRS = {"settings": {**INFO["settings"], "batch": 2}, "keep": "compact"}
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
    """A frame was compacted before, so that the others become changes since it."""
    run.compact()
    run.write_frame(result(2, 1, 5, carried=carried()), done(result(2, 1)), capture)
    run.write_frame(result(3, 2, 6, carried=carried()), done(result(3, 2)), capture)
    frames = (0, 1, 2, 3)
    before = {frame: run.read_frame(frame) for frame in frames}
    copy = tmp_path / "copy"
    shutil.copytree(run.path, copy)
    Run.open(copy).compact()
    expected = contents(copy)
    assert not any(name.endswith(".ply") for name in expected)
    assert [name for name in expected if name.endswith("carried.safetensors")] == ["refine/base-propagate-dis/frame4/carried.safetensors"]
    kills = 0
    for operation in all_kills(run.path, copy, lambda: Run.open(copy).compact(), 2):
        kills = operation
        found = Run.open(copy)
        assert found.frames() == frames, operation
        for frame in frames:
            assert_near(found.read_frame(frame), before[frame])
        found.compact()
        assert contents(copy) == expected, operation
        assert not list(copy.rglob(".*")), operation
    assert kills > 15


@pytest.mark.parametrize("again", [False, True])
def test_a_run_that_keeps_the_compact_form_ends_the_same_wherever_its_writing_was_killed(
    again: bool, capture: Capture, tmp_path: Path
) -> None:
    """Frames 2 and 3 of one batch are written, or made again: until the last one is there, all of their base is."""
    start, copy = tmp_path / "start", tmp_path / "copy"
    run = Run.create(start, capture, COMPACT_IN_PAIRS)
    for frame, base in ((0, None), (1, 0), (2, 0), *(((3, 2), (4, 2)) if again else ())):
        run.write_frame(result(frame, base, frame, carried=carried(frame)), done(result(frame, base)), capture)
    to_make = (1, 2) if again else (3, 4)

    def work(path: Path) -> None:
        opened = Run.open(path)
        with opened.writing():
            left = {frame for frame in to_make if not (path / str(frame)).exists()}  # what an edit log would tell
            opened.remove_exact(left & set(opened.frames()), thorough=True)
            for frame in sorted(left):
                base = 0 if again else 2
                there = left & set(opened.frames()) - {frame}
                made = result(frame, base, 10 + frame, carried=carried(frame))
                left -= {frame}
                opened.write_frame(made, done(made), capture, None, there)
                (path / str(frame)).touch()

    shutil.copytree(start, copy)
    work(copy)
    expected, all_frames = contents(copy), (0, 1, 2, 3, 4)
    assert not any("point_cloud" in name or "carried" in name for name in expected)  # the run is complete
    for operation in all_kills(start, copy, lambda: work(copy), 3):
        found = Run.open(copy)
        assert set(found.frames()) >= ({0, 1, 2, 3, 4} if again else {0, 1, 2}), operation
        for frame in found.frames():
            assert any(near(found.read_frame(frame), gaussians(seed)) for seed in (frame, 10 + frame)), (operation, frame)
        if not again and 4 not in found.frames():
            base = found.read_state(2, torch.device("cpu"))
            assert torch.equal(base.gaussians.means, gaussians(2).means), operation
            assert torch.equal(base.origin.gaussians.means, gaussians(0).means), operation
            assert base.carried is not None, operation
        work(copy)
        assert contents(copy) == expected, operation
        assert Run.open(copy).frames() == all_frames
        assert not list(copy.rglob(".*")), operation


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
