"""``trackersplat prepare`` as a user meets it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import get_args, get_type_hints

import numpy as np
import pytest
import torch
from instantsplat_stand_in import installed, write_answer

from trackersplat.captures.registry import open_capture
from trackersplat.cli import main
from trackersplat.commands.prepare import Prepare, default_folder
from trackersplat.sfm.initialisers import initialiser_info
from trackersplat.sfm.settings import Points, PrepareSettings


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(["prepare", *arguments])
    return int(end.value.code or 0)


def test_a_capture_is_prepared_once_and_the_folder_opens(
    small_capture_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    pytest.importorskip("pycolmap", reason="pycolmap is not installed (the sfm extra)")
    monkeypatch.chdir(tmp_path)
    before = {path.name: path.stat().st_mtime_ns for path in small_capture_folder.iterdir()}
    assert run(str(small_capture_folder), "--hold-out", "cam02", "--scale", "0.5") == 0
    said = capsys.readouterr().out
    assert "poses as given" in said
    assert "trackersplat-view prepared/tiny" in said
    assert all(name in said for name in ("cam00", "cam01", "cam02", "cam03"))
    capture = open_capture("prepared/tiny")
    assert (capture.held_out, capture.cameras[0].width, capture.image(0, 0).shape) == (("cam02",), 32, (24, 32, 3))
    assert run(str(small_capture_folder), "--hold-out", "cam02", "--scale", "0.5") == 0
    assert "was prepared in this way before" in capsys.readouterr().out
    assert {path.name: path.stat().st_mtime_ns for path in small_capture_folder.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["prepared"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--scale", "2"], "error: --scale must be a number above 0 and at most 1"),
        (["--hold-out", "a/b"], "error: --hold-out: a camera name must be a plain name"),
        (["--hold-out", "cam77"], "holds out the camera 'cam77'"),
        (["--intrinsics", "shared"], "--intrinsics shared changes the lenses"),
    ],
)
def test_bad_options_are_one_sentence_and_write_nothing(
    small_capture_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
):
    pytest.importorskip("pycolmap", reason="pycolmap is not installed (the sfm extra)")
    monkeypatch.chdir(tmp_path)
    assert run(str(small_capture_folder), *arguments) == 2
    said = capsys.readouterr().err.strip()
    assert message in said
    assert "\n" not in said
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_there_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    pytest.importorskip("pycolmap", reason="pycolmap is not installed (the sfm extra)")
    assert run(str(tmp_path / "nowhere"), "--out", str(tmp_path / "out")) == 2
    assert "there is no such folder" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_points_of_a_network_are_reported_with_its_terms_and_a_poor_fit_is_refused(
    small_capture_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "pycolmap", None)  # which has nothing to do here
    assert run(str(small_capture_folder), "--points", "vggt") == 2
    assert (
        "error: VGGT does not work here: the package instantsplat is not installed (pip install instantsplat); " in capsys.readouterr().err
    )
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    capture = open_capture(small_capture_folder)
    cameras = [capture.cameras[index] for index in capture.training_cameras]
    xyz = np.random.default_rng(0).uniform((-0.4, -0.3, -0.2), (0.4, 0.3, 0.4), (50, 3))
    write_answer(tmp_path / "weights", initialiser_info("vggt"), xyz, np.full(xyz.shape, 90), cameras)
    with installed(tmp_path / "site"):
        assert run(str(small_capture_folder), "--points", "vggt", "--weights", "weights") == 0
    said = capsys.readouterr().out
    assert "50 points by VGGT, median error 0.000 px, poses as given" in said
    assert "code VGGT License; weights VGGT License (commercial use allowed, military use not)" in said
    assert "loading" not in said
    assert "adding" not in said
    write_answer(tmp_path / "checkpoints", initialiser_info("vggt"), xyz, np.full(xyz.shape, 90), cameras[::-1])
    with installed(tmp_path / "again"):
        assert run(str(small_capture_folder), "--points", "vggt", "--out", "prepared/again") == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith("error: VGGT's cameras do not fit the known poses")
    assert "\n" not in said
    assert [path.name for path in (tmp_path / "prepared").iterdir()] == ["tiny"]


def test_the_command_offers_the_points_there_are():
    assert get_args(get_type_hints(Prepare)["points"]) == get_args(Points)
    assert PrepareSettings().weights == Prepare("demo").weights


@pytest.mark.parametrize(
    ("capture", "folder"),
    [("demo", "demo"), ("/data/stage/", "stage"), ("/data/a b$c", "a b_c"), ("/data/.hidden", "hidden"), ("/", "capture")],
)
def test_the_default_folder_is_named_after_the_data_and_stays_below_the_working_folder(capture: str, folder: str):
    assert default_folder(capture) == Path("prepared") / folder
