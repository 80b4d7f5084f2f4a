"""One video file with exact random access to its frames, through OpenCV's FFmpeg."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from trackersplat.captures.media.mp4 import Mp4Facts, inspect
from trackersplat.captures.settings import leave_out
from trackersplat.errors import InputError

# FFmpeg would add lines of its own to the one sentence that says what is wrong; it reads this when the first video is opened.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

VIDEO_SUFFIXES = (".mp4", ".mov", ".m4v")  # one format under three names
MAX_SIDE = 16384  # pixels
MAX_FRAMES = 1_000_000
SAME_TIME = 0.05  # ms
OTHER_RATE = 0.01  # relative difference from which on frame rates count as different; that of 29.97 and 30 is smaller
# Names of codecs by the four letters in an MP4's index, and those that every FFmpeg decodes; of others the first frame is tried.
CODECS = {
    "avc1": "H.264", "avc3": "H.264", "hvc1": "H.265", "hev1": "H.265", "mp4v": "MPEG-4", "av01": "AV1", "vp08": "VP8", "vp09": "VP9",
    "vvc1": "H.266", "apch": "ProRes", "apcn": "ProRes", "ap4h": "ProRes", "dvh1": "Dolby Vision",
}  # fmt: skip
DECODED = ("avc1", "avc3", "hvc1", "hev1", "mp4v")
FALLBACK_FPS = 30.0
NEAR = 8  # frames ahead that are decoded one by one without asking whether a jump were shorter
SEEK_BACK = 17  # frames before the wanted one from which OpenCV's seek looks for a key frame, and we identify the last


@dataclass(frozen=True)
class VideoInfo:
    width: int  # pixels, after rotation
    height: int
    frame_count: int
    fps: float  # 0 where the file does not say
    turned: int = 0  # degrees by which the file's header has turned the pictures


def frame_rate(infos: Sequence[VideoInfo]) -> tuple[float, list[str]]:
    """Frames per second of videos that belong together, and a warning where they do not agree or none says it."""
    fps = usual_rate(infos) or FALLBACK_FPS
    if len({info.frame_count for info in infos}) > 1 and match_rates(infos) is not None:
        return min(info.fps for info in infos), []
    rates = {round(info.fps, 2) for info in infos}
    if len(rates) == 1 and infos[0].fps:
        return fps, []
    return fps, [
        f'The videos do not agree on a frame rate, so {fps:g} frames per second are assumed; a file capture.json with "fps" sets another.'
    ]


def usual_rate(infos: Sequence[VideoInfo]) -> float:
    """The frame rate that most videos have; of equally frequent ones, the first; 0 where no file says one."""
    rates = [info.fps for info in infos if info.fps]
    return max(rates, key=lambda rate: sum(_same_rate(rate, other) for other in rates), default=0.0)


def other_rates(names: Sequence[str], infos: Sequence[VideoInfo]) -> tuple[str, ...]:
    """A remark for each camera whose video has another frame rate than most, where all have the same number of frames."""
    usual = usual_rate(infos)
    return tuple(
        f"{name} has {info.fps:g} frames per second and the others {usual:g}, but as many frames, so the frames are matched by their "
        f"numbers: if that is wrong, cut the video to the same time, or leave {leave_out([name])}."
        for name, info in zip(names, infos, strict=True)
        if info.fps and not _same_rate(info.fps, usual)
    )


def turned_by_header(names: Sequence[str], infos: Sequence[VideoInfo]) -> tuple[str, ...]:
    """A remark on the cameras whose pictures are turned by a header, if there are some."""
    turned = [(name, info.turned) for name, info in zip(names, infos, strict=True) if info.turned]
    if not turned:
        return ()
    name, degrees = turned[0]
    whose = f"The video of {name} is turned by {degrees} degrees, as its header"
    if len(turned) > 1:
        whose = f"The videos of {len(turned)} cameras are turned ({name} by {degrees} degrees), as their headers"
    asks = "asks" if len(turned) == 1 else "ask"
    return (f"{whose} {asks} and as ffmpeg does: poses must be those of the pictures as shown.",)


def _same_rate(one: float, other: float) -> bool:
    return max(one, other) < (1 + OTHER_RATE) * min(one, other)


def match_rates(infos: Sequence[VideoInfo]) -> tuple[list[list[int]], str] | None:
    """Per video, which of its frames are nearest in time to those of the slowest video; and a remark that says so.

    For videos of one length in seconds and different rates. None where the rates do not explain the numbers of frames.
    """
    slowest, fastest = min(info.fps for info in infos), max(info.fps for info in infos)
    if slowest <= 0 or fastest < (1 + OTHER_RATE) * slowest:
        return None
    seconds = [info.frame_count / info.fps for info in infos]
    if max(seconds) - min(seconds) > 1 / slowest:
        return None
    times = np.arange(round(min(seconds) * slowest)) / slowest
    frames = [np.minimum(np.rint(times * info.fps).astype(int), info.frame_count - 1).tolist() for info in infos]
    rates = ", ".join(f"{rate:g}" for rate in sorted({info.fps for info in infos}))
    return frames, f"The videos have different frame rates ({rates}): the frames nearest in time to those of the slowest are used."


@dataclass(frozen=True)
class _Packets:
    """When the frames of a file are shown, and which of them can be decoded without others."""

    times: np.ndarray  # (frame_count,) ms from the first frame, ascending; empty: jumps are not possible
    keys: np.ndarray  # (K,) ascending numbers of the key frames

    def jump_cost(self, frame: int) -> int:
        """About how many frames a jump to ``frame`` decodes."""
        before = self.keys[self.keys <= max(frame - SEEK_BACK, 0)]
        return frame - int(before[-1]) if len(before) else frame


NO_JUMPS = _Packets(np.empty(0), np.empty(0, dtype=np.int64))


_SCRATCH = threading.local()


def _scratch(name: str, width: int, height: int) -> np.ndarray:
    """(H, W, 3) uint8 to write into, one of each name per thread: fresh memory of 16 MB costs as much as filling it."""
    image: np.ndarray | None = getattr(_SCRATCH, name, None)
    if image is None or image.shape != (height, width, 3):
        image = np.empty((height, width, 3), np.uint8)
        setattr(_SCRATCH, name, image)
    return image


class VideoFile:
    """The frames of one MP4 by number. Frame k is the k-th that the decoder puts out, so counting is the definition.

    Reading on decodes on, and so does a jump ahead if it is the shorter way. Any other jump seeks by time and is checked: the times
    of all packets, sorted, say which frame a decoded time belongs to, whatever the seek landed on. Where those times do not describe
    the decoded frames (edit lists, fields), jumps back decode from the start instead. Not thread-safe.

    ``threads`` of the decoder: each of more than one keeps another frame in memory.

    Raises InputError if the file is no MP4 video, is cut off, or holds no frame.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        try:
            str(path).encode("utf-8")
        except UnicodeEncodeError as error:  # OpenCV would crash
            raise InputError(f"{path} has a name that is not valid UTF-8, as OpenCV needs it: rename the file or its folder.") from error
        self.path = path
        self._threads = threads
        facts = inspect(path)
        self._codec = None if facts.codec is None else CODECS.get(facts.codec, repr(facts.codec))
        self._capture = self._open()
        self._next = 0  # number of the frame that the decoder gives next
        if facts.codec not in DECODED:
            self._require_decoder()
        self._packets: _Packets | None = None  # read at the first jump
        width, height, fps, count = (
            self._capture.get(p) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FPS, cv2.CAP_PROP_FRAME_COUNT)
        )
        if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
            raise InputError(f"{path} has frames of {width:g}x{height:g} pixels, expected 1 to {MAX_SIDE} on each side.")
        frame_count = self._count_frames(int(count) if 0 < count <= MAX_FRAMES else 0, fps, facts)
        turned = int(self._capture.get(cv2.CAP_PROP_ORIENTATION_META)) % 360
        self.info = VideoInfo(int(width), int(height), frame_count, float(fps) if 0 < fps < 1e4 else 0.0, turned)

    def read(self, frame: int, size: tuple[int, int] | None = None) -> np.ndarray:
        """(H, W, 3) uint8 RGB of frame ``frame`` (from 0), averaged down to ``size`` (width, height) where that is given.

        Raises InputError if it cannot be decoded.
        """
        if frame != self._next:
            self._go_to(frame)
        scratch = _scratch("stored", self.info.width, self.info.height)
        ok, bgr = (False, None) if not self._grab() else self._capture.retrieve(scratch)
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
        if size is not None and size != bgr.shape[1::-1]:
            bgr = cv2.resize(bgr, size, _scratch("scaled", *size), interpolation=cv2.INTER_AREA)
        return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)  # last, when the pixels are fewest

    def close(self) -> None:
        self._capture.release()

    def _open(self, *parameters: int) -> cv2.VideoCapture:
        if "OPENCV_LOG_LEVEL" not in os.environ:  # OpenCV's lines would stand beside our sentence
            cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        capture = cv2.VideoCapture(str(self.path), cv2.CAP_FFMPEG, list(parameters) or [cv2.CAP_PROP_N_THREADS, self._threads])
        if not capture.isOpened():
            raise self._undecodable()
        return capture

    def _undecodable(self) -> InputError:
        if self._codec is None:
            return InputError(f"{self.path} holds no video that FFmpeg can decode: encode it again, for example as H.264.")
        return InputError(
            f"{self.path} is encoded as {self._codec}, which the FFmpeg of this OpenCV ({cv2.__version__}) cannot decode: "
            f"encode it again as H.264, for example `ffmpeg -i {self.path.name} -c:v libx264 -crf 12 h264.mp4`."
        )

    def _require_decoder(self) -> None:
        """Tries the first frame. Raises InputError if this OpenCV has no decoder for the codec: the file itself is whole."""
        if not self._capture.grab() or not self._capture.retrieve()[0]:
            self._capture.release()
            raise self._undecodable()
        self._restart()

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
        ahead = frame - self._next
        if frame > 0 and not 0 < ahead <= NEAR:
            if self._packets is None:
                self._packets = self._read_packets()
            packets = self._packets
            shorter = ahead < 0 or packets.jump_cost(frame) < ahead
            if shorter and frame < len(packets.times) and self._seek(frame, packets.times):
                return
        if frame < self._next:
            self._restart()
        while self._next < frame and self._grab():
            pass

    def _read_packets(self) -> _Packets:
        """``NO_JUMPS`` where the presentation times cannot be told from the packets."""
        packets = self._open(cv2.CAP_PROP_FORMAT, -1)
        found: list[tuple[float, bool]] = []
        while len(found) <= self.info.frame_count and packets.grab():
            found.append((packets.get(cv2.CAP_PROP_POS_MSEC), packets.get(cv2.CAP_PROP_LRF_HAS_KEY_FRAME) == 1))
        packets.release()
        table = np.asarray(sorted(found), dtype=np.float64).reshape(-1, 2)
        times = table[:, 0]
        unusable = len(times) != self.info.frame_count or not np.isfinite(times).all() or (len(times) > 1 and np.diff(times).min() < 0.1)
        return NO_JUMPS if unusable else _Packets(times - times[0], np.flatnonzero(table[:, 1]))

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
        self._packets = NO_JUMPS
        self._restart()
        return False
