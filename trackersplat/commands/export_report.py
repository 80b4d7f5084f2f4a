"""The output of an export: a bar while it works, then the size, and what is lost."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console

from trackersplat.commands.export_words import compared_sentence, pruned_sentence, size_sentence
from trackersplat.commands.shown import printable
from trackersplat.commands.terminal import JsonWork, StepBar, print_warnings
from trackersplat.events import Event
from trackersplat.jobs.export_events import (
    EVENTS,
    CamerasRead,
    ExportStarted,
    FileDone,
    FrameCompared,
    FrameWeighed,
    FrameWritten,
    Pruned,
    Said,
)


class JsonExport(JsonWork):
    """One event a line on standard output; the last is Finished, or Failed."""

    def __init__(self) -> None:
        super().__init__(EVENTS.to_json)

    def warn(self, sentence: str) -> None:
        self.show(Said(sentence))


class TextExport:
    """A progress bar for people; what is left behind are sentences."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._bar = StepBar(self._console)
        self._shown = False
        self._frames = 0
        self._compared: list[FrameCompared] = []
        self._sentences: list[str] = []
        self._warnings: list[str] = []

    def __enter__(self) -> TextExport:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._shown:
            self._bar.stop()
        if kind is None:
            for sentence in self._sentences:
                print(printable(sentence))
            print_warnings(self._warnings)

    def warn(self, sentence: str) -> None:
        self._warnings.append(sentence)

    def show(self, event: Event) -> None:
        match event:
            case ExportStarted(frames):
                self._frames = frames
                if self._console.is_terminal:
                    self._shown = True
                    self._bar.start()
            case FrameWeighed(_, done):
                self._bar.show("weighing", done, self._frames)
            case FrameWritten(done):
                self._bar.show("writing", done, self._frames)
            case Said(text):
                self._sentences.append(f"note: {text}")
            case Pruned():
                self._sentences.append(pruned_sentence(event))
            case FrameCompared():
                self._compared.append(event)
            case CamerasRead(cameras):
                self._sentences.append(f"read back: all {cameras} cameras are the same")
            case FileDone(path, frames, size):
                self._sentences.insert(0, f"{path}: {size_sentence(frames, size)}")
                if self._compared:
                    self._sentences.append(compared_sentence(self._compared))
