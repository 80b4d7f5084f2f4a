"""Frame sources: one video per camera, or one image file per camera and frame."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from trackersplat.captures.media.cache import DEFAULT_CAPACITY, CachedFrames, usable_cores
from trackersplat.captures.media.image_head import SWAPPED, UPRIGHT, png_has_alpha, read_head
from trackersplat.captures.media.lens import Remap
from trackersplat.captures.media.video import MAX_SIDE, VideoFile, match_rates, other_rates, turned_by_header
from trackersplat.captures.settings import leave_out
from trackersplat.errors import InputError
from trackersplat.files import read_file
from trackersplat.words import counted

MAX_DECODER_THREADS = 4  # per video; each keeps another frame in memory
MAX_IMAGE_BYTES = 512 * 2**20  # of an image file on disk


def open_videos(paths: Sequence[Path]) -> list[VideoFile]:
    """Opens every file, several at a time. Raises InputError if one is no video."""
    cores = usable_cores()
    # One thread per video is the most efficient where all cameras are decoded side by side. A second one makes playing a single camera
    # real time (2704x2028: 55 instead of 32 frames/s) and costs 5 to 9 % of efficiency; more only where cores would be idle otherwise.
    threads = min(cores, MAX_DECODER_THREADS, max(2, 2 * cores // max(1, len(paths))))
    with ThreadPoolExecutor(max_workers=cores) as pool:
        return list(pool.map(lambda path: VideoFile(path, threads), paths))


class VideoSource(CachedFrames):
    """One MP4 per camera; frames are decoded on demand, never extracted to disk.

    ``frames[camera][frame]`` is the number in the file of each frame of the capture, where cameras started at different times or
    dropped frames; without it, all videos have one length and are taken as they are. ``remaps`` scale and undistort the images.

    Videos of one length in seconds and different rates are matched by time; those of one number of frames by their numbers, and
    ``remarks`` name the cameras of another rate. Raises InputError if a video is shorter than the others, or
    than ``frames`` needs. Cameras that ``counted`` has False of are as long as they may be, and are not to be read.
    ``names`` are those of the cameras, where their files are called otherwise.
    """

    def __init__(
        self,
        videos: Sequence[VideoFile],
        frames: Sequence[Sequence[int]] | None = None,
        remaps: Sequence[Remap | None] = (),
        capacity: int = DEFAULT_CAPACITY,
        workers: int | None = None,
        counted: Sequence[bool] | None = None,
        names: Sequence[str] | None = None,
    ) -> None:
        super().__init__(len(videos), capacity, workers)
        self._videos = videos
        self.infos = tuple(video.info for video in videos)
        self._remaps = remaps or [None] * len(videos)
        chosen = [True] * len(videos) if counted is None or not any(counted) else list(counted)
        used = [video for video, counts in zip(videos, chosen, strict=True) if counts]
        self.counted_infos = tuple(video.info for video in used)
        told = [name for name, counts in zip(names or [video.path.stem for video in videos], chosen, strict=True) if counts]
        if frames is None:
            lengths = [info.frame_count for info in self.counted_infos]
            shortest, longest = lengths.index(min(lengths)), lengths.index(max(lengths))
            matched = None if shortest == longest else match_rates(self.counted_infos)
            found: Sequence[Sequence[int]] = [range(lengths[0])] * len(used)
            if matched is not None:
                found, self.remarks = matched[0], (matched[1],)
            elif shortest != longest:
                self.close()
                raise InputError(
                    f"{used[shortest].path} has {lengths[shortest]} frames, but the longest video ({used[longest].path.name}) has "
                    f"{lengths[longest]}: all videos of a capture must have the same number of frames, so cut them alike, or leave "
                    f"{leave_out([told[shortest]])}."
                )
            else:
                self.remarks = other_rates(told, self.counted_infos)
            in_turn = iter(found)
            frames = [next(in_turn) if counts else [0] * len(found[0]) for counts in chosen]
        self.remarks += turned_by_header(told, self.counted_infos)
        for video, numbers, counts in zip(videos, frames, chosen, strict=True):
            if counts and max(numbers) >= video.info.frame_count:
                self.close()
                raise InputError(
                    f"{video.path} has {video.info.frame_count} frames, but its timestamps name frame {max(numbers) + 1}: "
                    "copy the video and its timestamps again."
                )
        self._frames = frames
        self.frame_count = len(frames[0])

    def decode(self, camera: int, frame: int) -> np.ndarray:
        remap = self._remaps[camera]
        image = self._videos[camera].read(self._frames[camera][frame], None if remap is None else remap.size)
        return image if remap is None else remap.apply(image)

    def close(self) -> None:
        super().close()
        for video in self._videos:
            video.close()


class ImageFileSource(CachedFrames):
    """One image file per camera and frame: ``paths[camera][frame]``.

    ``sizes`` (width, height) are those of the files; ``remaps`` scale and undistort the images. ``remarks`` say what is not used of
    the files, by the head of each camera's first. A camera that is not to be read may have no paths.

    Raises InputError if a camera's first image says that it has another size.
    """

    def __init__(
        self,
        paths: Sequence[Sequence[Path]],
        sizes: Sequence[tuple[int, int]],
        remaps: Sequence[Remap | None] = (),
        capacity: int = DEFAULT_CAPACITY,
        workers: int | None = None,
    ) -> None:
        super().__init__(len(paths), capacity, workers)
        self._paths = paths
        self._sizes = sizes
        self._remaps = remaps or [None] * len(paths)
        self.remarks = _remarks([own[0] for own in paths if own], [size for own, size in zip(paths, sizes, strict=True) if own])

    def decode(self, camera: int, frame: int) -> np.ndarray:
        path = self._paths[camera][frame]
        image = read_image(path)
        width, height = self._sizes[camera]
        if image.shape[:2] != (height, width):
            raise InputError(
                f"{path} has {image.shape[1]}x{image.shape[0]} pixels, but its camera has {width}x{height}: "
                "write all images of a camera at the size it was calibrated for."
            )
        remap = self._remaps[camera]
        return image if remap is None else remap.apply(image)


def _remarks(firsts: Sequence[Path], sizes: Sequence[tuple[int, int]]) -> tuple[str, ...]:
    turned: list[tuple[Path, int]] = []
    alpha: list[Path] = []
    for path, (width, height) in zip(firsts, sizes, strict=True):
        head = read_head(path)
        if head is None:
            continue
        if head.orientation != UPRIGHT:
            turned.append((path, head.orientation))
        if head.alpha:
            alpha.append(path)
        if (head.width, head.height) != (width, height):
            tag = (
                f"; its EXIF orientation ({head.orientation}) would turn it and is ignored, as COLMAP ignores it, "
                "so store the images upright, without the tag, or calibrate their pixels as stored"
                if head.orientation in SWAPPED and (head.height, head.width) == (width, height)
                else ": write all images of a camera at the size it was calibrated for"
            )
            raise InputError(f"{path} has {head.width}x{head.height} pixels, but its camera has {width}x{height}{tag}.")
    remarks = []
    if turned:
        (path, orientation), whose = turned[0], counted(len(turned), "camera")
        remarks.append(
            f"The images of {whose} have an EXIF orientation that is ignored, as COLMAP ignores it, the first is {path} "
            f"({orientation}): their poses must be those of the pixels as stored."
        )
    if alpha:
        whose = counted(len(alpha), "camera")
        remarks.append(f"The images of {whose} have an alpha channel, the first is {alpha[0]}: transparent pixels become black.")
    return tuple(remarks)


def image_size(path: Path) -> tuple[int, int]:
    """(width, height) of a still image, from the head of a PNG or JPEG, else by decoding it. Raises InputError if it cannot be decoded."""
    head = read_head(path)
    if head is not None and head.width <= MAX_SIDE and head.height <= MAX_SIDE:
        return head.width, head.height
    height, width = read_image(path).shape[:2]
    return width, height


def read_image(path: Path) -> np.ndarray:
    """(H, W, 3) uint8 RGB of a still image, on black where it is transparent. Raises InputError if it cannot be decoded."""
    content = read_file(path, MAX_IMAGE_BYTES)
    data = np.frombuffer(content, dtype=np.uint8)
    # Orientation tags are ignored: calibration is in the pixels as stored.
    flags = cv2.IMREAD_UNCHANGED if png_has_alpha(content) else cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        bgr = cv2.imdecode(data, flags) if is_whole(data) else None
    except cv2.error:  # more pixels than OpenCV allows
        bgr = None
    if bgr is None or max(bgr.shape[:2]) > MAX_SIDE:
        raise InputError(
            f"{path} is not an image that can be decoded (a whole PNG or JPEG up to {MAX_SIDE} pixels a side): write it again."
        )
    if bgr.ndim == 3 and bgr.shape[2] == 4:
        bgr = _on_black(bgr)
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB if bgr.ndim == 3 else cv2.COLOR_GRAY2RGB)


def _on_black(bgra: np.ndarray) -> np.ndarray:
    """(H, W, 4) of 8 or 16 bits, composited over black, as (H, W, 3) uint8. The colour of a transparent pixel means nothing."""
    largest = np.iinfo(bgra.dtype).max
    colours = bgra[..., :3] * (bgra[..., 3:].astype(np.float32) / largest) * np.float32(255.0 / largest)
    return np.asarray(np.rint(colours), dtype=np.uint8)


def is_whole(data: np.ndarray) -> bool:
    """Whether an image file (bytes as (N,) uint8) has its end, where its format is known: decoders fill up what is cut off with grey."""
    content = data.tobytes()
    if content.startswith(b"\x89PNG"):
        return b"IEND" in content
    if content.startswith(b"\xff\xd8"):  # the end comes after the last scan; before it there may be a thumbnail with an end of its own
        return content.rfind(b"\xff\xd9") > content.rfind(b"\xff\xda")
    return bool(content)
