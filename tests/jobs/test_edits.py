"""A run that is edited: what is refused, which frames are made again, and what a kill leaves."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from trackersplat.captures.capture import Capture
from trackersplat.cli import main
from trackersplat.edits.edit import Edit
from trackersplat.edits.frame_range import FrameRange
from trackersplat.edits.kinds.correct_point import CorrectPoint
from trackersplat.edits.kinds.drop_camera import DropCamera
from trackersplat.edits.kinds.drop_view import DropView
from trackersplat.edits.kinds.end_track import EndTrack
from trackersplat.edits.kinds.rerun import Rerun
from trackersplat.edits.kinds.reseed import Reseed
from trackersplat.edits.log import EditLog, change_log, read_log
from trackersplat.edits.stale import stale_frames
from trackersplat.errors import InputError
from trackersplat.events import Event, FrameDone, Stale
from trackersplat.files import read_json, write_json
from trackersplat.jobs.edits import add_edit, edit_of, frames_to_redo
from trackersplat.jobs.reconstruct import reconstruct
from trackersplat.motion.evidence import ViewState
from trackersplat.pipelines.settings import ReconstructSettings
from trackersplat.rendering.backends.portable import PortableRasterizer
from trackersplat.store.run import Run

FRAMES = 4


def quick() -> ReconstructSettings:
    plain = ReconstructSettings.for_device("cpu")
    motion = replace(plain.motion, render_and_match=replace(plain.motion.render_and_match, match_rounds=0))
    points = replace(plain.first.points, strategy="patches")
    first = replace(plain.first, steps=40, points=points)
    return replace(plain, first=first, motion=motion, refine=replace(plain.refine, steps=2), metrics=("psnr",))


def events(capture: Capture, run: Run, frames: Sequence[int], redo: Sequence[int] = ()) -> list[Event]:
    return list(reconstruct(capture, run, frames, quick(), PortableRasterizer(), redo=redo))


@pytest.fixture(scope="module")
def finished(small_capture: Capture, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of four frames without edits. Read it, do not write into it."""
    run = Run.create(tmp_path_factory.mktemp("edited") / "run", small_capture, {"settings": quick().to_json()})
    assert not any(isinstance(event, Stale) for event in events(small_capture, run, range(FRAMES)))
    return run.path


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Run:
    shutil.copytree(finished, tmp_path / "run")
    return Run.open(tmp_path / "run")


def contents(run: Run, frame: int) -> dict[str, bytes]:
    (folder,) = [path for path in (run.path / f"frame{frame + 1}", *run.path.glob(f"*/*/frame{frame + 1}")) if path.is_dir()]
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "frame.json"}


def stale(run: Run) -> list[int]:
    return sorted(stale_frames(read_log(run.path), run.records()))


def redo_all(capture: Capture, run: Run) -> list[Event]:
    frames = stale(run)
    return events(capture, run, frames, frames)


