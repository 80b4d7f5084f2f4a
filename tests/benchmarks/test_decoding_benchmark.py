from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from trackersplat.benchmarks import decoding as benchmark
from trackersplat.captures.registry import open_capture
from trackersplat.errors import InputError


def test_the_benchmark_times_every_order_and_says_where_the_time_goes(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    benchmark.main(cameras=2, frames=16, size="96x64", group=8, images=12, megabits=2.0, json_file=tmp_path / "numbers.json")
    printed = capsys.readouterr().out
    timings = json.loads((tmp_path / "numbers.json").read_text())
    orders = ["one camera, forward", "one camera, backward", "one camera, random", "all cameras of a frame"]
    assert [timing["order"] for timing in timings][:4] == orders
    assert "2 cameras, read at 48x32" in printed
    assert [timing["images"] for timing in timings][:4] == [10, 12, 4, 12]
    for timing in timings[:4]:
        assert timing["seconds"] > 0
        assert timing["cores"] == 1
        assert timing["shares"]["decode"] > 0
        assert sum(timing["shares"].values()) == pytest.approx(1)


def test_the_videos_of_the_benchmark_open_at_half_size_and_move(tmp_path: Path):
    capture = open_capture(benchmark.write_capture(tmp_path / "made", cameras=3, frames=8, width=96, height=64, megabits=2.0, group=4))
    assert [(camera.width, camera.height) for camera in capture.cameras] == [(48, 32)] * 3
    assert capture.frame_count == 8
    first, second = capture.image(1, 0).astype(int), capture.image(1, 5).astype(int)
    assert np.abs(first - second).mean() > 3
    np.testing.assert_array_equal(capture.image(0, 0), capture.image(2, 0))
    capture.close()


def test_wrong_options_are_refused():
    with pytest.raises(InputError, match="--size must be WIDTHxHEIGHT"):
        benchmark.main(size="large")
    with pytest.raises(InputError, match="must be above 0"):
        benchmark.main(cameras=0)
