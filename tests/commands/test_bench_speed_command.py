"""``trackersplat bench speed`` as a user meets it."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from trackersplat.captures.registry import open_capture
from trackersplat.cli import main
from trackersplat.events import Event
from trackersplat.jobs.reconstruct import reconstruct
from trackersplat.rendering.rasterizer import Rasterizer

TINY = ("--views", "3", "--size", "48x36", "--gaussians", "400", "--batch", "2", "--first-steps", "20", "--steps", "2")


def bench(*arguments: str | Path, device: str = "cpu") -> int:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as stop:
        main(["bench", "speed", *TINY, "--device", device, *map(str, arguments)])
    signal.signal(signal.SIGTERM, before)
    assert isinstance(stop.value.code, int)
    return stop.value.code


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("speed") / "out"
    assert bench("--frames", "4", "--runs", "2", "--out", out) == 0
    return out


def test_the_numbers_are_of_every_run_with_and_without_motion(finished: Path) -> None:
    data = json.loads((finished / "bench-speed.json").read_text())
    assert {method: len(costs) for method, costs in data["runs"].items()} == {"moved + refined": 2, "do nothing": 2}
    for method, costs in data["runs"].items():
        for cost in costs:
            assert set(cost["stages"]) == {"track", "move", "match", "refine", "measure", "decode", "write"}
            assert (cost["stages"]["track"] > 0) == (method != "do nothing")
            assert len(cost["batches"]) == 2  # frames 2 and 3, frame 4
            assert cost["seconds"] >= sum(cost["stages"][stage] for stage in ("track", "move", "match", "refine", "measure"))
            assert cost["megabytes"] > 0.001
            assert cost["gib"] > 0.05  # of a process that has imported PyTorch
            assert cost["scores"]["psnr"] > 5
    assert data["asked"]["frames"] == 4
    assert data["settings"]["refine"]["steps"] == 2
    assert data["first_frame"]["gaussians"] <= 400
    assert data["gpu_busy"] is None


def test_the_capture_stays_and_opens_like_any_other(finished: Path) -> None:
    capture = open_capture(str(finished / "capture"))
    assert [camera.name for camera in capture.cameras] == ["cam00", "cam01", "cam02", "held"]
    assert (capture.held_out, capture.frame_count) == (("held",), 4)
    assert capture.image(0, 3).shape == (36, 48, 3)
    assert (capture.image(0, 0) != capture.image(0, 3)).any()
    capture.close()


def test_a_fitted_frame_is_put_in_motion(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("--frames", "2", "--from", finished / "first", "--out", tmp_path / "again") == 0
    printed = capsys.readouterr().out
    assert "3 views of 48x36" in printed
    assert "all in, s" in printed
    data = json.loads((tmp_path / "again" / "bench-speed.json").read_text())
    assert data["asked"]["from"] == str(finished / "first")


def test_several_devices_are_named_and_reach_what_one_does(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    helping: list[int] = []

    def noted(*arguments: Any, others: Sequence[Rasterizer] = ()) -> Iterator[Event]:
        helping.append(len(others))
        return reconstruct(*arguments, others=others)

    monkeypatch.setattr("trackersplat.benchmarks.speed.reconstruct", noted)
    assert bench("--frames", "4", "--out", tmp_path / "two", device="cpu,cpu") == 0
    assert capsys.readouterr().out.count("(portable)") == 2
    one, two = (json.loads((folder / "bench-speed.json").read_text())["runs"] for folder in (finished, tmp_path / "two"))
    for method in one:
        assert two[method][0]["scores"] == one[method][0]["scores"]
    assert helping[1:] == [1] * (len(helping) - 1), "in all runs after the first frame"
    assert len(helping) > 2


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--size", "48"), "--size must be WIDTHxHEIGHT"),
        (("--views", "1"), "--views must be from 2"),
        (("--runs", "0"), "--runs must be at least 1"),
        (("--from", "nowhere"), "There is no run at nowhere"),
    ],
)
def test_bad_input_is_told(arguments: tuple[str, ...], complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench(*arguments, "--out", tmp_path / "out") == 2
    assert complaint in capsys.readouterr().err


def test_a_folder_with_something_else_is_not_emptied(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.txt").write_text("kept")
    assert bench("--out", tmp_path) == 2
    assert "holds something else" in capsys.readouterr().err
    assert (tmp_path / "mine.txt").read_text() == "kept"
