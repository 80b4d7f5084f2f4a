"""Videos that the page renders, with a small script in the place of the worker."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from waiting import wait_for

from trackersplat.camera_paths.path import CameraPath, Key
from trackersplat.camera_paths.path_file import read_path
from trackersplat.errors import InputError
from trackersplat.events import Failed, Finished, to_json
from trackersplat.jobs.video_events import EVENTS, PictureDone, VideoDone, VideoStarted
from viewer import jobs
from viewer.jobs import Job
from viewer.state import Shared, Store
from viewer.video_job import VideoJob, VideoOptions

PATH = CameraPath((Key(0.0, (0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0), 1.0),), 2.0)


class Worker:
    """Starts a script that says these events, and remembers the command lines it was asked for."""

    def __init__(self, *events: dict[str, Any], code: int = 0, wait: bool = False) -> None:
        said = "\n".join(json.dumps(event) for event in events)
        rest = "signal.pause()" if wait else f"sys.exit({code})"
        self._script = f"import signal, sys; print({said!r}, flush=True); {rest}"
        self.commands: list[list[str]] = []

    def __call__(self, command: list[str], *arguments: Any) -> Job[Any]:
        self.commands.append(command)
        return Job([sys.executable, "-c", self._script], *arguments)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(jobs, "NICENESS", 0)
    (tmp_path / "run").mkdir()
    return Store(Shared(run=tmp_path / "run", reconstructed=(0, 1)))


def test_a_finished_video_is_offered_by_its_number_and_its_path_is_kept_beside_it(store: Store, tmp_path: Path) -> None:
    film = tmp_path / "run" / "videos" / "path-001.mp4"
    worker = Worker(
        EVENTS.to_json(VideoStarted(4, 64, 48, "CPU")), *(EVENTS.to_json(PictureDone(done, 4)) for done in range(1, 5)),
        EVENTS.to_json(VideoDone(str(film), 4, 5)), to_json(Finished(2.0)),
    )  # fmt: skip
    video = VideoJob(store, "portable", start=worker)
    video.start(PATH, None, VideoOptions(64, 48, 25.0, 2, ".mp4", True))
    wait_for(lambda: not video.state.running, "the video")
    film.write_bytes(b"film!")
    command = worker.commands[0]
    assert command[3:] == [
        "render", str(tmp_path / "run"), "--out", str(film), "--events", "json", "--size", "64x48", "--fps", "25", "--supersample", "2",
        "--between", "blend", "--path", str(film.with_suffix(".json")), "--backend", "portable",
    ]  # fmt: skip
    assert read_path(film.with_suffix(".json")).seconds == 2.0
    assert (video.state.text, video.state.failed) == ("Done in 2 s.", False)
    assert [made.title() for made in video.made] == ["path-001.mp4, 0.0 MB"]
    assert video.file(1) == film
    assert video.file(2) is None
    film.unlink()
    assert video.file(1) is None
    video.start(PATH, None, VideoOptions())  # the path of the first one is still there and stays
    wait_for(lambda: not video.state.running, "the video")
    assert worker.commands[1][6] == str(film.with_name("path-002.mp4"))
    video.start(None, "cam03", VideoOptions(suffix=".zip"))
    wait_for(lambda: not video.state.running, "the video")
    assert worker.commands[2][6:8] == [str(film.with_name("camera-001.zip")), "--events"]
    assert worker.commands[2][-4:] == ["--cameras", "cam03", "--backend", "portable"]
    assert store.shared.video > 6


def test_the_time_left_is_said_after_a_few_pictures(store: Store) -> None:
    now = iter(range(0, 1000, 2))
    video = VideoJob(store, clock=lambda: float(next(now)))
    lefts = []
    for done in range(1, 7):
        video._handle(PictureDone(done, 10))
        lefts.append(video.state.left)
    assert lefts[2] == "picture 3 of 10"
    assert lefts[5] == "picture 6 of 10 · about 8 s left"
    assert video.state.share == pytest.approx(0.6)


def test_a_video_can_be_cancelled_and_only_one_is_rendered(store: Store) -> None:
    video = VideoJob(store, start=Worker(EVENTS.to_json(PictureDone(1, 2)), wait=True))
    video.start(None, "cam00", VideoOptions())
    wait_for(lambda: video.state.share == pytest.approx(0.5), "the first picture")
    with pytest.raises(InputError, match="A video is being rendered"):
        video.start(None, "cam00", VideoOptions())
    video.cancel()
    wait_for(lambda: not video.state.running, "the end")
    assert video.state.text == "The rendering was cancelled; nothing of the video is kept."
    assert not video.state.failed


def test_a_failed_video_is_a_sentence(store: Store) -> None:
    video = VideoJob(store, start=Worker(to_json(Failed("The disk is full.")), code=2))
    video.start(None, "cam00", VideoOptions())
    wait_for(lambda: not video.state.running, "the end")
    assert (video.state.text, video.state.failed, video.made) == ("The disk is full.", True, ())


def test_without_a_path_or_a_run_there_is_nothing_to_render(store: Store) -> None:
    video = VideoJob(store, start=Worker())
    with pytest.raises(InputError, match="no camera path yet"):
        video.start(None, None, VideoOptions())
    store.set(run=None)
    with pytest.raises(InputError, match="Nothing is reconstructed yet"):
        video.start(PATH, None, VideoOptions())
