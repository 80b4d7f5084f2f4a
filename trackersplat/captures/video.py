"""One video file with exact random access to its frames, through OpenCV's FFmpeg."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from trackersplat.captures.mp4 import Mp4Facts, inspect
from trackersplat.errors import InputError

MAX_SIDE = 16384  # pixels
MAX_FRAMES = 1_000_000
SAME_TIME = 0.05  # ms
FALLBACK_FPS = 30.0
NEAR = 8  # frames ahead that are decoded one by one rather than jumped to


@dataclass(frozen=True)
class VideoInfo:
    width: int  # pixels, after rotation
    height: int
    frame_count: int
    fps: float  # 0 where the file does not say


def frame_rate(infos: Sequence[VideoInfo]) -> tuple[float, list[str]]:
    """Frames per second of videos that belong together, and a warning where they do not agree or none says it."""
    fps = infos[0].fps or FALLBACK_FPS
    rates = {round(info.fps, 2) for info in infos}
    if len(rates) == 1 and infos[0].fps:
        return fps, []
    return fps, [
        f'The videos do not agree on a frame rate, so {fps:g} frames per second are assumed; a file capture.json with "fps" would say it.'
    ]


class VideoFile:
    """The frames of one MP4 by number. Frame k is the k-th that the decoder puts out, so counting is the definition.

    Reading on decodes on. A jump seeks by time and is checked: the times of all packets, sorted, say which frame a decoded
    time belongs to, whatever the seek landed on. Where those times do not describe the decoded frames (edit lists, fields),
    jumps back decode from the start instead. Not thread-safe.

    Raises InputError if the file is no MP4 video, is cut off, or holds no frame.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        facts = inspect(path)
        self._capture = self._open()
        self._next = 0  # number of the frame that the decoder gives next
        self._times: np.ndarray | None = None  # (frame_count,) ms from the first frame; empty: jumps are not possible
        width, height, fps, count = (
            self._capture.get(p) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FPS, cv2.CAP_PROP_FRAME_COUNT)
        )
        if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
            raise InputError(f"{path} has frames of {width:g}x{height:g} pixels, expected 1 to {MAX_SIDE} on each side.")
        frame_count = self._count_frames(int(count) if 0 < count <= MAX_FRAMES else 0, fps, facts)
        self.info = VideoInfo(int(width), int(height), frame_count, float(fps) if 0 < fps < 1e4 else 0.0)

    def read(self, frame: int) -> np.ndarray:
        """(H, W, 3) uint8 RGB of frame ``frame`` (from 0). Raises InputError if it cannot be decoded."""
        if frame != self._next:
            self._go_to(frame)
        ok, bgr = (False, None) if not self._grab() else self._capture.retrieve()
        if not ok or bgr is None:
            self._restart()
            raise InputError(
                f"Frame {frame + 1} of {self.path} cannot be decoded although the file promises {self.info.frame_count} frames: "
                "copy or encode the video again."
            )
        if bgr.shape != (self.info.height, self.info.width, 3):
            raise InputError(
                f"Frame {frame + 1} of {self.path} has shape {bgr.shape}, expected {(self.info.height, self.info.width, 3)}: "
                "encode the video with one size for all frames."
            )
        return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)

    def close(self) -> None:
        self._capture.release()

    def _open(self, *parameters: int) -> cv2.VideoCapture:
        # One decoder thread: the cameras of a capture are decoded side by side, and frame threads would multiply memory.
        capture = cv2.VideoCapture(str(self.path), cv2.CAP_FFMPEG, list(parameters) or [cv2.CAP_PROP_N_THREADS, 1])
        if not capture.isOpened():
            raise InputError(f"{self.path} holds no video that FFmpeg can decode: encode it again, for example as H.264.")
        return capture

    def _restart(self) -> None:
        self._capture.release()
        self._capture = self._open()
        self._next = 0

    def _grab(self) -> bool:
        ok = bool(self._capture.grab())
        self._next += ok
        return ok

    def _count_frames(self, claimed: int, fps: float, facts: Mp4Facts) -> int:
        """The true number of frames: that of the index, unless the file is of a kind where it can be wrong; then by decoding all.

        The index of a whole file lists every sample, and ``inspect`` has checked that they are there. An edit list can hide
        some of them (cutting without encoding writes one), and fragments are not in the index.
        """
        hidden = facts.shown_seconds is not None and abs(facts.shown_seconds * fps - claimed) > 1
        if claimed and not hidden and not facts.fragmented:
            return claimed
        count = 0
        while count < MAX_FRAMES and self._capture.grab():
            count += 1
        self._restart()
        if count == 0:
            raise InputError(f"{self.path} holds no frame that can be decoded: encode the video again, for example as H.264.")
        return count

    def _go_to(self, frame: int) -> None:
        """Makes ``frame`` the next one to be decoded, if it exists."""
        near = self._next < frame <= self._next + NEAR
        if not near and frame > 0:
            if self._times is None:
                self._times = self._packet_times()
            if frame < len(self._times) and self._seek(frame, self._times):
                return
        if frame < self._next:
            self._restart()
        while self._next < frame and self._grab():
            pass

    def _packet_times(self) -> np.ndarray:
        """Presentation times of all frames in ms from the first; empty where they cannot be told from the packets."""
        packets = self._open(cv2.CAP_PROP_FORMAT, -1)
        times: list[float] = []
        while len(times) <= self.info.frame_count and packets.grab():
            times.append(packets.get(cv2.CAP_PROP_POS_MSEC))
        packets.release()
        table = np.sort(np.asarray(times, dtype=np.float64))
        unusable = len(table) != self.info.frame_count or not np.isfinite(table).all() or (len(table) > 1 and np.diff(table).min() < 0.1)
        return np.empty(0) if unusable else table - table[0]

    def _seek(self, frame: int, times: np.ndarray) -> bool:
        """Jumps by time to just before ``frame`` > 0; False, and no more jumps, if the place reached cannot be identified."""
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        # The seek leaves the decoder before the frame whose time is number / fps; stop one early, identify, and step on.
        number = int(times[frame - 1] * fps / 1000.0 + 0.5)
        self._capture.set(cv2.CAP_PROP_POS_FRAMES, number)
        while self._capture.grab():
            time = self._capture.get(cv2.CAP_PROP_POS_MSEC)
            nearest = int(np.abs(times - time).argmin())
            if abs(times[nearest] - time) > SAME_TIME or nearest > frame - 1:
                break
            if nearest == frame - 1:
                self._next = frame
                return True
        self._times = np.empty(0)
        self._restart()
        return False
