"""Frames that cannot be decoded, are blank, or repeat the frame before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from trackersplat.captures.capture import Capture
from trackersplat.checks.events import Step
from trackersplat.checks.findings import Finding, name_frames
from trackersplat.checks.settings import DEFAULTS, FrameSettings
from trackersplat.errors import InputError
from trackersplat.events import Event

AHEAD = 2  # frames that are decoded in advance: memory


@dataclass
class Signals:
    """What one pass over the images measures. C cameras, T frames; NaN where an image could not be read."""

    frames: tuple[int, ...]  # ascending indices from 0
    dark: np.ndarray  # (C, T) grey level below which 99 % of the pixels lie
    spread: np.ndarray  # (C, T) standard deviation of the grey levels
    change: np.ndarray  # (C, T) mean absolute difference of grey to the frame before; NaN without one
    motion: list[np.ndarray]  # per camera (T, h, w) uint8: absolute difference of thumbnails to the frame before
    failures: list[dict[int, str]]  # per camera: position in ``frames`` -> why
    settings: FrameSettings = DEFAULTS.frames

    @classmethod
    def empty(cls, capture: Capture, frames: Sequence[int], settings: FrameSettings = DEFAULTS.frames) -> Signals:
        """As if no image could be read."""
        shape = len(capture.cameras), len(frames)
        sizes = [_thumbnail_size(camera.width, camera.height, settings.thumbnail_side) for camera in capture.cameras]
        motion = [np.zeros((len(frames), height, width), np.uint8) for width, height in sizes]
        dark, spread, change = (np.full(shape, np.nan) for _ in range(3))
        return cls(tuple(frames), dark, spread, change, motion, [{} for _ in capture.cameras], settings)

    def read(self) -> np.ndarray:
        """(C, T) bool: the image was there."""
        return np.isfinite(self.spread)

    def blank(self) -> np.ndarray:
        """(C, T) bool: black or of one colour."""
        with np.errstate(invalid="ignore"):
            return (self.dark < self.settings.black_level) | (self.spread < self.settings.flat_spread)

    def repeated(self) -> np.ndarray:
        """(C, T) bool: the frame repeats the one before, although something changes in the camera's other frames."""
        with np.errstate(invalid="ignore"):
            usual = np.array([_median(row[row > 0]) for row in self.change])
            return (self.change <= self.settings.repeat_share * usual[:, None]) & ~self.blank()


@dataclass(frozen=True)
class SignalsRead(Event):
    """The last event of `read_signals`."""

    signals: Signals


def read_signals(capture: Capture, frames: Sequence[int], settings: FrameSettings = DEFAULTS.frames) -> Iterator[Event]:
    """Reads every camera at these frames (ascending indices): a `Step` per frame, then `SignalsRead`.

    Only the last frame of each camera and its thumbnail are kept in memory.
    """
    signals = Signals.empty(capture, frames, settings)
    cameras = range(len(capture.cameras))
    before: list[tuple[np.ndarray, np.ndarray] | None] = [None] * len(cameras)
    in_a_row = [0] * len(cameras)
    for position, frame in enumerate(frames):
        alive = [camera for camera in cameras if in_a_row[camera] < settings.give_up_after]
        capture.prefetch(alive, frames[position : position + AHEAD])
        follows = position > 0 and frames[position - 1] == frame - 1
        for camera in alive:
            previous = before[camera] if follows else None
            before[camera] = None
            try:
                image = capture.image(camera, frame)
            except InputError as error:
                signals.failures[camera][position] = str(error)
                in_a_row[camera] += 1
                continue
            in_a_row[camera] = 0
            grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
            thumbnail = cv2.resize(grey, signals.motion[camera].shape[:0:-1], interpolation=cv2.INTER_AREA)
            # Of the thumbnail: noise and single bright pixels do not hide a black frame.
            signals.dark[camera, position] = np.percentile(thumbnail, 99)
            signals.spread[camera, position] = thumbnail.std()
            if previous is not None:
                signals.change[camera, position] = cv2.absdiff(grey, previous[0]).mean()
                signals.motion[camera][position] = cv2.absdiff(thumbnail, previous[1])
            before[camera] = (grey, thumbnail)
        yield Step("reading frames", position + 1, len(frames))
    yield SignalsRead(signals)


