"""How fast this machine decodes a capture of videos: ``python -m trackersplat.benchmarks.decoding``."""

from __future__ import annotations

import cProfile
import json
import os
import pstats
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from trackersplat.captures.capture import Capture
from trackersplat.captures.media.cache import usable_cores
from trackersplat.captures.registry import open_capture
from trackersplat.errors import InputError

# What OpenCV's functions do for a frame; all else (the cache, Python) is "rest".
PARTS = {
    "decode": ("grab", "set"),
    "colour": ("retrieve", "cvtColor"),  # YUV to BGR with a copy, BGR to RGB
    "resize": ("resize",),
    "undistort": ("remap",),
}
WARM_UP = 6  # frames
AHEAD = 8  # frames asked for ahead where a camera is played


@dataclass(frozen=True)
class Timing:
    """Of reading images in one order."""

    order: str
    cores: int  # that the process could use
    images: int
    seconds: float  # by the wall clock
    cpu_seconds: float  # of all threads
    shares: dict[str, float] | None  # of the wall time, by ``PARTS`` and "rest"; None where several threads worked


def write_capture(folder: Path, cameras: int, frames: int, width: int, height: int, megabits: float, group: int) -> Path:
    """Videos of textured noise that moves, with B-frames, and ``cameras.json``. All have the same content.

    Raises InputError without ffmpeg.
    """
    try:
        import imageio_ffmpeg
    except ImportError as error:
        raise InputError("The videos are made with imageio-ffmpeg: install it with `pip install '.[test]'`.") from error
    videos = folder / "videos"
    videos.mkdir(parents=True)
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "bgr24"]
    command += ["-s", f"{width}x{height}", "-r", "30", "-i", "-", "-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "veryfast"]
    command += ["-b:v", f"{megabits}M", "-maxrate", f"{1.2 * megabits}M", "-bufsize", f"{megabits}M"]
    command += ["-g", str(group), "-bf", "2", "-pix_fmt", "yuv420p", str(videos / "cam00.mp4")]
    encoder = subprocess.Popen(command, stdin=subprocess.PIPE)
    assert encoder.stdin is not None
    for image in moving_noise(frames, width, height):
        encoder.stdin.write(image.tobytes())
    encoder.stdin.close()
    if encoder.wait():
        raise InputError(f"ffmpeg could not write {videos / 'cam00.mp4'}: check the free space.")
    names = [f"cam{index:02d}" for index in range(cameras)]
    for name in names[1:]:
        shutil.copy(videos / "cam00.mp4", videos / f"{name}.mp4")
    K = [[float(width), 0.0, width / 2], [0.0, float(width), height / 2], [0.0, 0.0, 1.0]]
    entries = [{"name": name, "K": K, "w2c": np.eye(4).tolist()} for name in names]
    (folder / "cameras.json").write_text(json.dumps({"width": width, "height": height, "cameras": entries}), encoding="utf-8")
    (folder / "capture.json").write_text('{"scale": 0.5}', encoding="utf-8")
    return folder


def moving_noise(frames: int, width: int, height: int, seed: int = 0) -> Iterator[np.ndarray]:
    """(H, W, 3) uint8: coarse and fine texture that slides, with the noise of a sensor on top."""
    rng = np.random.default_rng(seed)
    size = (width + 2 * frames, height + frames)
    coarse = cv2.resize(rng.integers(0, 256, (40, 60, 3), dtype=np.uint8), size, interpolation=cv2.INTER_CUBIC)
    fine = cv2.GaussianBlur(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8), (0, 0), 1.5)
    texture = cv2.addWeighted(coarse, 0.7, fine, 0.9, -80)
    grain = rng.integers(0, 12, (height + 64, width + 64, 1), dtype=np.uint8).repeat(3, axis=2)
    for frame in range(frames):
        x, y = rng.integers(0, 65, 2)
        yield cv2.add(texture[frame : frame + height, 2 * frame : 2 * frame + width], grain[y : y + height, x : x + width])


@contextmanager
def only_one_core(wanted: bool) -> Iterator[None]:
    """Threads that start inside run on one core, where the system can do that."""
    if not wanted or not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed, threads = os.sched_getaffinity(0), cv2.getNumThreads()
    os.sched_setaffinity(0, {min(allowed)})
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)
        cv2.setNumThreads(threads)


