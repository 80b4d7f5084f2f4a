"""Exports that the page asks for, with a small script in the place of the worker."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from waiting import wait_for

from trackersplat.errors import InputError
from trackersplat.events import Finished, to_json
from trackersplat.jobs.export_events import EVENTS, ExportStarted, FileDone, FrameCompared, FrameWritten, Pruned, Said
from viewer import jobs
from viewer.export_job import ExportChoice, ExportJob
from viewer.jobs import Job
from viewer.state import Shared, Store


class Worker:
    """Starts a script that says these events, and remembers the command lines it was asked for."""

    def __init__(self, *events: dict[str, Any], wait: bool = False) -> None:
        said = "\n".join(json.dumps(event) for event in events)
        self._script = f"import signal, sys; print({said!r}, flush=True); {'signal.pause()' if wait else 'sys.exit(0)'}"
        self.commands: list[list[str]] = []

    def __call__(self, command: list[str], *arguments: Any) -> Job[Any]:
        self.commands.append(command)
        return Job([sys.executable, "-c", self._script], *arguments)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(jobs, "NICENESS", 0)
    (tmp_path / "run" / "exports").mkdir(parents=True)
    return Store(Shared(run=tmp_path / "run", reconstructed=(0, 1, 2, 3, 5)))


def test_a_finished_export_says_its_size_and_loss_and_is_offered_by_its_number(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "run" / "exports" / "html-001.html"
    worker = Worker(
        EVENTS.to_json(ExportStarted(2)), EVENTS.to_json(Said("30 frames per second are assumed.")),
        EVENTS.to_json(Pruned(5, 50, 41.25)), EVENTS.to_json(FrameWritten(2)), EVENTS.to_json(FrameCompared(1, 42.5)),
        EVENTS.to_json(FileDone(str(file), 2, 3_000_000)), to_json(Finished(2.0)),
    )  # fmt: skip
    export = ExportJob(store, "portable", start=worker)
    export.start(ExportChoice("html", 1, 3, 0, 0.01, False))
    wait_for(lambda: not export.state.running, "the export")
    file.write_text("page")
    assert worker.commands[0][3:] == [
        "export", str(tmp_path / "run"), "--out", str(file), "--events", "json", "--format", "html", "--frames", "2:4",
        "--sh-degree", "0", "--prune", "0.01", "--no-edits", "--backend", "portable",
    ]  # fmt: skip
    (made,) = export.made
    assert made.title() == "html-001.html, 3.0 MB"
    assert made.said == (
        "2 frames, 3.00 MB, 1,500 kB per frame. Read back: frame 2 shows what the run shows with at least 42.5 dB. 30 frames per second "
        "are assumed. Pruned: 5 of 50 Gaussians (10.0%) are left out; the pictures without them show those with them with at least 41.2 dB."
    )
    assert export.file(1) == file
    assert export.file(2) is None
    assert store.shared.export > 5


def test_a_folder_is_named_and_not_offered_for_download(store: Store, tmp_path: Path) -> None:
    plys = tmp_path / "run" / "exports" / "ply-001"
    export = ExportJob(store, start=Worker(EVENTS.to_json(FileDone(str(plys), 3, 9)), to_json(Finished(1.0))))
    export.start(ExportChoice("ply"))
    wait_for(lambda: not export.state.running, "the export")
    plys.mkdir()
    assert export.made[0].file == plys
    assert export.file(1) is None


def test_an_export_can_be_cancelled_and_only_one_is_written(store: Store) -> None:
    export = ExportJob(store, start=Worker(EVENTS.to_json(ExportStarted(2)), EVENTS.to_json(FrameWritten(1)), wait=True))
    export.start(ExportChoice())
    wait_for(lambda: export.state.share == pytest.approx(0.5), "the first frame")
    with pytest.raises(InputError, match="An export is being written"):
        export.start(ExportChoice())
    export.cancel()
    wait_for(lambda: not export.state.running, "the end")
    assert export.state.text == "The export was cancelled; nothing of it is kept."
    assert not export.state.failed


def test_a_range_with_a_gap_is_refused_and_a_whole_run_with_one_is_not(store: Store) -> None:
    worker = Worker(to_json(Finished(1.0)))
    export = ExportJob(store, start=worker)
    with pytest.raises(InputError, match="Frame 5 is not reconstructed"):
        export.start(ExportChoice("ply", 3, 5))
    assert worker.commands == []
    export.start(ExportChoice("ply"))
    wait_for(lambda: not export.state.running, "the export")
    assert "--frames" not in worker.commands[0]


def test_a_range_without_frames_is_refused(store: Store) -> None:
    export = ExportJob(store, start=Worker())
    with pytest.raises(InputError, match="No frame between in and out point"):
        export.start(ExportChoice("ply", 4, 4))
    assert not export.state.running


def test_frames_that_the_clip_leaves_out_are_refused_before_the_worker_starts(store: Store) -> None:
    worker = Worker(to_json(Finished(1.0)))
    export = ExportJob(store, start=worker)
    with pytest.raises(InputError, match=r"Frames 2 to 4 are not in the clip as it is edited .* without the edits of the scene\.$"):
        export.start(ExportChoice("ply", 1, 3), played=(0,))
    assert worker.commands == []
    export.start(ExportChoice("ply", 1, 3, edits=False), played=(0,))
    wait_for(lambda: not export.state.running, "the export")
    assert worker.commands[0][11:13] == ["--frames", "2:4"]


def test_what_is_said_after_the_file_is_written_is_kept_with_it(store: Store, tmp_path: Path) -> None:
    file = str(tmp_path / "run" / "exports" / "x.html")
    worker = Worker(EVENTS.to_json(FileDone(file, 1, 2000)), EVENTS.to_json(Said("Frame 3 is lost.")), to_json(Finished(1.0)))
    export = ExportJob(store, start=worker)
    export.start(ExportChoice())
    wait_for(lambda: not export.state.running, "the export")
    assert export.made[0].said == "1 frame, 0.00 MB, 2 kB per frame. Frame 3 is lost."
