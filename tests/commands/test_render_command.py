"""``trackersplat render`` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from tiny_runs import write_tiny_run

from trackersplat.camera_paths.path_file import read_path
from trackersplat.captures.capture import Capture
from trackersplat.cli import main
from trackersplat.document.document import Document
from trackersplat.document.kinds.delete import Delete
from trackersplat.document.scene_edit import Target
from trackersplat.document.selection import Selection


@pytest.fixture(scope="module")
def run(small_capture: Capture, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_run(tmp_path_factory.mktemp("runs") / "run", small_capture, (0, 1, 2)).path


def render(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as end:
        main(["render", *map(str, arguments)])
    assert isinstance(end.value.code, int)
    return end.value.code


def contents(folder: Path) -> dict[Path, bytes]:
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_ready_made_path_becomes_an_mp4_and_its_file_renders_the_same_again(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved, before = tmp_path / "ring.json", contents(run)
    common = ("--fps", "5", "--size", "64x48", "--background", "102030")
    assert render(run, "--move", "ring", "--seconds", "1", "--out", tmp_path / "a.mp4", "--save-path", saved, *common) == 0
    assert f"{tmp_path / 'a.mp4'}: 5 pictures of 64x48" in capsys.readouterr().out
    assert read_path(saved).loop
    assert render(run, "--path", saved, "--out", tmp_path / "b.mp4", *common) == 0
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
    assert contents(run) == before


def test_cameras_give_one_video_each_in_their_own_size_numbered_as_the_frames(run: Path, tmp_path: Path) -> None:
    assert render(run, "--cameras", "cam01,cam03", "--frames", "2:3", "--out", tmp_path / "views") == 0
    for camera in ("cam01", "cam03"):
        images = sorted((tmp_path / "views" / camera).iterdir())
        assert [path.name for path in images] == ["frame00002.png", "frame00003.png"]
        assert cv2.imread(str(images[0])).shape == (48, 64, 3)
    assert render(run, "--cameras", "cam01,cam03", "--frames", "2", "--out", tmp_path / "v.zip") == 0
    assert {path.name for path in tmp_path.glob("*.zip")} == {"v-cam01.zip", "v-cam03.zip"}


def test_edits_of_the_document_are_rendered_unless_they_are_not_wanted(small_capture: Capture, tmp_path: Path) -> None:
    edited = write_tiny_run(tmp_path / "run", small_capture, (0, 1))
    document = Document.open(edited)
    document.do(Delete(Target.of(Selection(document.ids(0)[:1]))))  # the red one
    for name, options in (("edited", ()), ("plain", ("--no-edits",))):
        assert render(edited.path, "--cameras", "cam00", "--out", tmp_path / name, *options) == 0
    shown = {name: cv2.imread(str(tmp_path / name / "frame00001.png")).reshape(-1, 3).astype(int) for name in ("edited", "plain")}
    red = {name: int((pixels[:, 2] - pixels[:, :2].max(axis=1)).max()) for name, pixels in shown.items()}
    assert red["plain"] > 100
    assert red["edited"] <= 0


def test_programs_get_events_and_the_last_one_is_finished(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert render(run, "--cameras", "cam00", "--out", tmp_path / "v", "--events", "json") == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["event"] for event in events] == ["VideoStarted", *["PictureDone"] * 3, "VideoDone", "Finished"]
    assert render(run, "--cameras", "cam00", "--out", tmp_path / "v", "--events", "json") == 2
    (failed,) = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert failed["event"] == "Failed"
    assert "is there already" in failed["message"]


def test_a_stopped_rendering_says_that_nothing_is_kept(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(*_: object) -> np.ndarray:
        raise KeyboardInterrupt

    monkeypatch.setattr("trackersplat.jobs.render_video.picture", stopped)
    assert render(run, "--move", "orbit", "--out", tmp_path / "a.mp4") == 130
    assert capsys.readouterr().err == "Stopped. Nothing is kept of a video that is not complete.\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "give one of --path FILE, --move NAME and --cameras NAMES"),
        (("--move", "orbit", "--cameras", "cam00"), "give one of --path FILE"),
        (("--move", "spiral"), "There is no ready-made camera path named 'spiral'"),
        (("--cameras", "cam9"), "no camera named 'cam9'; its cameras are cam00, cam01, cam02, cam03"),
        (("--cameras", ","), "no camera named ''"),
        (("--cameras", "cam00", "--frames", "9"), "frames 1 to 3"),
        (("--move", "orbit", "--size", "64"), "--size 64 is not understood"),
        (("--move", "orbit", "--size", "65x48"), "even width and height, not 65x48: give --size 66x48"),
        (("--move", "orbit", "--background", "blue"), "The colour 'blue' is not understood"),
        (("--move", "bullet-time", "--freeze", "9"), "can be stopped at frame 1 to 3, not at 9"),
        (("--path", "gone.json"), "gone.json is missing"),
        (("--move", "orbit", "--crf", "99"), "--crf is from 0 to 51"),
    ],
)
def test_what_cannot_be_rendered_is_one_sentence_and_nothing_is_written(
    run: Path, tmp_path: Path, arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert render(run, "--out", tmp_path / "a.mp4", *arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert words in error
    assert len(error.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_names_that_are_no_video_and_runs_that_are_none_are_refused(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert render(run, "--move", "orbit", "--out", tmp_path / "a.avi") == 2
    assert "Videos are written as FILE.mp4" in capsys.readouterr().err
    assert render(tmp_path / "none", "--move", "orbit", "--out", tmp_path / "a.mp4") == 2
    assert "There is no run at" in capsys.readouterr().err
