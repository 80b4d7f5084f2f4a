"""The lower part of the panel "Path": what a video shall be, how far it is, and those that are finished."""

from __future__ import annotations

from nicegui import ui

from viewer.panels.file_card import FileCard, FileWork
from viewer.panels.parts import number, select
from viewer.tab import Tab
from viewer.video_job import FORMATS, VideoOptions

SIZES = {(640, 360): "640x360", (1280, 720): "1280x720 (HD)", (1920, 1080): "1920x1080 (full HD)", (3840, 2160): "3840x2160 (4K)"}
SAMPLES = {1: "1 per pixel", 2: "2x2 per pixel", 3: "3x3 per pixel", 4: "4x4 per pixel"}
PATH = -1  # in the place of a camera's index
MOST_FPS = 240
WORK = FileWork("video", "Render", "movie_creation", "Renders in a process of its own", "video.cancel", "/videos")


class VideoCard:
    def __init__(self, tab: Tab) -> None:
        self._tab = tab
        cameras = tab.document.capture.cameras
        first = cameras[0]
        own = (first.width + first.width % 2, first.height + first.height % 2)
        sizes = {**SIZES, own: f"{own[0]}x{own[1]} (own)"}
        self._sizes = {f"{width}x{height}": (width, height) for width, height in sizes}
        names = {f"{width}x{height}": title for (width, height), title in sizes.items()}
        sources = {PATH: "Camera path", **{index: f"View of {camera.name}" for index, camera in enumerate(cameras)}}
        with ui.column().classes("w-full ts-stack"):
            ui.label("Video").classes("ts-title")
            self._source = select("From", "Along the path, or what a camera of the capture sees, frame by frame", sources, PATH, self.show)
            with ui.element("div").classes("ts-options").style("grid-template-columns:1fr 1fr;padding:0"):
                self._size = select("Size", "Width and height in pixels; own: that of the cameras", names, "1280x720", self._sized)
                self._format = select("Format", "A film, or numbered images without loss", FORMATS, ".mp4")
                self._samples = select("Samples", "More samples: smoother edges, and as much longer", SAMPLES, 1)
                self._fps = number("Pictures per second", "Of the video", 1, MOST_FPS)
                self._fps.set_value(30)
            self._between = ui.switch("Blend between frames").props("dense")
            self._between.tooltip("Where the video is slower than the clip: the Gaussians on their way from one frame to the next")
            self._card = FileCard(tab, WORK, self._render)
        self.show()

    def _sized(self) -> None:
        """The preview on the stage has the shape of the video."""
        width, height = self._sizes[str(self._size.value)]
        self._tab.set(video_aspect=width / height)

    def _render(self) -> None:
        width, height = self._sizes[str(self._size.value)]
        options = VideoOptions(
            width, height, float(self._fps.value or 30), int(self._samples.value or 1), str(self._format.value), bool(self._between.value)
        )
        source = self._source.value
        self._tab.do("video.render", options=options, camera=None if source == PATH else source)

    def show(self) -> None:
        """Follows the job."""
        why = ""
        if self._tab.shared.run is None:
            why = "Nothing is reconstructed yet."
        elif self._source.value == PATH and self._tab.document.camera_paths.get() is None:
            why = "There is no camera path yet."
        self._card.show(self._tab.document.video, why)
