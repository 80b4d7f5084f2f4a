"""Caliscope sessions: ``camera_array.toml`` (or an older ``config.toml``) and ``cam_<N>.mp4`` with ``timestamps.csv``.

A session keeps its videos in ``recordings/<name>`` and in ``calibration/extrinsic``; a recording may be opened by its own folder.
Cameras are OpenCV's, in metres. A row of ``timestamps.csv`` is one frame of one camera, rows of one ``sync_index`` were taken
together, and frame i of a video is the camera's i-th row: a camera that missed a sync index has no frame for it.
"""

from __future__ import annotations

import csv
import io
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import Capture
from trackersplat.captures.formats.calibration import check_camera, lens_from_matrix, matrix
from trackersplat.captures.layout import Layout
from trackersplat.captures.media.decode import VideoSource, open_videos
from trackersplat.captures.media.lens import OpenCVLens
from trackersplat.captures.media.video import MAX_SIDE, VideoFile, frame_rate
from trackersplat.captures.media.views import for_size, make_view
from trackersplat.captures.settings import held_out_cameras, positive_integer, read_settings
from trackersplat.captures.still_cameras import left_out
from trackersplat.errors import InputError
from trackersplat.files import has_file, read_text

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

NAME = "caliscope"
CALIBRATIONS = ("camera_array.toml", "config.toml")
MAX_TOML_BYTES = 16 * 2**20
MAX_CSV_BYTES = 256 * 2**20
RATE_TOLERANCE = 0.02  # relative difference of frame rates, from which that of the timestamps is used in place of the videos'
MAX_SPREAD = 0.25  # frame intervals between the cameras' times of one frame, from which a warning is given

_VIDEO = re.compile(r"(?:cam|port)_(\d{1,4})\.mp4")
_SECTION = re.compile(r"(?:cam|port)_\d{1,4}")


@dataclass(frozen=True)
class _SessionCamera:
    number: int
    lens: OpenCVLens
    world_to_camera: np.ndarray
    exposure: float | None


def detects(folder: Path) -> bool:
    return _calibration(folder) is not None and _recordings(folder) != []


def read(folder: Path) -> Capture:
    """Of several recordings the first is opened.

    Raises InputError if the calibration, a video or ``timestamps.csv`` is damaged, or they do not fit each other.
    """
    calibration = _calibration(folder)
    recordings = _recordings(folder)
    if calibration is None or not recordings:
        raise InputError(f"{folder} is no caliscope session: expected camera_array.toml and videos named cam_0.mp4 and so on.")
    recording, *others = recordings
    cameras, warnings = _cameras(calibration)
    if others:
        others_named = ", ".join(str(other.relative_to(folder)) for other in others)
        warnings.append(f"{recording.relative_to(folder)} is opened; open the folder of another recording by itself: {others_named}.")
    paths = {int(match[1]): path for path in recording.iterdir() if (match := _VIDEO.fullmatch(path.name))}
    unfilmed = [camera.number for camera in cameras if camera.number not in paths]
    if unfilmed:
        warnings.append(f"{recording} has no video of cam_{unfilmed[0]}, which is left out{_and_more(unfilmed)}.")
    cameras = [camera for camera in cameras if camera.number in paths]
    if not cameras:
        raise InputError(f"{recording} has no video of a camera that {calibration.name} has calibrated: record or calibrate again.")
    names = [f"cam_{camera.number}" for camera in cameras]
    settings = read_settings(folder)
    held_out, unheld = held_out_cameras(settings, folder, names)
    videos = open_videos([paths[camera.number] for camera in cameras])
    frames: list[list[int]] | None = None
    measured: float | None = None
    unsynchronised: list[str] = []
    if has_file(recording / "timestamps.csv"):
        numbers = [camera.number for camera in cameras]
        frames, measured, unsynchronised = _synchronise(recording / "timestamps.csv", numbers, videos, settings.keeps(names))
    views = [_view(camera, video, settings.scale or 1.0) for camera, video in zip(cameras, videos, strict=True)]
    source = VideoSource(videos, frames, [remap for _, remap in views], counted=settings.keeps(names), names=names)
    fps, doubts = frame_rate(source.counted_infos)
    if measured is not None and (doubts or abs(measured / fps - 1) > RATE_TOLERANCE):
        fps, doubts = measured, []
    return Capture(
        name=settings.name or folder.resolve().name,
        root=folder,
        layout=NAME,
        cameras=tuple(camera for camera, _ in views),
        frame_count=source.frame_count,
        fps=settings.fps or fps,
        source=source,
        held_out=held_out,
        warnings=(*warnings, *unheld, *unsynchronised, *(doubts if settings.fps is None else []), *_exposures(cameras)),
    )


