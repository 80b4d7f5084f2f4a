"""Folders of videos or images of several cameras without any calibration, as ``trackersplat prepare`` takes them.

One video per camera, ``videos/<camera>.mp4`` or ``<camera>.mp4``; or one folder of images per camera, ``images/<camera>/<frame>.png`` or
``<camera>/<frame>.png`` or ``<camera>/images/<frame>.png``, where the last number in an image's name is that of its frame.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from trackersplat.captures.capture import FrameSource
from trackersplat.captures.media.cache import CachedFrames
from trackersplat.captures.media.decode import ImageFileSource, VideoSource, image_size, open_videos
from trackersplat.captures.media.video import FALLBACK_FPS, VIDEO_SUFFIXES, frame_rate
from trackersplat.captures.settings import check_held_out, plain_name, read_settings
from trackersplat.captures.still_cameras import SUFFIXES, common_numbers, numbered_images
from trackersplat.errors import InputError

FILES = "<camera>.mp4 or <camera>/<frame>.png of at least 2 cameras"
MAX_CAMERAS = 1000
MAX_SEARCHED = 1000  # files of a folder that are searched for images


@dataclass(frozen=True, eq=False)
class Footage:
    """Synchronised images of several cameras without calibration."""

    name: str
    root: Path
    cameras: tuple[str, ...]
    sizes: tuple[tuple[int, int], ...]  # (width, height) per camera
    frame_count: int
    fps: float
    source: FrameSource
    held_out: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def is_footage(folder: Path) -> bool:
    """Whether there are videos or images of two cameras or more. Opens none of them."""
    return len(_videos(folder)) > 1 or len(_image_folders(folder)) > 1


def read_footage(folder: Path) -> Footage:
    """``capture.json``, where there is one, sets name, rate and held-out cameras.

    Raises InputError if there are fewer than 2 cameras, a name is not plain, or the numbers of frames differ.
    """
    videos = _videos(folder)
    images = _image_folders(folder)
    found = {path.stem: path for path in videos} if len(videos) > 1 else images
    if not 2 <= len(found) <= MAX_CAMERAS:
        raise InputError(f"{folder} has videos or images of {len(found)} cameras: expected {FILES}, and at most {MAX_CAMERAS} of them.")
    names = tuple(plain_name(name, f"{folder}: the name of a camera's video or folder") for name in found)
    settings = read_settings(folder)
    warnings: list[str] = []
    source: CachedFrames
    if len(videos) > 1:
        opened = open_videos(videos)
        source = VideoSource(opened, counted=settings.keeps(names))
        sizes = [(info.width, info.height) for info in source.infos]
        frame_count = source.frame_count
        fps, doubts = frame_rate(source.counted_infos)
        warnings = [] if settings.fps else doubts
    else:
        paths, warnings = _frames(images, settings.exclude)
        sizes = [image_size(frames[0]) for frames in paths]
        source = ImageFileSource(paths, sizes)
        frame_count = next((len(own) for own, used in zip(paths, settings.keeps(names), strict=True) if used), 0)
        fps = FALLBACK_FPS
        if not settings.fps:
            warnings.append(
                f'The images have no frame rate, so {fps:g} per second are assumed; a file capture.json with "fps" sets another.'
            )
    return Footage(
        name=settings.name or folder.resolve().name,
        root=folder,
        cameras=names,
        sizes=tuple(sizes),
        frame_count=frame_count,
        fps=settings.fps or fps,
        source=source,
        held_out=check_held_out(settings.held_out or (), names, folder / "capture.json"),
        warnings=(*warnings, *source.remarks),
    )


def _videos(folder: Path) -> list[Path]:
    place = folder / "videos" if (folder / "videos").is_dir() else folder
    return sorted(path for path in place.iterdir() if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file())


def _image_folders(folder: Path) -> dict[str, Path]:
    """By camera: folders of images, or of a folder ``images``."""
    place = folder / "images" if (folder / "images").is_dir() else folder
    inside = sorted(
        path for path in place.iterdir() if path.is_dir() and not path.name.startswith(".") and os.access(path, os.R_OK | os.X_OK)
    )
    places = {path.name: next((place for place in (path, path / "images") if _has_image(place)), None) for path in inside}
    return {name: place for name, place in places.items() if place is not None}


def _has_image(folder: Path) -> bool:
    return folder.is_dir() and any(_is_image(file) for file in islice(folder.iterdir(), MAX_SEARCHED))


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.is_file()


def _frames(folders: dict[str, Path], excluded: Collection[str]) -> tuple[list[list[Path]], list[str]]:
    """Per camera its images of the frames that all have, by the last number in their names, and what is left out.

    Those that are ``excluded`` have one image, or more, and take no part.

    Where the cameras share no number, such as the counters of separate cameras, their images are taken in order.

    Raises InputError if an image has no number, or shares it.
    """
    numbered: dict[str, dict[int, Path]] = {}
    for name, folder in folders.items():
        numbered[name], others = numbered_images(folder)
        if others:
            raise InputError(f"{others[0]} has no number in its name: the images of a camera must be numbered, such as 0001.png.")
    common, remarks = common_numbers(numbered, ignored=excluded)
    paths = [list(own.values()) for own in numbered.values()]
    if common:
        return [[own[n] for n in common if n in own] or some for own, some in zip(numbered.values(), paths, strict=True)], remarks
    first, *further = [name for name in folders if name not in excluded] or folders
    for name in further:
        if len(numbered[name]) != len(numbered[first]):
            raise InputError(
                f"{folders[name]} has {len(numbered[name])} images, but {folders[first]} has {len(numbered[first])}, and no number is in "
                "the names of all cameras' images: number the images that were taken together alike."
            )
    return paths, [
        "No number is in the names of all cameras' images, so they are matched in order: the first of each, the second of each, ..."
    ]
