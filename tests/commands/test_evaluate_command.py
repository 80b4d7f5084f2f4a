"""``trackersplat evaluate tracks`` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import making_track_files as made
import numpy as np
import pytest
from tiny_capture import write_tiny_capture
from tiny_truth import write_tiny_truth

from trackersplat.cli import main


def evaluate(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as end:
        main(["evaluate", "tracks", *map(str, arguments)])
    return int(end.value.code or 0)


def test_tracks_off_by_two_centimetres_score_so_and_say_the_protocol(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = made.write(tmp_path / "truth.npz", "tapip3d")
    found = made.write(tmp_path / "found.npz", "tapip3d", coords=np.add(made.WORLD, (0, 0.015, 0)).astype(np.float32))
    assert evaluate(found, "--truth", truth, "--protocol", "mvtracker-dexycb", "--json", tmp_path / "all.json") == 0
    assert "MVTracker (DexYCB thresholds): 3 tracks" in capsys.readouterr().out
    scores = json.loads((tmp_path / "all.json").read_text())["scores"]["mvtracker-dexycb"]
    assert scores["values"]["MTE"] == pytest.approx(1.5, abs=1e-3)
    assert scores["values"]["delta_avg"] == pytest.approx(80)  # beyond 1 cm, within 2, 5, 10 and 20
    assert scores["values"]["static.MTE"] is None
    assert scores["units"]["MTE"] == "cm"


def test_a_prediction_without_a_camera_is_measured_in_that_of_the_truth(tmp_path: Path) -> None:
    truth = made.write(tmp_path / "truth.npz", "tapvid3d")
    np.savez(tmp_path / "found.npz", tracks_XYZ=made.local().astype(np.float32), visibility=made.VISIBLE)
    arguments = ["--truth", str(truth), "--size", "64x48", "--json", str(tmp_path / "a.json")]
    assert evaluate(tmp_path / "found.npz", *arguments) == 0
    scores = json.loads((tmp_path / "a.json").read_text())["scores"]
    assert scores["tapvid3d"]["values"]["3D-AJ"] == 100
    assert scores["mvtracker-dexycb"]["values"]["MTE"] == pytest.approx(0, abs=1e-4)


def test_tracks_in_images_are_measured_by_tapvid(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth, found = made.write(tmp_path / "t.npz", "tapvid"), made.write(tmp_path / "f.npz", "cotracker")
    assert evaluate(found, "--truth", truth) == 0
    out = capsys.readouterr().out
    assert "TAP-Vid (query first, 256 x 256)" in out
    assert "100.00" in out


def test_the_truth_may_be_a_capture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_tiny_truth(write_tiny_capture(tmp_path / "tiny"))
    found = made.write(tmp_path / "f.npz", "tapip3d")
    assert evaluate(found, "--truth", folder, "--camera", "cam01") == 2
    assert "both must be of the same queries and frames" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--protocol", "tapvid-mv"], "There is no track protocol named 'tapvid-mv'"),
        (["--protocol", "tapvid-first"], "choose another protocol"),
        (["--alignment", "best"], "--alignment must be one of"),
        (["--size", "big"], "--size must be WIDTHxHEIGHT"),
        (["--format", "mvtracker"], "has no array"),
    ],
)
def test_what_cannot_be_measured_is_told_in_a_sentence(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = made.write(tmp_path / "a.npz", "tapip3d")
    assert evaluate(file, "--truth", file, *arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