def _calibration(folder: Path) -> Path | None:
    """The calibration of a session, or of the session that a recording lies in."""
    inside = folder.resolve().parent.name in ("recordings", "calibration")
    for place in (folder, *(folder.resolve().parents[1:2] if inside else ())):
        for name in CALIBRATIONS:
            if (place / name).is_file():
                return place / name
    return None


def _recordings(folder: Path) -> list[Path]:
    if _has_videos(folder):
        return [folder]
    inside = sorted((folder / "recordings").iterdir()) if (folder / "recordings").is_dir() else []
    return [place for place in (*inside, folder / "calibration" / "extrinsic") if place.is_dir() and _has_videos(place)]


def _has_videos(folder: Path) -> bool:
    return any(_VIDEO.fullmatch(path.name) for path in folder.iterdir())


def _cameras(path: Path) -> tuple[list[_SessionCamera], list[str]]:
    """By number, without those that are set to be ignored or have no pose."""
    try:
        data = tomllib.loads(read_text(path, MAX_TOML_BYTES))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(f"{path} is not valid TOML ({str(error)[:120]}): save the calibration again with caliscope.") from error
    sections = data.get("cameras")
    if not isinstance(sections, dict):
        sections = {key: section for key, section in data.items() if _SECTION.fullmatch(key)}
    cameras, warnings = [], []
    for key, section in sections.items():
        what = f"{path}: camera {str(key)[:40]}"
        if not isinstance(section, dict):
            raise InputError(f"{what} must be a table.")
        number = section.get("cam_id", section.get("port"))
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < 10_000:
            raise InputError(f"{what} needs a whole number as its 'cam_id'.")
        if section.get("ignore") is True:
            warnings.append(f"cam_{number} is left out: {path.name} says to ignore it.")
        elif "rotation" not in section or "translation" not in section:
            warnings.append(f"cam_{number} is left out: {path.name} has no pose of it.")
        else:
            cameras.append(_camera(number, section, what))
    if not cameras:
        raise InputError(f"{path} has no calibrated camera: finish the calibration with caliscope.")
    numbers = [camera.number for camera in cameras]
    if len(set(numbers)) != len(numbers):
        raise InputError(f"{path} has two cameras of one 'cam_id': calibrate again.")
    return sorted(cameras, key=lambda camera: camera.number), warnings


def _camera(number: int, section: dict[str, Any], what: str) -> _SessionCamera:
    size = section.get("size")
    if not isinstance(size, list) or len(size) != 2:
        raise InputError(f"{what}: 'size' must be [width, height].")
    width, height = (positive_integer(value, MAX_SIDE, f"{what}: 'size'") for value in size)
    K = matrix(section.get("matrix"), (3, 3), f"{what}: 'matrix'")
    K[:2, 2] += 0.5  # OpenCV's pixel centres are whole numbers
    lens = lens_from_matrix(width, height, K, section.get("distortions"), section.get("fisheye") is True, what)
    rotation = section["rotation"]
    if isinstance(rotation, list) and len(rotation) == 3 and not isinstance(rotation[0], list):
        rotation = cv2.Rodrigues(matrix([rotation], (1, 3), f"{what}: 'rotation'"))[0].tolist()
    world_to_camera = np.eye(4)
    world_to_camera[:3, :3] = matrix(rotation, (3, 3), f"{what}: 'rotation'")
    world_to_camera[:3, 3] = matrix([section["translation"]], (1, 3), f"{what}: 'translation'")
    check_camera(width, height, K, world_to_camera, what)
    exposure = section.get("exposure")
    return _SessionCamera(number, lens, world_to_camera, float(exposure) if isinstance(exposure, (int, float)) else None)


