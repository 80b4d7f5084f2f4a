"""The benchmark of whether a batch costs more the more frames came before it."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path

import pytest

from trackersplat.benchmarks import chain_cost as module
from trackersplat.benchmarks.chain_cost import BATCHES, ChainCost, chain_cost
from trackersplat.rendering.backends.portable import PortableRasterizer
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.store.run import Run


def test_the_cost_is_that_of_going_on_from_batch_to_batch_after_the_frames_before(tmp_path: Path) -> None:
    """With a clock that reads 0, 1, 4, 9, ...: the job starts at 0, its batches at 1, 4, 9 and so on; the first one warms up."""
    squares = (float(number**2) for number in count())
    cost = chain_cost(3, tmp_path / "run", PortableRasterizer(), now=squares.__next__)
    assert BATCHES == 8
    assert cost == ChainCost(before=3, resume=1.0, batch=12.0, slowest=19.0)  # of 5, 7, ..., 19
    run = Run.open(tmp_path / "run")
    assert run.frames() == tuple(range(3 + BATCHES + 2))
    assert [done.base for done in run.records().values()] == [None, *range(3 + BATCHES + 1)]
    assert {frame: len(run.read_frame(frame)) for frame in (0, 2, 12)} == dict.fromkeys((0, 2, 12), module.COUNT)


def test_the_table_and_the_file_hold_the_ratio_of_the_last_to_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def made(before: int, folder: Path, rasterizer: Rasterizer) -> ChainCost:
        assert not folder.exists()
        return ChainCost(before, 0.5, 0.01 * before, 0.02 * before)

    monkeypatch.setattr(module, "chain_cost", made)
    module.main(["--before", "2", "5", "--json", str(tmp_path / "costs.json")])
    printed = capsys.readouterr().out
    assert "after    2 frames:    20.0 ms per batch (slowest 40.0), resume 0.50 s" in printed
    assert "ratio 2.50" in printed
    data = json.loads((tmp_path / "costs.json").read_text())
    assert data["ratio"] == pytest.approx(2.5)
    assert data["costs"][1] == {"before": 5, "resume": 0.5, "batch": 0.05, "slowest": 0.1}
