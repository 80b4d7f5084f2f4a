"""``trackersplat check`` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tiny_capture import FRAMES, cameras, render, write_n3dv

from trackersplat.checks import events
from trackersplat.checks.events import Checked, Step
from trackersplat.checks.findings import from_json
from trackersplat.cli import main


@pytest.fixture(scope="module")
def black(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny capture with a camera that filmed with its cap on."""
    views = cameras()
    images = [np.stack([render(camera, frame) for frame in range(FRAMES)]) for camera in views]
    images[2][:] = 0
    return write_n3dv(tmp_path_factory.mktemp("captures") / "black", views, images)


def check(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["check", *map(str, arguments)])
    assert isinstance(stop.value.code, int)
    return stop.value.code


def test_the_table_names_the_camera_the_finding_and_what_to_do(black: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(black) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "cam02 is black in every frame checked." in printed
    assert "Leave the camera out, or record or copy it again." in printed
    assert "1 problem" in printed
    for name in ("cam00", "cam01", "cam02", "cam03"):
        assert name in printed


def test_the_json_holds_the_findings_and_every_camera(black: Path, tmp_path: Path) -> None:
    file = tmp_path / "check.json"
    assert check(black, "--json", file, "--frames", "2:5") == 0
    data = json.loads(file.read_text())
    assert data["frames"] == [2, 3, 4, 5]
    report = from_json(data)
    assert [measures.camera for measures in report.cameras] == ["cam00", "cam01", "cam02", "cam03"]
    assert report.findings[0].camera == "cam02"
    assert report.cameras[2].blank == 4


def test_a_problem_is_an_error_only_where_that_is_asked_for(
    black: Path, small_capture_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(black, "--strict") == 2
    assert capsys.readouterr().err == "error: black has 1 problem: see the findings.\n"
    assert check(small_capture_folder, "--strict") == 0


def test_events_are_one_json_object_a_line_and_end_with_the_report(black: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(black, "--events", "json") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    *steps, checked = [events.from_json(line) for line in lines[:-1]]
    assert steps[0] == Step("reading frames", 1, FRAMES)
    assert all(isinstance(step, Step) for step in steps)
    assert isinstance(checked, Checked)
    assert lines[-1]["event"] == "Finished"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--frames", "3:99"), "frames"),
        (("--frames", "x"), "not understood"),
        (("--json", "/no/such/folder/check.json"), "cannot be written"),
    ],
)
def test_bad_options_are_one_sentence_and_exit_code_2(
    small_capture_folder: Path, options: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(small_capture_folder, *options) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert words in err


def test_stopping_is_said_and_leaves_no_file(
    black: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("trackersplat.checks.check.measure_poses", stop)
    assert check(black, "--json", tmp_path / "check.json") == 130
    assert "Stopped" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