def _view(camera: _SessionCamera, video: VideoFile, scale: float) -> tuple[Camera, Any]:
    lens = for_size(camera.lens, video.info.width, video.info.height)
    if lens is None:
        raise InputError(
            f"{video.path} has {video.info.width}x{video.info.height} pixels, but its camera was calibrated at "
            f"{camera.lens.width}x{camera.lens.height}: another aspect ratio, so calibrate it at this size."
        )
    return make_view(f"cam_{camera.number}", lens, camera.world_to_camera, scale)


def _synchronise(
    path: Path, numbers: list[int], videos: list[VideoFile], kept: list[bool]
) -> tuple[list[list[int]], float | None, list[str]]:
    """Per camera the numbers in its file of the frames that all cameras have which are ``kept``; frames per second; warnings."""
    times = _read_timestamps(path, numbers)
    every, numbers = numbers, [number for number, used in zip(numbers, kept, strict=True) if used] or numbers
    for number, video in zip(every, videos, strict=True):
        if number in numbers and len(times[number]) != video.info.frame_count:
            raise InputError(
                f"{path} has {len(times[number])} rows of camera {number}, but {video.path.name} has {video.info.frame_count} frames: "
                "copy the recording again, or remove timestamps.csv if all videos started together."
            )
    complete = sorted(set.intersection(*(set(times[number]) for number in numbers)))
    if not complete:
        raise InputError(f"{path} has no sync_index that all cameras share: record again.")
    order = {number: {index: frame for frame, index in enumerate(sorted(times[number]))} for number in every}
    frames = [[order[number].get(index, 0) for index in complete] for number in every]
    warnings = []
    dropped = len(set().union(*(times[number] for number in numbers))) - len(complete)
    if dropped:
        warnings.append(f"{left_out(dropped)} (timestamps.csv).")
    taken = np.array([[times[number][index] for number in numbers] for index in complete])
    intervals = np.diff(taken.mean(axis=1))
    interval = float(np.median(intervals)) if len(intervals) else 0.0
    if interval <= 1e-4:
        return frames, None, warnings
    spread = float(np.ptp(taken, axis=1).max())
    if spread > MAX_SPREAD * interval:
        warnings.append(f"The cameras' images of one frame lie up to {1000 * spread:.0f} ms apart, {spread / interval:.2f} frames.")
    return frames, 1.0 / interval, warnings


def _read_timestamps(path: Path, numbers: list[int]) -> dict[int, dict[int, float]]:
    """Camera -> sync index -> seconds."""
    times: dict[int, dict[int, float]] = {number: {} for number in numbers}
    try:
        for line, row in enumerate(csv.DictReader(io.StringIO(read_text(path, MAX_CSV_BYTES), newline="")), start=2):
            try:
                number = int(row["cam_id"] if "cam_id" in row else row["port"])
                index, time = int(row["sync_index"]), float(row["frame_time"])
            except (KeyError, ValueError, TypeError) as error:
                raise InputError(f"Line {line} of {path} does not have a sync_index, cam_id and frame_time: record again.") from error
            if not np.isfinite(time):
                raise InputError(f"Line {line} of {path} has a time that is not finite: record again.")
            if number in times:
                times[number][index] = time
    except csv.Error as error:
        raise InputError(f"{path} is not a table of comma-separated values ({str(error)[:120]}): copy it again.") from error
    return times


def _exposures(cameras: list[_SessionCamera]) -> list[str]:
    values = {camera.exposure for camera in cameras}
    if len(values) < 2 or None in values:
        return []
    return ["The cameras were set to different exposures, so their colours differ."]


def _and_more(items: list[int]) -> str:
    return f" (and {len(items) - 1} more)" if len(items) > 1 else ""


LAYOUT = Layout(detects, read)
