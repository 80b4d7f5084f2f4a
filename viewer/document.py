"""What is open: the capture, its runs and their frames, the diagnosis of their tracks. Data behind the page; it knows no toolkit."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import Capture
from trackersplat.errors import InputError
from viewer.arguments import Arguments
from viewer.camera_paths import CameraPaths
from viewer.capture_check import CaptureCheck
from viewer.diagnosing import Diagnosing
from viewer.edit_log import RunEdits
from viewer.editing import Editing, SceneFrame
from viewer.export_job import ExportJob
from viewer.frame_cache import FrameCache
from viewer.notes import Notes
from viewer.plan import why_not_continued
from viewer.reconstruction import Reconstruction
from viewer.runs import Runs
from viewer.shared_rasterizer import SharedRasterizer
from viewer.stage.framing import frame_capture
from viewer.stage.gaussian_paths import GaussianPaths
from viewer.state import Store
from viewer.video_job import VideoJob

if TYPE_CHECKING:
    import torch

    from trackersplat.captures.camera import Camera
    from trackersplat.diagnosis.diagnosis import Diagnosis
    from trackersplat.gaussians.gaussians import Gaussians
    from viewer.views.table import TrackList

log = logging.getLogger(__name__)


class Document:
    """Thread-safe. Long work runs on threads of its own and announces its results through the store."""

    def __init__(self, capture: Capture, store: Store, arguments: Arguments) -> None:
        self.capture = capture
        self.store = store
        self.arguments = arguments
        self.framing = frame_capture(capture)
        self.runs = Runs(capture, store, arguments.out)
        self.frames = FrameCache(store, self.runs)
        self.renderer = SharedRasterizer()
        self.edits = RunEdits(store, lambda run: why_not_continued(self.runs.get(run)))
        self.editing = Editing(capture, store, self.runs, self.frames, self.renderer)
        self.diagnosing = Diagnosing(capture, store, self.runs, arguments.backend)
        self._gaussian_error: tuple[object, torch.Tensor] | None = None  # of the last frame that was asked for
        self.paths = GaussianPaths(store, self.runs, self.frames, self.framing.extent)

        self.reconstruction = Reconstruction(capture, store, self.runs, arguments.path, self.frame_is_new)
        self.check = CaptureCheck(store, arguments.path)
        self.notes = Notes(store)
        self.camera_paths = CameraPaths(store)
        self.export = ExportJob(store, arguments.backend)
        self.video = VideoJob(store, arguments.backend)
        self.viewpoints: dict[str, Callable[[], Camera]] = {}  # tab -> what its stage looks through; raises KeyError if it is closed

    def close(self) -> None:
        self.paths.close()
        self.diagnosing.close()
        self.editing.close()
        self.edits.close()
        self.reconstruction.close()
        self.export.close()
        self.video.close()
        self.check.close()
        self.frames.close()
        self.capture.close()

    # -- loading ------------------------------------------------------------------------------------------------------

    def load(self, say: Callable[[str], None] = lambda text: None) -> None:
        """Finds the run and starts the rasteriser. Failures become messages on the page. ``say`` gets the progress for the terminal."""
        steps = (
            ("run", "The run could not be opened", self._find_run),
            ("renderer", "The renderer could not be started", lambda: self._start_rasterizer(say)),
        )
        for source, what, step in steps:
            try:
                step()
            except InputError as error:
                self.store.problem(source, str(error))
            except Exception as error:
                log.exception(what)
                self.store.problem(source, f"{what} ({type(error).__name__}: {error}); the terminal shows where.")
        self.store.set(activity="")

    def _find_run(self) -> None:
        self.runs.find()

    def _start_rasterizer(self, say: Callable[[str], None]) -> None:
        from trackersplat.rendering.registry import choose_rasterizer

        rasterizer = choose_rasterizer(backend=self.arguments.backend)
        self.store.set(renderer=rasterizer.describe())
        if not rasterizer.is_prepared():

            def compiling(kernel: str, done: int, total: int) -> None:
                if done < total:
                    message = f"compiling kernels, once per machine: {kernel} ({done + 1} of {total}) …"
                    say(message)
                    self.store.set(activity=message)

            rasterizer.prepare(compiling)
        self.renderer.use(rasterizer)
        self.store.set(activity="", ready=True)

    # -- frames -------------------------------------------------------------------------------------------------------

    def shown(self, frame: int) -> Gaussians | None:
        """The run's Gaussians that stand for a frame; None if nothing is reconstructed. Raises InputError if it cannot be read."""
        return self.frames.shown(frame)

    def scene(self, frame: int) -> SceneFrame | None:
        """What stands for a frame in all pictures: with the edits of the scene. Raises InputError if it cannot be read."""
        return self.editing.frame(frame)

    def show_run(self, path: Path) -> None:
        """Opens a run and shows it, on a thread of its own: comparing it with the capture may read images."""
        threading.Thread(target=self.runs.show, args=(path,), name="show run", daemon=True).start()

    def frame_is_new(self, path: Path, frame: int) -> None:
        """A frame of the run at ``path`` was written: it replaces what was kept of it."""
        self.frames.forget(path, frame)
        if self.store.shared.run in (None, path):
            self.runs.show(path)

    def gaussian_error(self, frame: int) -> torch.Tensor:
        """(N,) in how much error each Gaussian of a reconstructed frame is, over all cameras (`diagnosis.gaussian_error`).

        Raises InputError if the frame or a photograph cannot be read.
        """
        import torch

        from trackersplat.diagnosis.gaussian_error import gaussian_error

        shared, rasterizer = self.store.shared, self.renderer.rasterizer
        assert shared.run is not None
        assert rasterizer is not None
        key = (shared.run, frame, shared.revision)
        kept = self._gaussian_error
        if kept is None or kept[0] != key:
            gaussians = self.frames.frame(shared.run, frame).to(rasterizer.device)
            images = [
                torch.as_tensor(self.capture.image(i, frame), device=rasterizer.device) / 255.0 for i in range(len(self.capture.cameras))
            ]
            colours = self.frames.colours(shared.run, frame)
            with self.renderer.lock:
                found = gaussian_error(rasterizer, gaussians, self.capture.cameras, images, None if colours is None else colours.apply)
            self._gaussian_error = kept = (key, found.cpu())
        return kept[1]

    def home_photo_frame(self, frame: int) -> tuple[int, int]:
        """The camera and frame whose photograph stands for the scene until there is something better."""
        return self.framing.home, frame

    # -- tracks -------------------------------------------------------------------------------------------------------

    def diagnosis(self, path: Path | None = None) -> Diagnosis | None:
        """What is known about the tracks of a run, by default of the one on the screen; None if they are not diagnosed yet."""
        tracks = self.tracks(path)
        return None if tracks is None else tracks.diagnosis

    def tracks(self, path: Path | None = None) -> TrackList | None:
        """The diagnosed tracks of a run as a list; None if they are not diagnosed yet."""
        chosen = self.store.shared.run if path is None else path
        return None if chosen is None else self.diagnosing.get(chosen)
