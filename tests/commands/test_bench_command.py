"""``trackersplat bench motion`` as a user meets it."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tiny_capture import write_tiny_capture
from tiny_truth import write_tiny_points, write_tiny_truth

from trackersplat.benchmarks.motion import METHODS
from trackersplat.cli import main

QUICK = ("--first-steps", "40", "--steps", "4")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With points of its own, so that none are to be found for the base frames."""
    return write_tiny_points(write_tiny_truth(write_tiny_capture(tmp_path_factory.mktemp("captures") / "tiny")))


def bench(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["bench", "motion", *map(str, arguments)])
    assert isinstance(stop.value.code, int)
    return stop.value.code


@pytest.fixture(scope="module")
def finished(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a bench with exact tracks."""
    out = tmp_path_factory.mktemp("benches") / "out"
    before = signal.getsignal(signal.SIGTERM)
    assert bench(folder, "--tracker", "exact", "--out", out, *QUICK) == 0
    signal.signal(signal.SIGTERM, before)
    return out


def test_the_json_holds_every_distance_method_and_setting(finished: Path, folder: Path) -> None:
    data = json.loads((finished / "bench-motion-exact.json").read_text())
    assert [(row["distance"], row["frame"]) for row in data["distances"]] == [(d, d + 1) for d in (1, 2, 3, 4, 5)]
    for row in (*data["distances"], data["mean"]):
        assert set(row["methods"]) == set(METHODS)
        for score in row["methods"].values():
            assert score["psnr"] > 5
            assert score["dynamic_psnr"] > 5
            assert set(score["points"]) == {"dynamic", "static", "dynamic_all", "static_all"}
    assert data["capture"]["held_out"] == ["cam00"]
    made = data["settings"]["reconstruct"]
    assert (data["settings"]["base"], made["tracker"], made["refine"]["steps"]) == (1, "exact", 4)
    assert made["dynamic"]["threshold"] == 0.1
    assert data["run"]["settings"]["first"]["steps"] == 40
    assert {"trackersplat", "python", "packages", "hardware"} <= set(data)


def test_a_second_call_takes_the_base_frame_that_is_there_and_gives_the_same(
    finished: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = json.loads((finished / "bench-motion-exact.json").read_text())
    frame = next((finished / "frame1").rglob("point_cloud.ply"))
    before = frame.stat().st_mtime_ns
    other = tmp_path / "again.json"
    arguments = (folder, "--tracker", "exact", "--distances", "4, 2", "--out", finished, *QUICK, "--json", other)
    assert bench(*arguments) == 0
    printed = capsys.readouterr().out
    assert "fitted" not in printed
    assert "moved + refined" in printed
    assert str(other) in printed.replace("\n", "")
    assert frame.stat().st_mtime_ns == before
    again = json.loads(other.read_text())
    assert [row["distance"] for row in again["distances"]] == [2, 4]
    assert [row["methods"] for row in again["distances"]] == [data["distances"][at]["methods"] for at in (1, 3)]


def test_the_base_frame_of_a_run_serves_another_tracker(finished: Path, folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "dis.json"
    assert bench(folder, "--run", finished, "--distances", "1", "--steps", "2", "--match-rounds", "2", "--json", target) == 0
    data = json.loads(target.read_text())
    made = data["settings"]["reconstruct"]
    assert (made["tracker"], made["motion"]["render_and_match"]["match_rounds"]) == ("dis", 2)
    assert data["base"]["gaussians"] == _count(finished)


def _count(run: Path) -> int:
    return json.loads((run / "bench-motion-exact.json").read_text())["base"]["gaussians"]


def test_without_a_folder_it_goes_below_output_by_the_name_and_base(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert bench(folder, "--base", "5", "--distances", "1", "--first-steps", "20", "--steps", "1") == 0
    assert (tmp_path / "output" / "tiny-bench-5" / "bench-motion-dis.json").is_file()
    assert (tmp_path / "output" / "tiny-bench-5" / "frame5").is_dir()


Case = Callable[[Path, Path, Path], "list[str | Path]"]


def _beyond(folder: Path, run: Path, tmp: Path) -> list[str | Path]:
    return [folder, "--distances", "1,6"]


def _no_numbers(folder: Path, run: Path, tmp: Path) -> list[str | Path]:
    return [folder, "--distances", "1,two"]


def _last_frame(folder: Path, run: Path, tmp: Path) -> list[str | Path]:
    return [folder, "--base", "6"]


def _unknown_tracker(folder: Path, run: Path, tmp: Path) -> list[str | Path]:
    return [folder, "--tracker", "crystal-ball"]


def _unknown_backend(folder: Path, run: Path, tmp: Path) -> list[str | Path]:
    return [folder, "--backend", "abacus"]


def _no_exact_tracks(folder: Path, run: Path, tmp: Path) -> list[str | Path]:
    shutil.copytree(folder, tmp / "copy")
    shutil.rmtree(tmp / "copy" / "gt")
    return [tmp / "copy", "--tracker", "exact"]


def _unreached(folder: Path, run: Path, tmp: Path) -> list[str | Path]:
    shutil.copytree(folder, tmp / "copy")
    path = tmp / "copy" / "gt" / "flow_cam01.npz"
    with np.load(path) as stored:
        arrays = {name: stored[name] for name in stored.files}
    np.savez(path, **{**arrays, "frames": np.array([1, 3, 5, 2, 2])})
    return [tmp / "copy", "--tracker", "exact", "--distances", "1,4"]


def _exact_from_elsewhere(folder: Path, run: Path, tmp: Path) -> list[str | Path]:
    return [folder, "--tracker", "exact", "--base", "2"]


def _nothing_held_out(folder: Path, run: Path, tmp: Path) -> list[str | Path]:
    return [folder, "--hold-out", ""]


def _trained_on(folder: Path, run: Path, tmp: Path) -> list[str | Path]:
    return [folder, "--run", run, "--hold-out", "cam01"]


def _frame_not_there(folder: Path, run: Path, tmp: Path) -> list[str | Path]:
    return [folder, "--run", run, "--base", "3"]


def _no_run(folder: Path, run: Path, tmp: Path) -> list[str | Path]:
    return [folder, "--run", tmp / "nowhere"]


def _run_and_out(folder: Path, run: Path, tmp: Path) -> list[str | Path]:
    return [folder, "--run", run, "--out", tmp / "out"]


def _json_in_no_folder(folder: Path, run: Path, tmp: Path) -> list[str | Path]:
    return [folder, "--run", run, "--json", tmp / "nowhere" / "a.json"]


def _no_steps(folder: Path, run: Path, tmp: Path) -> list[str | Path]:
    return [folder, "--steps", "0"]


def _negative_match_rounds(folder: Path, run: Path, tmp: Path) -> list[str | Path]:
    return [folder, "--match-rounds", "-1"]


def _too_many_match_rounds(folder: Path, run: Path, tmp: Path) -> list[str | Path]:
    return [folder, "--match-rounds", "11"]


CASES = (
    _beyond,
    _no_numbers,
    _last_frame,
    _unknown_tracker,
    _unknown_backend,
    _no_exact_tracks,
    _unreached,
    _exact_from_elsewhere,
    _nothing_held_out,
    _trained_on,
    _frame_not_there,
    _no_run,
    _run_and_out,
    _json_in_no_folder,
    _no_steps,
    _negative_match_rounds,
    _too_many_match_rounds,
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__.strip("_"))
def test_bad_input_is_one_sentence_and_exit_code_two_and_nothing_is_written(
    case: Case, folder: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = case(folder, finished, tmp_path)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    capsys.readouterr()
    assert bench(*arguments) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("error: ")
    assert len(printed.err.strip().splitlines()) == 1
    assert printed.out == ""
    assert list((tmp_path / "work").iterdir()) == []
    assert not (tmp_path / "out").exists()
