"""``trackersplat tracks``, ``bench trackers`` and ``reconstruct --tracks`` as a user meets them."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from stand_in_places import install_stand_in, make_places
from stand_in_trackers import write_mvtracker
from tiny_capture import quad_center, write_tiny_capture
from tiny_truth import write_tiny_points, write_tiny_truth

from trackersplat.benchmarks.motion import METHODS
from trackersplat.benchmarks.trackers import TrackerDone
from trackersplat.captures.registry import open_capture
from trackersplat.cli import main
from trackersplat.commands.bench_trackers import space_table, tracker_table
from trackersplat.metrics.tracks.compared import TrackScores
from trackersplat.store.run import Run
from trackersplat.tracking.trackers.file import content_hash

QUICK = ("--first-steps", "20", "--steps", "2", "--frames", "1:2")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_points(write_tiny_truth(write_tiny_capture(tmp_path_factory.mktemp("captures") / "tiny")))


def run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as end:
        main([*map(str, arguments)])
    return int(end.value.code or 0)


@pytest.fixture(scope="module")
def truth(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tracks") / "truth.npz"
    assert run("tracks", folder, "--tracker", "truth", "--out", path, "--camera", "cam02") == 0
    return path


def test_the_truth_of_a_capture_as_a_file_scores_perfectly(folder: Path, truth: Path, tmp_path: Path) -> None:
    arguments = ["--protocol", "tapvid3d,mvtracker-dexycb", "--camera", "cam02", "--json", tmp_path / "a.json"]
    assert run("evaluate", "tracks", truth, "--truth", folder, *arguments) == 0
    scores = json.loads((tmp_path / "a.json").read_text())["scores"]
    assert scores["tapvid3d"]["values"]["APD"] == pytest.approx(100)
    assert scores["mvtracker-dexycb"]["values"]["MTE"] == pytest.approx(0, abs=1e-3)


def test_a_reconstruction_is_driven_by_the_tracks_of_a_file_and_diagnosed(
    folder: Path, truth: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert run("reconstruct", folder, "--tracks", truth, "--out", out, *QUICK) == 0
    made = Run.open(out)
    assert made.frames() == (0, 1)
    settings = made.info["settings"]
    assert settings["tracker"] == "file"
    assert settings["tracking"]["sha256"] == content_hash(truth)
    done = made.records()[1]
    assert done.measured + done.static > 0.8
    assert run("diagnose", out, "--capture", folder) == 0
    assert "tracks" in capsys.readouterr().out


def test_points_are_followed_in_all_views_and_lifted(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    points = tmp_path / "points.txt"
    points.write_text("# frame x y z\n1 -0.3 -0.15 0\n1, -0.2, -0.1, 0\n2 0.9 0.5 1.5\n")
    assert run("tracks", folder, "--points", points, "--frames", "1:4", "--out", tmp_path / "a.npz") == 0
    assert "3 tracks over 4 frames" in capsys.readouterr().out
    with np.load(tmp_path / "a.npz") as file:
        assert file["tracks_XYZ"].shape == (4, 3, 3)
        assert file["queries_xyt"][:, 2].tolist() == [0, 0, 1]
        assert np.isnan(file["tracks_XYZ"][0, 2]).all()


@pytest.mark.parametrize("how", [["--tracker", "chain"], ["--tracking", "accurate"]])
def test_points_of_the_quad_are_followed_by_a_plain_chain_and_by_joined_views(
    folder: Path, tmp_path: Path, how: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    start, end = np.array(quad_center(0)), np.array(quad_center(1))
    offsets = np.array([[-0.15, -0.1, 0.0], [0.1, -0.1, 0.0], [0.1, 0.15, 0.0]])
    points = tmp_path / "points.txt"
    np.savetxt(points, np.column_stack((np.ones(3), start + offsets)))
    assert run("tracks", folder, "--points", points, "--frames", "1:2", "--camera", "cam01", "--out", tmp_path / "a.npz", *how) == 0
    assert "3 tracks over 2 frames" in capsys.readouterr().out
    with np.load(tmp_path / "a.npz") as file:
        camera = open_capture(folder).cameras[1]
        expected = (end + offsets) @ camera.rotation.T + camera.translation
        error = np.linalg.norm(file["tracks_XYZ"][1] - expected, axis=1)
    assert (error[np.isfinite(error)] < 0.05).all()  # a pixel is 0.03 there
    assert np.isfinite(error).sum() >= 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "a.txt"], "--out must be an .npz"),
        (["--out", "a.npz"], "needs the Gaussians of a run"),
        (["--out", "a.npz", "--tracker", "gaussians"], "carries points with the Gaussians of a run: give one with --run"),
        (["--out", "a.npz", "--points", "missing.txt"], "missing.txt is missing"),
        (["--out", "a.npz", "--tracker", "best"], "There is no tracker named 'best'"),
        (["--out", "a.npz", "--tracker", "chain", "--tracking", "accurate"], "leave it out with --tracker chain"),
    ],
)
def test_what_cannot_be_made_is_told_in_a_sentence(
    arguments: list[str], message: str, folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("tracks", folder, *arguments) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "a.npz").exists()


def test_a_line_that_is_no_point_is_named(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    points = tmp_path / "points.txt"
    points.write_text("1 0 0 0\n99 0 0 0\n")
    assert run("tracks", folder, "--points", points, "--out", tmp_path / "a.npz") == 2
    assert "points.txt, line 2" in capsys.readouterr().err


def test_trackers_are_measured_beside_doing_nothing(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("bench", "trackers", folder, "--trackers", "dis", "--frames", "4", "--json", tmp_path / "a.json") == 0
    assert "TAP-Vid (query first, 256 x 256)" in capsys.readouterr().out
    rows = {row["tracker"]: row for row in json.loads((tmp_path / "a.json").read_text())["rows"]}
    assert list(rows) == ["do nothing", "plain DIS chain", "dis"]
    still, found = (rows[name]["dynamic"]["values"]["delta_avg"] for name in ("do nothing", "dis"))
    assert found > still + 20
    assert rows["dis"]["space"]["protocol"] == "MVTracker (DexYCB thresholds)"
    assert rows["do nothing"]["all"]["values"]["OA"] > 80  # everything counts as visible, and most is
    assert rows["dis"]["seconds"] > 0


def test_the_tables_of_the_bench_fit_into_80_columns_with_every_number_whole() -> None:
    flat = TrackScores("TAP-Vid", {"AJ": 100.0, "delta_avg": 100.0, "OA": 100.0}, {}, 9)
    space = TrackScores("MVTracker", {"MTE": 1234.5, "dynamic.MTE": 1234.5, "AJ": 100.0}, {}, 9)
    row = TrackerDone("locotrack-small, accurate", flat, flat, {}, space, dict.fromkeys(METHODS, 31.25), 12345.6, 123456_000_000)
    out = StringIO()
    Console(file=out, width=80, highlight=False).print(tracker_table("title", [row]), space_table([row]))
    lines = [line.split() for line in out.getvalue().splitlines() if "locotrack" in line]
    assert lines[0] == ["locotrack-small,", *["100.0"] * 6, "12345.6", "123456"]
    assert lines[1] == ["locotrack-small,", "accurate", "1234.5", "1234.5", "100.0", "31.2", "31.2", "31.2"]
    assert "…" not in out.getvalue()


def test_a_tracker_without_its_tracks_is_told_in_its_row(folder: Path, tmp_path: Path) -> None:
    assert run("bench", "trackers", folder, "--trackers", "file", "--frames", "2", "--json", tmp_path / "a.json") == 0
    failed = json.loads((tmp_path / "a.json").read_text())["rows"][-1]
    assert "name it with --tracks" in failed["failed"]
    assert failed["all"] is None


def test_the_bench_of_trackers_has_a_row_for_tracks_joined_between_views(folder: Path, tmp_path: Path) -> None:
    where = tmp_path / "rows.json"
    assert run("bench", "trackers", folder, "--trackers", "dis", "--tracking", "accurate", "--frames", "2", "--json", where) == 0
    rows = json.loads(where.read_text())["rows"]
    assert [row["tracker"] for row in rows] == ["do nothing", "plain DIS chain", "dis", "dis, accurate"]
    assert not any(row["failed"] for row in rows)
    assert rows[3]["all"]["values"]["AJ"] > rows[0]["all"]["values"]["AJ"]


def test_a_tracker_in_space_drives_a_reconstruction_and_its_tracks_can_be_written(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install_stand_in("mvtracker", write_mvtracker, make_places(tmp_path, monkeypatch), monkeypatch)
    out, file = tmp_path / "run", tmp_path / "a.npz"
    assert run("tracks", folder, "--tracker", "mvtracker", "--out", file) == 2
    assert "The tracker mvtracker needs depths" in capsys.readouterr().err
    assert run("reconstruct", folder, "--tracker", "mvtracker", "--out", out, *QUICK) == 0
    made = Run.open(out)
    assert made.info["settings"]["depth_tracker"] == "dis"
    assert made.records()[1].measured > 0.3
    assert run("tracks", folder, "--tracker", "mvtracker", "--run", out, "--frames", "1:2", "--out", file) == 0
    with np.load(file) as written:
        assert written["tracks_XYZ"].shape[0] == 2
        step = written["tracks_XYZ"][1] - written["tracks_XYZ"][0]
    assert np.ptp(step, axis=0).max() < 1e-3  # the stand-in moves all points alike
    carried = tmp_path / "b.npz"
    assert run("tracks", folder, "--tracker", "gaussians", "--run", out, "--frames", "1:2", "--out", carried) == 0
    with np.load(carried) as written:
        assert np.isfinite(written["tracks_XYZ"]).all()
    assert np.linalg.norm(step[0]) > 0.05
    assert run("reconstruct", folder, "--tracks", file, "--out", tmp_path / "again", *QUICK) == 0
    assert Run.open(tmp_path / "again").records()[1].measured > 0.3