def orders(capture: Capture, images: int, seed: int = 0) -> dict[str, list[tuple[int, int]]]:
    """(camera, frame) pairs in the orders that are measured, ``images`` of each."""
    count, cameras = capture.frame_count, len(capture.cameras)
    warm = min(WARM_UP, count - 1)
    random = np.random.default_rng(seed).integers(0, count, max(4, images // 4))
    return {
        "one camera, forward": [(0, frame) for frame in range(warm, min(images + warm, count))],
        "one camera, backward": [(0, frame) for frame in range(count - 1, max(0, count - images) - 1, -1)],
        "one camera, random": [(0, int(frame)) for frame in random],
        "all cameras of a frame": [
            (camera, frame) for frame in range(warm, min(count, max(6, images // cameras) + warm)) for camera in range(cameras)
        ],
    }


def measure(capture: Capture, order: str, wanted: Sequence[tuple[int, int]], ahead: bool) -> Timing:
    """Reads the images, with those to come asked for in advance if ``ahead``; else in this thread alone.

    The first frames of each camera are read before the clock starts, so that the decoders have their memory.
    """
    reach = max(AHEAD, len(capture.cameras))
    for camera in sorted({camera for camera, _ in wanted}):
        for frame in range(min(WARM_UP, capture.frame_count)):
            capture.image(camera, frame)
    profile = None if ahead else cProfile.Profile()
    start, cpu = time.perf_counter(), time.process_time()
    if profile is not None:
        profile.enable()
    for position, (camera, frame) in enumerate(wanted):
        if ahead and "random" not in order:
            capture.source.prefetch(wanted[position : position + reach])
        capture.image(camera, frame)
    if profile is not None:
        profile.disable()
    seconds = time.perf_counter() - start
    shares = None if profile is None else _shares(profile, seconds)
    return Timing(order, usable_cores(), len(wanted), seconds, time.process_time() - cpu, shares)


def _shares(profile: cProfile.Profile, seconds: float) -> dict[str, float]:
    profile.create_stats()
    spent: dict[str, float] = {}
    for (_, _, function), (_, _, own, _, _) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        for part, names in PARTS.items():
            if any(function in (f"<{name}>", f"<method '{name}' of 'cv2.VideoCapture' objects>") for name in names):
                spent[part] = spent.get(part, 0.0) + own
    return {**{part: spent.get(part, 0.0) / seconds for part in PARTS}, "rest": 1 - sum(spent.values()) / seconds}


def measure_all(folder: Path, images: int) -> list[Timing]:
    """Every order on one core in one thread, then on all cores with read-ahead; the capture is opened anew for each."""
    timings = []
    for single in (True, False) if usable_cores() > 1 else (True,):
        with only_one_core(single):
            capture = open_capture(folder)
            for order, wanted in orders(capture, images).items():
                timings.append(measure(capture, order, wanted, ahead=not single))
                capture.close()
                capture = open_capture(folder)
            capture.close()
    return timings


def main(
    capture: str | None = None,
    cameras: int = 18,
    frames: int = 60,
    size: str = "2704x2028",
    megabits: float = 45.0,
    group: int = 30,
    images: int = 60,
    json_file: Path | None = None,
) -> None:
    """Times reading a capture of videos in several orders.

    Args:
        capture: A capture folder of yours; videos are made in a temporary folder if absent.
        cameras: How many videos to make.
        frames: Of each video.
        size: Of the videos, WIDTHxHEIGHT; they are read at half of it.
        megabits: Per second and video.
        group: Frames from key frame to key frame.
        images: Read in each order.
        json_file: Write the numbers here too.
    """
    parts = size.lower().split("x")
    if len(parts) != 2 or not all(part.isdigit() and int(part) >= 2 for part in parts):
        raise InputError(f"--size must be WIDTHxHEIGHT such as 2704x2028, got {size!r}.")
    if min(cameras, frames, group, images) < 1 or megabits <= 0:
        raise InputError("--cameras, --frames, --group, --images and --megabits must be above 0.")
    with tempfile.TemporaryDirectory(prefix="trackersplat-decoding-") as temporary:
        if capture is None:
            width, height = (int(part) // 2 * 2 for part in parts)
            folder = write_capture(Path(temporary) / "capture", cameras, frames, width, height, megabits, group)
        else:
            folder = Path(capture)
        timings = measure_all(folder, images)
        _print(folder, timings)
    if json_file is not None:
        json_file.write_text(json.dumps([asdict(timing) for timing in timings], indent=2) + "\n", encoding="utf-8")


def _print(folder: Path, timings: Sequence[Timing]) -> None:
    from rich.console import Console
    from rich.table import Table

    opened = open_capture(folder)
    camera = opened.cameras[0]
    table = Table(title=f"{len(opened.cameras)} cameras, read at {camera.width}x{camera.height}")
    for column in ("order", "cores", "frames/s", "frames/s per core", *PARTS, "rest"):
        table.add_column(column, justify="left" if column == "order" else "right")
    for timing in timings:
        shares = [""] * (len(PARTS) + 1) if timing.shares is None else [f"{timing.shares[part]:.0%}" for part in (*PARTS, "rest")]
        rate, per_core = timing.images / timing.seconds, timing.images / max(timing.cpu_seconds, 1e-9)
        table.add_row(timing.order, str(timing.cores), f"{rate:.1f}", f"{per_core:.1f}", *shares)
    opened.close()
    Console().print(table)


if __name__ == "__main__":
    import sys

    import tyro

    try:
        tyro.cli(main)
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
