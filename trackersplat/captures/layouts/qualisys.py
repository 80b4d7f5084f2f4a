"""Qualisys sessions: a calibration exported by QTM (``*.qca.txt``, XML) and one video per camera, named after its serial.

Pixels are counted in 64ths, with whole numbers at their centres, from the corner of the sensor; millimetres become metres here.
The matrix rij takes world axes to the axes of a camera that looks along its negative z with y up: turned half a turn about x,
those are OpenCV's.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from trackersplat.captures.capture import Capture
from trackersplat.captures.formats.calibration import check_camera
from trackersplat.captures.layout import Layout
from trackersplat.captures.media.decode import VideoSource, open_videos
from trackersplat.captures.media.lens import OpenCVLens
from trackersplat.captures.media.video import MAX_SIDE, VideoInfo, frame_rate
from trackersplat.captures.media.views import for_size, make_view
from trackersplat.captures.readable import require_files
from trackersplat.captures.settings import held_out_cameras, plain_name, read_settings
from trackersplat.errors import InputError
from trackersplat.files import read_file

NAME = "qualisys"
MAX_XML_BYTES = 16 * 2**20
UNITS = 64.0  # per pixel
MILLIMETRES = 1000.0  # per metre
COEFFICIENTS = ("radialDistortion1", "radialDistortion2", "tangentalDistortion1", "tangentalDistortion2", "radialDistortion3")


@dataclass(frozen=True)
class _Calibrated:
    serial: str
    lens: OpenCVLens
    world_to_camera: np.ndarray


def detects(folder: Path) -> bool:
    return _calibration(folder) is not None and bool(_videos(folder))


def read(folder: Path) -> Capture:
    """The calibration may lie in ``calibration``, the videos in ``videos``. Cameras without a video (marker cameras) are left out.

    Raises InputError if the calibration or a video is damaged, or a video cannot be what its camera was calibrated for.
    """
    path = _calibration(folder)
    if path is None:
        raise InputError(f"{folder} is no Qualisys session: expected a *.qca.txt calibration and <serial>.mp4 videos.")
    require_files(entry for entry in _entries(folder) if entry.suffix.lower() == ".mp4")
    matched = [(camera, video) for camera in _read_calibration(path) if (video := _video_of(camera.serial, _videos(folder))) is not None]
    if not matched:
        raise InputError(f"{folder} has no video that is named after the serial number of a camera in {path.name}: rename the videos.")
    matched.sort(key=lambda pair: (len(pair[0].serial), pair[0].serial))
    names = [camera.serial for camera, _ in matched]
    settings = read_settings(folder)
    held_out, warnings = held_out_cameras(settings, folder, names)
    videos = open_videos([video for _, video in matched])
    views = []
    for (camera, video), opened in zip(matched, videos, strict=True):
        lens, blank, doubts = _fitted(camera, opened.info, video)
        warnings += doubts
        views.append(make_view(camera.serial, lens, camera.world_to_camera, settings.scale or 1.0, blank))
    source = VideoSource(videos, remaps=[remap for _, remap in views], counted=settings.keeps(names), names=names)
    fps, doubts = frame_rate(source.counted_infos)
    return Capture(
        name=settings.name or folder.resolve().name,
        root=folder,
        layout=NAME,
        cameras=tuple(camera for camera, _ in views),
        frame_count=source.frame_count,
        fps=settings.fps or fps,
        source=source,
        held_out=held_out,
        warnings=(*warnings, *(doubts if settings.fps is None else [])),
    )


def _calibration(folder: Path) -> Path | None:
    places = [place for place in (folder, folder / "calibration") if place.is_dir()]
    return next((path for place in places for path in sorted(place.iterdir()) if path.name.lower().endswith((".qca.txt", ".qca"))), None)


def _videos(folder: Path) -> list[Path]:
    return [path for path in _entries(folder) if path.suffix.lower() == ".mp4" and path.is_file()]


def _entries(folder: Path) -> list[Path]:
    return sorted((folder / "videos" if (folder / "videos").is_dir() else folder).iterdir())


def _video_of(serial: str, videos: list[Path]) -> Path | None:
    """The video named after the serial number, alone or at the end (QTM writes ``<measurement>_<model>_<number>_<serial>.mp4``)."""
    named = re.compile(rf"(?:.*[^0-9A-Za-z])?{re.escape(serial)}")
    found = [video for video in videos if named.fullmatch(video.stem)]
    if len(found) > 1:
        raise InputError(
            f"{found[0].parent} has several videos of the camera {serial} ({found[0].name}, {found[1].name}): "
            "keep one measurement in a folder."
        )
    return found[0] if found else None


def _read_calibration(path: Path) -> list[_Calibrated]:
    data = read_file(path, MAX_XML_BYTES)
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise InputError(f"{path} declares a document type, which calibrations do not: export it again with QTM.")
    try:
        root = ElementTree.fromstring(data)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise InputError(f"{path} is not valid XML ({str(error)[:120]}): export the calibration again with QTM.") from error
    cameras = [_camera(element, path) for element in root.findall("cameras/camera") if element.get("active", "1") != "0"]
    if not cameras:
        raise InputError(f"{path} has no camera: export the calibration again with QTM.")
    serials = [camera.serial for camera in cameras]
    if len(set(serials)) != len(serials):
        raise InputError(f"{path} has two cameras of one serial number: export the calibration again with QTM.")
    return cameras


def _camera(element: ElementTree.Element, path: Path) -> _Calibrated:
    serial = plain_name(element.get("serial"), f"{path}: a camera's serial")

    def number(part: str, name: str) -> float:
        child = element.find(part)
        text = None if child is None else child.get(name)
        try:
            value = float(text) if text is not None else float("nan")
        except ValueError:
            value = float("nan")
        if not np.isfinite(value) or abs(value) > 1e12:
            raise InputError(f"{path}: camera {serial} has no number as its {part} {name}: export the calibration again with QTM.")
        return value

    left, top, right, bottom = (number("fov_video", name) for name in ("left", "top", "right", "bottom"))
    width, height = right - left + 1, bottom - top + 1
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise InputError(f"{path}: camera {serial} has a picture of {width:g}x{height:g} pixels: export the calibration again with QTM.")
    fx, fy, cx, cy = (number("intrinsic", name) / UNITS for name in ("focalLengthU", "focalLengthV", "centerPointU", "centerPointV"))
    if fx <= 0 or fy <= 0:
        raise InputError(f"{path}: camera {serial} has a focal length that is not positive: calibrate again.")
    distortion = tuple(number("intrinsic", name) for name in COEFFICIENTS)
    lens = OpenCVLens(int(width), int(height), fx, fy, cx - left + 0.5, cy - top + 0.5, distortion)
    rotation = np.array([[number("transform", f"r{i}{j}") for j in (1, 2, 3)] for i in (1, 2, 3)])
    position = np.array([number("transform", axis) for axis in "xyz"]) / MILLIMETRES
    world_to_camera = np.eye(4)
    world_to_camera[:3, :3] = np.diag((1.0, -1.0, -1.0)) @ rotation
    world_to_camera[:3, 3] = -world_to_camera[:3, :3] @ position
    check_camera(lens.width, lens.height, lens.K, world_to_camera, f"{path}: camera {serial}")
    return _Calibrated(serial, lens, world_to_camera)


def _fitted(camera: _Calibrated, video: VideoInfo, path: Path) -> tuple[OpenCVLens, tuple[int, int], list[str]]:
    """The lens for the video's size, its blank (columns, rows) on each side, and a warning where that is a guess."""
    lens = camera.lens
    same = for_size(lens, video.width, video.height)
    if isinstance(same, OpenCVLens):
        return same, (0, 0), []
    if for_size(lens, video.height, video.width) is not None:
        raise InputError(
            f"{path} has {video.width}x{video.height} pixels, but its camera was calibrated at {lens.width}x{lens.height}: "
            "the video was turned, so export it as it was filmed."
        )
    # Exporters that change the width scale the whole picture and pad or cut the height evenly: so found in Pose2Sim's demo, by
    # matching its videos with stills and by the bars above and below.
    scale = video.width / lens.width
    fitted = replace(
        lens,
        width=video.width,
        height=video.height,
        fx=lens.fx * scale,
        fy=lens.fy * scale,
        cx=(lens.cx - lens.width / 2) * scale + video.width / 2,
        cy=(lens.cy - lens.height / 2) * scale + video.height / 2,
    )
    bars = max(0, math.ceil((video.height - lens.height * scale) / 2))
    doubt = (
        f"{path.name} has {video.width}x{video.height} pixels, but {camera.serial} was calibrated at {lens.width}x{lens.height}: "
        f"taken as scaled by {scale:.4f} about its centre."
    )
    return fitted, (0, bars), [doubt]


LAYOUT = Layout(detects, read)
