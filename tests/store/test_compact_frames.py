"""The compact form of the frames of a run, written frame by frame."""

from __future__ import annotations

import errno
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_run import CPU, INFO, NoFrames, capture, carried, done, gaussians, near, result

from trackersplat.captures.capture import Capture
from trackersplat.errors import InputError
from trackersplat.gaussians.compact_file import KEY_FRAME_EVERY, read_header
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.pipelines.pipeline import FrameResult
from trackersplat.store import compact_frames
from trackersplat.store.run import Run

_ = (NoFrames, capture)  # a fixture and what it needs
COMPACT = {**INFO, "keep": "compact"}
MOVED = "refine/base-propagate-dis"


def drifting(frame: int) -> Gaussians:
    """50 Gaussians of which ten move, by a third of their size per frame."""
    start = gaussians(1)
    means = start.means.clone()
    means[:10] += frame / 3 * start.scales.amin(dim=1, keepdim=True)[:10]
    return replace(start, means=means)


def made(frame: int, seed: int | None = None, base: int | None = -1) -> FrameResult:
    """A frame that is moved from the one before, unless another base is given."""
    base = frame - 1 if base == -1 else base
    found = result(frame, base if frame else None, carried=carried(frame) if frame else None)
    return replace(found, state=replace(found.state, gaussians=drifting(frame) if seed is None else gaussians(seed)))


def write(run: Run, capture: Capture, *results: FrameResult, to_redo: tuple[int, ...] = ()) -> None:
    for each in results:
        run.write_frame(each, done(each), capture, None, to_redo)


@pytest.fixture
def run(tmp_path: Path, capture: Capture) -> Run:
    """Three of five frames."""
    run = Run.create(tmp_path / "run", capture, COMPACT)
    write(run, capture, *map(made, range(3)))
    return run


def folder(run: Run, frame: int) -> Path:
    return run.path / (f"{MOVED}/frame{frame + 1}" if frame else "frame1")


def exact(run: Run) -> list[int]:
    """Frames that have a PLY; those that have what a motion hands on are the same, but for the first."""
    there = [frame for frame in run.frames() if (folder(run, frame) / "point_cloud").exists()]
    assert [frame for frame in run.frames() if (folder(run, frame) / "carried.safetensors").exists()] == [f for f in there if f]
    return there


def test_frames_are_written_in_the_compact_form_and_exactly_while_a_missing_frame_starts_from_them(run: Run, capture: Capture) -> None:
    assert exact(run) == [0, 2]  # the last one, and the first, at which static content is
    again = Run.open(run.path)
    for name, tensor in again.read_state(2, CPU).gaussians.tensors().items():
        assert torch.equal(tensor, drifting(2).tensors()[name])
    assert torch.equal(again.read_state(2, CPU).carried.velocity, carried(2).velocity)
    write(again, capture, made(3))
    assert exact(again) == [0, 3]
    write(again, capture, made(4))
    assert exact(again) == []  # the capture has no other frame
    for frame in range(5):
        assert near(again.read_frame(frame), drifting(frame))


