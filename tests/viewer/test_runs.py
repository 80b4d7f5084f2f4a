"""Runs on the page: opened once, shown as they are on disk now."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import Capture
from trackersplat.captures.fingerprints import difference
from trackersplat.errors import InputError
from viewer.runs import Runs
from viewer.state import Shared, Store

CAMERA = Camera("a", 100, 80, np.array([[90.0, 0, 50], [0, 90.0, 40], [0, 0, 1]]), np.eye(4))


class Index:
    """A run that counts how often it is opened and refreshed. Its frames are listed in ``frames`` of run.json."""

    opened = 0

    def __init__(self, path: Path, info: dict[str, Any]) -> None:
        self.path, self.info = path, info
        self.refreshed = 0

    @staticmethod
    def open(path: Path) -> Index:
        if not (path / "run.json").is_file():
            raise InputError(f"{path} is not a run.")
        Index.opened += 1
        return Index(path, json.loads((path / "run.json").read_text()))

    def frames(self) -> tuple[int, ...]:
        return tuple(self.info["frames"]) + tuple(range(10, 10 + self.refreshed))

    def records(self) -> dict[int, Any]:
        return {frame: frame for frame in self.frames()}

    def difference(self, capture: Capture) -> str | None:
        return difference(self.info.get("capture"), capture)

    def refresh(self) -> None:
        if not (self.path / "run.json").is_file():
            raise InputError(f"{self.path} is gone.")
        self.refreshed += 1


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    monkeypatch.setattr("trackersplat.store.run.Run", Index)
    monkeypatch.setattr(Index, "opened", 0)
    capture = Capture("c", Path("nowhere"), "test", (CAMERA,), 12, 30.0, SimpleNamespace())
    store = Store(Shared(frame_count=12))
    return SimpleNamespace(runs=Runs(capture, store), store=store)


def write(path: Path, **info: object) -> Path:
    path.mkdir(exist_ok=True)
    (path / "run.json").write_text(json.dumps(info))
    return path


def test_a_run_is_opened_once_and_refreshed_each_time_it_is_shown(runs: SimpleNamespace, tmp_path: Path) -> None:
    path = write(tmp_path / "run", frames=[0, 1])
    assert runs.runs.show(path)
    assert runs.store.shared.reconstructed == (0, 1)
    assert runs.runs.show(path)
    state = runs.store.shared
    assert (state.run, state.reconstructed, state.records) == (path, (0, 1, 10), {0: 0, 1: 1, 10: 10})
    assert runs.runs.show(path)
    assert runs.store.shared.reconstructed == (0, 1, 10, 11)
    assert runs.runs.get(path) is runs.runs.get(path)
    assert Index.opened == 1


def test_frames_beyond_the_capture_are_left_out(runs: SimpleNamespace, tmp_path: Path) -> None:
    assert runs.runs.show(write(tmp_path / "run", frames=[0, 11, 12]))
    assert runs.store.shared.reconstructed == (0, 11)


def test_a_folder_that_was_removed_and_filled_again_is_opened_again(runs: SimpleNamespace, tmp_path: Path) -> None:
    path = write(tmp_path / "run", frames=[0, 1, 2])
    assert runs.runs.show(path)
    (path / "run.json").unlink()
    assert not runs.runs.show(path)
    assert "is not a run" in runs.store.shared.problems[0][1]
    write(path, frames=[5])
    assert runs.runs.show(path)
    assert runs.store.shared.reconstructed == (5,)
    assert runs.store.shared.problems == ()


def test_a_run_without_frames_is_not_shown(runs: SimpleNamespace, tmp_path: Path) -> None:
    assert not runs.runs.show(write(tmp_path / "run", frames=[]))
    assert runs.store.shared.run is None


def test_a_run_of_other_cameras_is_refused_and_one_that_says_nothing_is_not(runs: SimpleNamespace, tmp_path: Path) -> None:
    assert not runs.runs.show(write(tmp_path / "other", frames=[0], capture={"name": "other", "cameras": ["x"]}))
    said = runs.store.shared.problems[0][1]
    assert re.search(r"other holds a run of other \(folder unknown\), not of c \(.*\): .*; choose another folder", said)
    assert runs.runs.show(write(tmp_path / "own", frames=[0], capture={"name": "c", "cameras": ["a"]}))
    assert runs.runs.show(write(tmp_path / "foreign", frames=[0], capture="?"))
