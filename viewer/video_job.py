"""The video that the page renders, in a worker process: one at a time, seen by all tabs. It knows no toolkit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trackersplat.camera_paths.path import CameraPath
from trackersplat.camera_paths.path_file import write_path
from trackersplat.errors import InputError
from trackersplat.events import Event
from trackersplat.files import make_folder
from trackersplat.jobs.video_events import EVENTS, PictureDone, VideoDone, VideoStarted
from viewer.camera_paths import folder_beside
from viewer.file_job import FileJob, free_name
from viewer.jobs import WORKER, Kind

FOLDER = "videos"  # in the folder of the run
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


VIDEO: Kind[Event] = Kind("rendering", "nothing of the video is kept", "press Render to start again", EVENTS.from_json)


class VideoJob(FileJob):
    """Every change grows ``Shared.video``."""

    counter = "video"
    busy = "A video is being rendered: wait until it is finished, or cancel it."
    kind = VIDEO

    def start(self, path: CameraPath | None, camera: str | None, options: VideoOptions) -> None:
        """Renders along a path, or what a camera of the capture sees. Raises InputError if that cannot be done."""
        with self._lock:
            run = self.require_free()
            if path is None and camera is None:
                raise InputError("There is no camera path yet: add keys, or choose a ready-made path.")
            if options.suffix not in FORMATS:
                raise InputError(f"A video is written as {' or '.join(FORMATS)}, not as {options.suffix}.")
            folder = folder_beside(run, self._store.shared.out, FOLDER)
            out = free_name(folder, "path" if camera is None else "camera", options.suffix, (*FORMATS, ".json"))
            command = [*WORKER, "render", str(run), "--out", str(out), "--events", "json", *options.arguments()]
            if camera is not None:
                command += ["--cameras", camera]
            else:
                assert path is not None
                make_folder(folder)
                write_path(out.with_suffix(".json"), path)
                command += ["--path", str(out.with_suffix(".json"))]
            self.launch(command)
        self._store.grow("video")

    def take(self, event: Event) -> None:
        match event:
            case VideoStarted(pictures, width, height, device):
                self.say(f"{pictures} pictures of {width}x{height}, {device}")
            case PictureDone(done, pictures):
                self.progress(done, pictures, "picture")
            case VideoDone(path, _, size):
                self.add(Path(path), size)