def test_only_the_base_of_a_batch_is_kept_exactly_until_its_last_frame_is_there(tmp_path: Path, capture: Capture) -> None:
    capture = replace(capture, frame_count=12)
    run = Run.create(tmp_path / "run", capture, {**COMPACT, "settings": {**INFO["settings"], "batch": 4}})
    found = []
    for frame in range(10):
        write(run, capture, made(frame, base=max(frame - 1, 0) // 4 * 4))
        found.append(exact(run))
    assert found == [[0]] * 4 + [[0, 4]] * 4 + [[0, 8]] * 2


def test_a_frame_holds_what_changed_since_the_one_before_and_every_sixteenth_is_a_key_frame(tmp_path: Path, capture: Capture) -> None:
    capture = replace(capture, frame_count=40)
    run = Run.create(tmp_path / "run", capture, COMPACT)
    count = KEY_FRAME_EVERY + 2
    write(run, capture, *map(made, range(count)))
    headers = [read_header(folder(run, frame) / "gaussians.tsgf") for frame in range(count)]
    assert [header.depth for header in headers] == [frame % KEY_FRAME_EVERY for frame in range(count)]
    assert [header.base for header in headers[1:4]] == [0, 1, 2]
    assert sum(length for _, _, length in headers[1].streams) < 0.5 * sum(length for _, _, length in headers[0].streams)
    again = Run.open(run.path)
    for frame in (KEY_FRAME_EVERY - 1, KEY_FRAME_EVERY, count - 1):
        assert near(again.read_frame(frame), drifting(frame))


def test_what_does_not_move_stays_bit_for_bit(run: Run) -> None:
    write_all = Run.open(run.path)
    for frame in (0, 2):
        shutil.rmtree(folder(run, frame) / "point_cloud")
    write_all.refresh()
    frames = [write_all.read_frame(frame) for frame in range(3)]
    for name, tensor in frames[0].tensors().items():
        assert torch.equal(tensor[10:], frames[2].tensors()[name][10:])
    assert not torch.equal(frames[0].means[:10], frames[2].means[:10])


def test_playing_forward_reads_one_file_per_frame(run: Run, capture: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    write(run, capture, made(3), made(4))
    read: list[str] = []
    real = compact_frames.read_codes
    for name in ("read_codes", "read_unchecked"):
        monkeypatch.setattr(compact_frames, name, lambda path, *more: (read.append(path.parent.name), real(path, *more))[1])
    again = Run.open(run.path)
    for frame in range(5):
        again.read_frame(frame)
    assert read == ["frame1", "frame2", "frame3", "frame4", "frame5"]
    monkeypatch.setattr(compact_frames, "_KEPT_BYTES", 0)
    Run.open(run.path).read_frame(2)
    assert read[5:] == ["frame1", "frame2", "frame3"]


def test_another_number_of_gaussians_or_a_fitted_frame_is_a_key_frame(run: Run, capture: Capture) -> None:
    other = made(3)
    write(run, capture, replace(other, state=replace(other.state, gaussians=gaussians(4, 60))), made(4, 4, base=None))
    assert [read_header(path).base for path in (folder(run, 3) / "gaussians.tsgf", run.path / "frame5" / "gaussians.tsgf")] == [None, None]
    assert near(run.read_frame(3), gaussians(4, 60))


def test_a_frame_that_is_made_again_takes_nothing_from_those_that_build_on_it(run: Run, capture: Capture) -> None:
    write(run, capture, made(3), made(4))
    before = {frame: run.read_frame(frame) for frame in range(5)}
    write(run, capture, made(2, 7))
    again = Run.open(run.path)
    assert again.frames() == (0, 1, 2, 3, 4)
    assert near(again.read_frame(2), gaussians(7))
    assert read_header(folder(run, 3) / "gaussians.tsgf").base is None
    for frame in (0, 1, 3, 4):
        for name, tensor in again.read_frame(frame).tensors().items():
            assert torch.equal(tensor, before[frame].tensors()[name]), (frame, name)


def test_making_all_again_gives_the_same_files(run: Run, capture: Capture) -> None:
    write(run, capture, made(3), made(4))
    before = [(folder(run, frame) / "gaussians.tsgf").read_bytes() for frame in range(5)]
    for seed in (5, None):
        for frame in (2, 3, 4):
            write(run, capture, made(frame, seed), to_redo=tuple(range(frame + 1, 5)))
            assert exact(run) == ([frame] if frame < 4 else [])
    assert [(folder(run, frame) / "gaussians.tsgf").read_bytes() for frame in range(5)] == before


def test_frames_whose_base_somebody_removed_are_named_and_not_there(run: Run, capture: Capture) -> None:
    write(run, capture, made(3), made(4))
    shutil.rmtree(folder(run, 2))
    again = Run.open(run.path)
    assert again.frames() == (0, 1)
    assert any(
        f"Frames 4, 5 of {run.path} are lost: an earlier frame, since which the changes are stored, is gone" in s for s in again.lost()
    )
    with pytest.raises(InputError, match=r"frame4/gaussians\.tsgf holds changes since frame 3, which is gone now: make it again\."):
        again.read_frame(3)
    write(again, capture, made(2, 7))
    assert again.frames() == (0, 1, 2)  # those of the old one do not fit the new one
    write(again, capture, made(3), made(4))
    assert near(Run.open(run.path).read_frame(4), drifting(4))


def test_a_full_disk_is_one_sentence_and_takes_no_finished_frame(run: Run, capture: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    write(run, capture, made(3), made(4))
    before = {frame: run.read_frame(frame) for frame in range(5)}
    for place, name in ((Path, "write_bytes"), (os, "fsync")):  # of the frame that is made again, and of the next one, which builds on it
        with monkeypatch.context() as patched:
            patched.setattr(place, name, full)
            with pytest.raises(InputError, match=r"No space left on device\): check"):
                write(run, capture, made(2, 7))
        again = Run.open(run.path)
        for frame in range(5):
            for key, tensor in again.read_frame(frame).tensors().items():
                assert torch.equal(tensor, before[frame].tensors()[key]), (name, frame, key)
        write(run, capture, made(3))  # builds on the one before again


def test_a_damaged_file_is_named_and_the_frames_before_it_are_read(run: Run, capture: Capture) -> None:
    write(run, capture, made(3), made(4))
    path = folder(run, 2) / "gaussians.tsgf"
    content = bytearray(path.read_bytes())
    content[read_header(path).start + 14] ^= 1
    path.write_bytes(content)
    again = Run.open(run.path)
    assert again.frames() == (0, 1, 2, 3, 4)
    assert near(again.read_frame(1), drifting(1))
    for frame in (2, 4):
        with pytest.raises(InputError, match=r"frame3/gaussians\.tsgf is damaged"):
            again.read_frame(frame)
    write(again, capture, made(2, 7))  # it can be made again; what built on it is lost with it
    assert Run.open(run.path).frames() == (0, 1, 2)
    assert near(again.read_frame(2), gaussians(7))


def test_a_run_keeps_the_form_that_it_was_begun_with(run: Run, tmp_path: Path, capture: Capture) -> None:
    run.require_keep("compact")
    with pytest.raises(
        InputError, match=r"run keeps its frames in the compact form: leave --keep out, or choose another folder with --out\."
    ):
        Run.create(run.path, capture, {**INFO, "keep": "ply"}).require_keep("ply")
    old = Run.create(tmp_path / "old", capture, INFO)  # of a version before the compact form
    write(old, capture, *map(made, range(3)))
    assert exact(old) == [0, 1, 2]
    assert not list(old.path.rglob("*.tsgf"))
    with pytest.raises(InputError, match="old keeps its frames as PLY files"):
        old.require_keep("compact")


def test_compacting_removes_also_what_missing_frames_start_from_but_for_what_a_motion_hands_on(run: Run) -> None:
    size = run.compact()
    assert size == sum(path.stat().st_size for path in run.path.rglob("*.tsgf"))
    assert [path.parent.name for path in run.path.rglob("carried.safetensors")] == ["frame3"]
    assert not list(run.path.rglob("*.ply"))
    assert near(Run.open(run.path).read_frame(2), drifting(2))


def test_frames_of_a_run_with_a_sequence_and_new_ones_are_read_side_by_side(tmp_path: Path, capture: Capture) -> None:
    """The sequence is what `compact` of older versions left."""
    from trackersplat.gaussians.sequence import write_sequence

    old = Run.create(tmp_path / "old", capture, INFO)
    write(old, capture, *map(made, range(2)))
    write_sequence(old.path / "sequence", (0, 1), old.read_frame)
    for frame in (0, 1):
        shutil.rmtree(folder(old, frame) / "point_cloud")
    again = Run.open(old.path)
    write(again, capture, made(2))
    again.compact()
    assert Run.open(old.path).frames() == (0, 1, 2)
    assert near(again.read_frame(2), drifting(2))
    assert torch.allclose(again.read_frame(0).means, drifting(0).means, atol=1e-3)