def check_frames(names: Sequence[str], signals: Signals) -> list[Finding]:
    """Findings about frames that are missing, blank or repeated."""
    frames = signals.frames
    findings = [*_unreadable(names, signals)]
    blank, repeated = signals.blank(), signals.repeated()
    for camera, name in enumerate(names):
        at = np.flatnonzero(blank[camera])
        if len(at):
            shown = [frames[i] for i in at]
            black = bool(np.all(signals.dark[camera, at] < signals.settings.black_level))
            every = len(at) == signals.read()[camera].sum()
            findings.append(
                Finding(
                    "frames", "problem", name,
                    f"{name} is {'black' if black else 'of one colour'} in {'every frame checked' if every else name_frames(shown)}.",
                    "Leave the camera out, or record or copy it again." if every else "Leave these frames out, or the camera.",
                    tuple(shown), {"frames": float(len(at))},
                )
            )  # fmt: skip
    everywhere = _at_once(signals, repeated)
    if everywhere.any():
        shown = [frames[i] for i in np.flatnonzero(everywhere)]
        findings.append(
            Finding(
                "frames", "warning", None,
                f"All cameras repeat the frame before in {name_frames(shown)}, so nothing moves there and everything jumps after it.",
                "Undo the change of the frame rate that was made, or leave these frames out.",
                tuple(shown), {"frames": float(len(shown))},
            )
        )  # fmt: skip
    for camera, name in enumerate(names):
        findings += _repetitions(name, frames, repeated[camera] & ~everywhere, signals.settings.frozen_after)
    return findings


def _unreadable(names: Sequence[str], signals: Signals) -> Iterator[Finding]:
    for name, failures in zip(names, signals.failures, strict=True):
        if not failures:
            continue
        shown = [signals.frames[position] for position in sorted(failures)]
        first = failures[min(failures)]
        gave_up = len(shown) >= signals.settings.give_up_after and max(failures) < len(signals.frames) - 1
        at_least = " and was not read any further" if gave_up else ""
        yield Finding(
            "frames", "problem", name,
            f"{name} cannot be decoded in {name_frames(shown)}{at_least}: {first}",
            "Copy the recording again from where it was made, or leave the camera or the frames out.",
            tuple(shown), {"frames": float(len(shown))},
        )  # fmt: skip


def _at_once(signals: Signals, repeated: np.ndarray) -> np.ndarray:
    """(T,) bool: where all cameras, two or more, repeat the frame before, but not for long: a scene may be at rest."""
    known = np.isfinite(signals.change)
    every = (repeated | ~known).all(axis=0) & (known.sum(axis=0) >= 2)
    for start, length in _stretches(every):
        if length >= signals.settings.frozen_after:
            every[start : start + length] = False
            repeated[:, start : start + length] = False
    return every


def _repetitions(name: str, frames: Sequence[int], repeated: np.ndarray, frozen_after: int) -> Iterator[Finding]:
    """At most two findings: where the camera is frozen, and where single frames are repeated."""
    frozen: list[int] = []
    doubled: list[int] = []
    for start, length in _stretches(repeated):
        (frozen if length >= frozen_after else doubled).extend(frames[start : start + length])
    if frozen:
        yield Finding(
            "frames", "problem", name,
            f"{name} is frozen in {name_frames(frozen)} while other cameras see changes.",
            "Leave these frames or the camera out: its image belongs to an earlier time.",
            tuple(frozen), {"frames": float(len(frozen))},
        )  # fmt: skip
    if doubled:
        yield Finding(
            "frames", "warning", name,
            f"{name} repeats the frame before in {name_frames(doubled)}: frames were lost while recording.",
            "Leave these frames out, or match the cameras by their timestamps.",
            tuple(doubled), {"frames": float(len(doubled))},
        )  # fmt: skip


def _stretches(flags: np.ndarray) -> list[tuple[int, int]]:
    """(start, length) of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return [(int(a), int(b - a)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _median(values: np.ndarray) -> float:
    return float(np.median(values)) if len(values) else 0.0


def _thumbnail_size(width: int, height: int, side: int) -> tuple[int, int]:
    scale = min(1.0, side / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))