def test_frames_after_a_dropped_view_are_made_again_without_it_and_undo_brings_the_same_bytes_back(
    small_capture: Capture, run: Run
) -> None:
    before = {frame: contents(run, frame) for frame in range(FRAMES)}
    add_edit(run, DropView("cam02", FrameRange(2, 2)))
    assert stale(run) == [2, 3]
    found = redo_all(small_capture, run)
    assert [event.frame for event in found if isinstance(event, FrameDone)] == [2, 3]
    assert not any(isinstance(event, Stale) for event in found)
    assert stale(Run.open(run.path)) == []
    for frame, masked in ((2, True), (3, False)):
        evidence = run.read_evidence(frame)
        assert evidence is not None
        assert (evidence.state[evidence.cameras.index("cam02")] <= ViewState.MASKED).all().item() == masked
    assert [contents(run, frame) == before[frame] for frame in range(FRAMES)] == [True, True, False, False]
    rows = (run.path / "metrics.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["frame", "1", "2", "3", "4"]
    change_log(run.path, EditLog.undone)
    assert stale(run) == [2, 3]
    redo_all(small_capture, run)
    assert [contents(run, frame) == before[frame] for frame in range(FRAMES)] == [True] * FRAMES


def test_a_redone_frame_makes_those_after_it_stale_and_that_is_said(small_capture: Capture, run: Run) -> None:
    redo = frames_to_redo(run, "2", range(FRAMES))
    assert redo == {1}
    assert read_log(run.path).edits == (Rerun(FrameRange(1, 1)),)
    found = events(small_capture, run, sorted(redo), sorted(redo))
    assert [event.frame for event in found if isinstance(event, FrameDone)] == [1]
    assert found[-2] == Stale((2, 3))
    assert frames_to_redo(run, "stale", range(3)) == {2}
    assert frames_to_redo(run, "3:4", range(FRAMES)) == {2, 3}
    assert len(read_log(run.path).entries) == 1  # they were stale before
    with pytest.raises(InputError, match="none of the frames 5:6 yet"):
        frames_to_redo(run, "5:6", range(6))


def test_a_run_that_goes_on_applies_its_edits(small_capture: Capture, run: Run) -> None:
    add_edit(run, DropView("cam01", FrameRange(4, 4)))
    assert stale(run) == []
    events(small_capture, Run.open(run.path), range(5))
    again = Run.open(run.path)
    evidence = again.read_evidence(4)
    assert evidence is not None
    assert (evidence.state[evidence.cameras.index("cam01")] <= ViewState.MASKED).all()
    assert stale(again) == []
    assert again.records()[4].edits != ""


def test_a_dropped_camera_is_neither_trained_on_nor_measured(small_capture: Capture, run: Run) -> None:
    add_edit(run, DropCamera("cam02", 3))
    assert stale(run) == [3]
    redo_all(small_capture, run)
    record = run.record(3)
    assert record is not None
    assert set(record.scores["psnr"]) == {"cam00", "cam01", "cam03"}
    evidence = run.read_evidence(3)
    assert evidence is not None
    assert (evidence.weight[evidence.cameras.index("cam02")] == 0).all()


def test_a_correction_and_new_and_ended_tracks_are_in_the_files_and_say_what_failed(small_capture: Capture, run: Run) -> None:
    tracks = run.read_tracks(2)["cam01"]
    inner = (tracks.positions[0] - torch.tensor((32.0, 24.0))).norm(dim=-1).argsort()
    moved, ended = (int(tracks.ids[inner[index]]) for index in (0, 3))
    x, y = (tracks.positions[0, inner[0]] + torch.tensor((2.0, 1.0))).tolist()
    add_edit(run, CorrectPoint(moved, "cam01", 2, x, y))
    add_edit(run, EndTrack((ended,), 2))
    other = run.read_tracks(2)["cam03"]
    shown = (other.visibility[0] == 1).nonzero()[:, 0]
    nearest = shown[(other.positions[0, shown] - torch.tensor((32.0, 24.0))).norm(dim=-1).argmin()]
    seed = (other.positions[0, nearest] + 0.25).tolist()
    add_edit(run, Reseed("cam03", 2, ((seed[0], seed[1]),)))
    add_edit(run, Reseed("cam03", 2, ((-3.0, 1.0),)))
    assert stale(run) == [2, 3]
    redo_all(small_capture, run)
    there, later = run.read_tracks(2), run.read_tracks(3)
    assert (there["cam01"].positions[0, there["cam01"].ids == moved] - torch.tensor((x, y))).abs().max() < 0.02
    assert there["cam01"].ends[0, there["cam01"].ids == ended].tolist() == [6]
    assert ended not in later["cam01"].ids
    assert (there["cam03"].query == torch.tensor((2.0, *seed))).all(1).any()
    assert any("no track starts at 1 of 1 places" in note for note in run.records()[2].notes)


def test_a_redo_that_is_killed_leaves_the_old_frame(small_capture: Capture, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    add_edit(run, DropView("cam02", FrameRange(3, 3)))
    before, folder = contents(run, 3), run.path / run.pipeline_folder / "frame4"
    for target in ("trackersplat.store.frame_files.write_tracks", "trackersplat.files.shutil.rmtree"):
        again = Run.open(run.path)
        with monkeypatch.context() as patch:
            patch.setattr(target, killed)
            with pytest.raises(KeyboardInterrupt):
                events(small_capture, again, [3], [3])
        again = Run.open(run.path)
        assert again.frames() == tuple(range(FRAMES))
        assert (contents(again, 3) == before) == (stale(again) == [3])
    with again.writing():
        assert not folder.with_name(".frame4.old").exists()  # killed after the exchange
    # Killed between the two renames of an exchange.
    folder.rename(folder.with_name(".frame4.old"))
    again = Run.open(run.path)
    assert again.frames() == tuple(range(FRAMES))
    assert len(again.read_frame(3)) == len(again.read_frame(2))
    with again.writing():
        assert folder.is_dir()
        assert not folder.with_name(".frame4.old").exists()
    assert again.frames() == tuple(range(FRAMES))


def killed(*arguments: Any, **options: Any) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (DropView("cam09"), "has no camera named 'cam09'; its cameras are cam00"),
        (DropView("cam00"), "cam00 is held out"),
        (DropCamera("cam01", 6), "Frame 7 is not in"),
        (Rerun(FrameRange(2, 9)), "Frame 10 is not in"),
        (EndTrack((3 << 50,), 1), "has no track 3377699720527872 in frame 2"),
        (CorrectPoint(3 << 50, "cam00", 1, 1.0, 1.0), "has no track"),
    ],
)
def test_an_edit_that_does_not_fit_the_run_is_refused(finished: Path, edit: Edit, said: str) -> None:
    with pytest.raises(InputError, match=said):
        add_edit(Run.open(finished), edit)
    assert read_log(finished) == EditLog()


