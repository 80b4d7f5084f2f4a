"""The output of an export: a bar while it works, then the size, and what is lost."""

from __future__ import annotations

import json
import math
import time
from types import TracebackType

from rich.console import Console

from trackersplat.commands.shown import printable
from trackersplat.commands.terminal import JsonLines, StepBar, print_warnings
from trackersplat.events import Event, Finished
from trackersplat.jobs.export_events import (
    CamerasRead,
    ExportStarted,
    FileDone,
    FrameCompared,
    FrameWeighed,
    FrameWritten,
    Pruned,
    Said,
    to_json,
)


class JsonExport:
    """One event a line on standard output; the last is Finished, or Failed."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._lines = JsonLines()

    def __enter__(self) -> JsonExport:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._lines.__exit__(kind, error, trace)
        if kind is None:
            self._lines.show(Finished(time.perf_counter() - self._began))

    def show(self, event: Event) -> None:
        print(json.dumps(to_json(event)), flush=True)

    def warn(self, sentence: str) -> None:
        self.show(Said(sentence))


class TextExport:
    """A progress bar for people; what is left behind are sentences."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._bar = StepBar(self._console)
        self._frames = 0
        self._compared: list[FrameCompared] = []
        self._sentences: list[str] = []
        self._warnings: list[str] = []

    def __enter__(self) -> TextExport:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
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


def size_sentence(frames: int, size: int) -> str:
    if not frames:
        return f"{size / 1e3:,.0f} kB"
    return f"{frames} frame{'s' * (frames != 1)}, {size / 1e6:.2f} MB, {size / frames / 1e3:,.0f} kB per frame"


def pruned_sentence(pruned: Pruned) -> str:
    share = pruned.removed / max(pruned.total, 1)
    if pruned.psnr == math.inf:
        cost = "the pictures stay the same"
    else:
        cost = f"the pictures without them show those with them with at least {pruned.psnr:.1f} dB"
    return f"pruned: {pruned.removed:,} of {pruned.total:,} Gaussians ({share:.1%}) are left out; {cost}"


def compared_sentence(compared: list[FrameCompared]) -> str:
    frames = ", ".join(str(one.frame + 1) for one in compared)
    worst = min(one.psnr for one in compared)
    what = "show exactly what the run shows" if worst == math.inf else f"show what the run shows with at least {worst:.1f} dB"
    return f"read back: frames {frames} {what}"
