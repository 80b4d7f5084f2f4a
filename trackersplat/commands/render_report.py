"""The output of rendering a video: a bar while it works, then where the video is."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console

from trackersplat.commands.shown import escape
from trackersplat.commands.terminal import StepBar
from trackersplat.events import Event
from trackersplat.jobs.video_events import PictureDone, VideoDone, VideoStarted


class TextVideo:
    """A progress bar for people, and one line left behind per video."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._bar = StepBar(self._console)
        self._began = time.perf_counter()
        self._size = ""
        self._at_work = False

    def __enter__(self) -> TextVideo:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop()

    def _stop(self) -> None:
        if self._at_work:
            self._bar.stop()
        self._at_work = False

    def show(self, event: Event) -> None:
        match event:
            case VideoStarted(pictures, width, height, device):
                self._began = time.perf_counter()
                self._size = f"{width}x{height}"
                self._bar.start()
                self._at_work = True
                self._bar.show(f"rendering on {device}", 0, pictures)
            case PictureDone(done, pictures):
                left = (time.perf_counter() - self._began) / done * (pictures - done)
                self._bar.show("rendering", done, pictures, f"about {left:.0f} s left" if done >= 3 else "")
            case VideoDone(path, pictures, size):
                self._stop()
                seconds = time.perf_counter() - self._began
                line = f"{escape(path)}: {pictures} pictures of {self._size}, {size / 1e6:.2f} MB, in {seconds:.1f} s"
                self._console.print(line, soft_wrap=True)