def test_the_last_two_views_are_not_dropped(run: Run) -> None:
    add_edit(run, DropView("cam01", FrameRange(0, 2)))
    with pytest.raises(InputError, match="would have 1 views"):
        add_edit(run, DropView("cam02", FrameRange(1, 2)))
    add_edit(run, DropView("cam02", FrameRange(3, 3)))


def test_edits_of_tracks_are_refused_where_no_tracks_are_used(run: Run) -> None:
    data = read_json(run.path / "run.json")
    data["settings"]["pipeline"] = "train-base"
    write_json(run.path / "run.json", data)
    with pytest.raises(InputError, match="made by train-base, which uses no tracks: drop_view would change nothing"):
        add_edit(Run.open(run.path), DropView("cam01"))
    add_edit(Run.open(run.path), DropCamera("cam01"))


def test_tracks_go_backward_from_where_the_run_has_them(run: Run) -> None:
    tracks = run.read_tracks(2)["cam01"]
    values = {"tracks": str(int(tracks.ids[4])), "frame": "3", "tracker": "dis", "direction": "backward"}
    edit = edit_of(run, "retrack", values)
    assert edit.to_json()["at"] == [tracks.positions[0, 4].tolist()]
    with pytest.raises(InputError, match="has no track 1000000 in frame 3"):
        edit_of(run, "retrack", {**values, "tracks": "1000000"})


def test_the_command_lists_adds_undoes_and_redoes(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    def said(*arguments: str, code: int = 0) -> str:
        with pytest.raises(SystemExit) as left:
            main(["edits", str(run.path), *arguments])
        assert left.value.code == code
        return " ".join("".join(capsys.readouterr()).split())

    assert "has no edits" in said()
    text = said("--add", "drop_view", "camera=cam02", "frames=3:4")
    assert "Drop the view cam02 in frames 3-4" in text
    assert "2 frames, from 3 to 4 are stale" in text
    assert "(undone)" in said("--undo")
    assert "(undone)" not in said("--redo")
    assert "no undone edit" in said("--redo", code=2)
    assert "expected KEY=VALUE" in said("--add", "drop_view", "cam02", code=2)
    assert "exclude each other" in said("--undo", "--redo", code=2)
    assert all(kind in said("--kinds") for kind in ("correct_point track=ID", "drop_camera"))
    assert [entry.kind for entry in read_log(run.path).active] == ["drop_view"]


def test_reconstruct_redoes_the_frames_that_are_named_and_no_others(
    small_capture_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def command(*arguments: str, code: int = 0) -> str:
        fixed = ["--first-steps", "20", "--steps", "1", "--match-rounds", "0", "--points", "patches", "--device", "cpu"]
        with pytest.raises(SystemExit) as left:
            main(["reconstruct", str(small_capture_folder), "--out", str(tmp_path / "run"), *fixed, *arguments])
        assert left.value.code == code
        return " ".join("".join(capsys.readouterr()).split())

    command("--frames", "1:3")
    assert "none of the frames 4 yet" in command("--redo", "4", code=2)
    text = command("--redo", "2")
    assert "1 frame to reconstruct" in text
    assert "Frame 3 is stale" in text
    assert "1 frame to reconstruct" in command("--redo", "stale")
    assert "0 frames to reconstruct" in command("--redo", "stale")
    assert Run.open(tmp_path / "run").frames() == (0, 1, 2)
