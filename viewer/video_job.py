"""The video that the page renders, in a worker process: one at a time, seen by all tabs. It knows no toolkit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trackersplat.camera_paths.path import CameraPath
from trackersplat.camera_paths.path_file import write_path
from trackersplat.errors import InputError
from trackersplat.events import Event, Failed, Finished, from_json
from trackersplat.files import unwritable
from trackersplat.jobs.video_events import PictureDone, VideoDone, VideoStarted
from trackersplat.jobs.video_events import from_json as video_event
from viewer.camera_paths import folder_beside
from viewer.jobs import WORKER, Job, Kind
from viewer.progress import duration
from viewer.state import Store

FOLDER = "videos"  # in the folder of the run
KEPT = 20  # finished videos that are offered
SETTLED = 3  # pictures until the time left is said
FORMATS = {".mp4": "mp4", ".zip": "PNG images (zip)"}


@dataclass(frozen=True)
class VideoOptions:
    """As on the command line of ``trackersplat render``."""

    width: int = 1280
    height: int = 720
    fps: float = 30.0
    supersample: int = 1
    suffix: str = ".mp4"
    between: bool = False

    def arguments(self) -> list[str]:
        between = "blend" if self.between else "nearest"
        size = ["--size", f"{self.width}x{self.height}", "--fps", f"{self.fps:g}", "--supersample", str(self.supersample)]
        return [*size, "--between", between]


@dataclass(frozen=True)
class Made:
    """A finished video."""

    number: int
    file: Path
    bytes: int

    def title(self) -> str:
        return f"{self.file.name}, {self.bytes / 1e6:.1f} MB"


@dataclass(frozen=True)
class VideoState:
    running: bool = False
    share: float = 0.0
    text: str = ""  # what is being done, or how it ended
    left: str = ""  # "about 20 s left"
    failed: bool = False


def _read(data: dict[str, Any]) -> Event:
    return from_json(data) if data.get("event") in ("Finished", "Failed") else video_event(data)


VIDEO: Kind[Event] = Kind("rendering", "nothing of the video is kept", "press Render to start again", _read)


class VideoJob:
    """Thread-safe. Every change grows ``Shared.video``."""

    def __init__(
        self,
        store: Store,
        backend: str | None = None,
        *,
        start: Callable[..., Job[Event]] = Job,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._backend, self._start, self._clock = store, backend, start, clock
        self._job: Job[Event] | None = None
        self._state = VideoState()
        self._made: list[Made] = []
        self._began: tuple[float, int] | None = None  # when a picture was done, and how many were
        self._numbers = 0
        self._closed = False
        self._lock = threading.RLock()

    @property
    def state(self) -> VideoState:
        return self._state

    @property
    def made(self) -> tuple[Made, ...]:
        """Those of this session, the newest first."""
        with self._lock:
            return tuple(reversed(self._made))

    def file(self, number: int) -> Path | None:
        """A finished video by its number; None if there is none, or it was removed since. Nothing else can be asked for."""
        with self._lock:
            found = next((made.file for made in self._made if made.number == number), None)
        return found if found is not None and found.is_file() else None

    def start(self, path: CameraPath | None, camera: str | None, options: VideoOptions) -> None:
        """Renders along a path, or what a camera of the capture sees. Raises InputError if that cannot be done."""
        with self._lock:
            shared = self._store.shared
            if self._state.running or self._closed:
                raise InputError("A video is being rendered: wait until it is finished, or cancel it.")
            if shared.run is None or not shared.reconstructed:
                raise InputError("Nothing is reconstructed yet that could be rendered.")
            if path is None and camera is None:
                raise InputError("There is no camera path yet: add keys, or choose a ready-made path.")
            if options.suffix not in FORMATS:
                raise InputError(f"A video is written as {' or '.join(FORMATS)}, not as {options.suffix}.")
            folder = folder_beside(shared.run, shared.out, FOLDER)
            out = _free(folder, "path" if camera is None else "camera", options.suffix)
            command = [*WORKER, "render", str(shared.run), "--out", str(out), "--events", "json", *options.arguments()]
            if camera is not None:
                command += ["--cameras", camera]
            else:
                assert path is not None
                try:
                    folder.mkdir(parents=True, exist_ok=True)
                except OSError as error:
                    raise unwritable(folder, error) from error
                write_path(out.with_suffix(".json"), path)
                command += ["--path", str(out.with_suffix(".json"))]
            if self._backend is not None:
                command += ["--backend", self._backend]
            self._began = None
            self._state = VideoState(running=True, text="Starting the worker process …")
            try:
                self._job = self._start(command, self._handle, VIDEO)
            except OSError as error:
                self._state = VideoState(text=f"The rendering could not be started: {error}.", failed=True)
        self._store.grow("video")

    def cancel(self) -> None:
        with self._lock:
            if self._job is not None and self._state.running:
                self._state = replace(self._state, text="Cancelling …", left="")
                self._job.cancel()
        self._store.grow("video")

    def close(self) -> None:
        with self._lock:
            self._closed = True
            job = self._job
        if job is not None and job.running:
            job.close()

    def _handle(self, event: Event) -> None:
        """On the job's thread."""
        with self._lock:  # an end that comes at once must see its job
            match event:
                case VideoStarted(pictures, width, height, device):
                    self._state = replace(self._state, text=f"{pictures} pictures of {width}x{height}, {device}")
                case PictureDone(done, pictures):
                    self._state = replace(self._state, share=done / max(pictures, 1), left=self._left(done, pictures))
                case VideoDone(path, _, size):
                    self._numbers += 1
                    self._made = [*self._made, Made(self._numbers, Path(path), size)][-KEPT:]
                case Finished(seconds):
                    self._state = VideoState(text=f"Done in {duration(seconds)}.")
                case Failed(message=message):
                    cancelled = self._job is not None and self._job.outcome == "cancelled"
                    self._state = VideoState(text=message, failed=not cancelled)
        self._store.grow("video")

    def _left(self, done: int, pictures: int) -> str:
        now = self._clock()
        if self._began is None:
            self._began = (now, done)
        since, first = self._began
        text = f"picture {done} of {pictures}"
        if done - first < SETTLED:
            return text
        return f"{text} · about {duration((now - since) / (done - first) * (pictures - done))} left"


def _free(folder: Path, name: str, suffix: str) -> Path:
    """A name that neither a video nor its path has."""
    number = 1
    while any((folder / f"{name}-{number:03d}{ending}").exists() for ending in (*FORMATS, ".json")):
        number += 1
    return folder / f"{name}-{number:03d}{suffix}"
