"""Pictures as a video or as images, written under a temporary name: the file or folder appears complete or not at all."""

from __future__ import annotations

import subprocess
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import cv2
import numpy as np

from trackersplat.errors import InputError
from trackersplat.files import atomic_file, atomic_folder, make_folder, remove_dead

MP4, ZIP = ".mp4", ".zip"
OTHER_FILES = frozenset({".avi", ".gif", ".mkv", ".mov", ".webm", ".wmv", ".m4v", ".png", ".jpg", ".jpeg"})  # no folders
PATIENCE = 60.0  # seconds that the encoder may take to finish the file
SAID = 300  # characters of what the encoder said

# (picture (H, W, 3) uint8, its number from 1)
Add = Callable[[np.ndarray, int], None]


def check_out(out: Path, width: int, height: int) -> None:
    """Raises InputError if a video of this size cannot have this name: it is taken, of another format, or the encoder is missing."""
    suffix = out.suffix.lower()
    if suffix in OTHER_FILES:
        raise InputError(f"Videos are written as FILE.mp4, as a FOLDER of PNG images, or as FILE.zip of them, not as {out.name!r}.")
    if suffix == MP4:
        if width % 2 or height % 2:
            even = f"{width + width % 2}x{height + height % 2}"
            raise InputError(f"An mp4 has an even width and height, not {width}x{height}: give --size {even}, or write images.")
        encoder()
    remove_dead(out)
    if out.exists() or out.is_symlink():
        raise InputError(f"{out} is there already: choose a new name.")


def encoder() -> str:
    """The path of ffmpeg. Raises InputError if it is not installed."""
    try:
        import imageio_ffmpeg
    except ImportError as error:
        raise InputError(
            "mp4 needs the package imageio-ffmpeg (pip install '.[video]' in the clone): install it, or write images to a folder."
        ) from error
    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        raise InputError(f"mp4 needs ffmpeg, which imageio-ffmpeg does not find ({error}): install it, or write images.") from error


@contextmanager
def open_video(out: Path, width: int, height: int, fps: float, crf: int) -> Iterator[Add]:
    """Yields a function that takes the pictures in order. ``crf``: quality of an mp4, less is better.

    Raises InputError if the file or folder cannot be written; then, and when it is left early, nothing stays.
    """
    make_folder(out.parent)
    if out.suffix.lower() == MP4:
        with atomic_file(out) as file, _encoding(file, out, width, height, fps, crf) as add:
            yield add
    elif out.suffix.lower() == ZIP:
        with atomic_file(out) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            yield lambda picture, number: archive.writestr(_name(number), _png(picture))
    else:
        with atomic_folder(out) as folder:

            def write(picture: np.ndarray, number: int) -> None:
                (folder / _name(number)).write_bytes(_png(picture))

            yield write


def _name(number: int) -> str:
    return f"frame{number:05d}.png"


def _png(picture: np.ndarray) -> bytes:
    return cv2.imencode(".png", picture[:, :, ::-1])[1].tobytes()


@contextmanager
def _encoding(file: Path, out: Path, width: int, height: int, fps: float, crf: int) -> Iterator[Add]:
    """H.264 in BT.709, 4:2:0, as every browser and player shows it."""
    command = [encoder(), "-y", "-loglevel", "error", "-nostdin", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}"]
    command += ["-r", f"{fps:.9g}", "-i", "-", "-vf", "scale=out_color_matrix=bt709:out_range=tv:flags=accurate_rnd+full_chroma_int"]
    command += ["-c:v", "libx264", "-preset", "medium", "-crf", str(crf), "-pix_fmt", "yuv420p", "-colorspace", "bt709"]
    command += ["-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv", "-movflags", "+faststart", "-f", "mp4", str(file)]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=said)
        pipe = process.stdin
        assert pipe is not None

        def add(picture: np.ndarray, number: int) -> None:
            try:
                pipe.write(np.ascontiguousarray(picture).data)
            except OSError as error:  # the encoder has ended
                process.wait(PATIENCE)
                raise _refused(out, said) from error

        try:
            yield add
            try:
                pipe.close()
                code = process.wait(PATIENCE)
            except (OSError, subprocess.TimeoutExpired) as error:
                raise _refused(out, said) from error
            if code:
                raise _refused(out, said)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            with suppress(OSError):  # what was still to be written is not wanted any more
                pipe.close()


def _refused(out: Path, said: IO[bytes]) -> InputError:
    said.seek(0)
    lines = said.read(1 << 16).decode("utf-8", errors="replace").strip().splitlines()
    if any("No space left" in line or "File too large" in line for line in lines):
        return InputError(f"{out} cannot be written (the disk is full): make room, or choose another folder.")
    reason = lines[0][:SAID] if lines else "it ended without a reason"
    return InputError(f"{out} cannot be written (ffmpeg: {reason}): check the folder, its permissions and the free space.")
