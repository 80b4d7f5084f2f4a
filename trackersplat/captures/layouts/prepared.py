"""The folder that ``trackersplat prepare`` writes: it refers to a capture, or to footage without calibration, and adds to it.

    prepared.json    where the data are, their cameras, what was done, and how well it went
    capture.json     name, fps, held-out cameras, scale, as in any capture's folder; may be edited
    points3D.ply     points of frame 1, triangulated from features or guessed by a network; absent if none were found
    cameras.json     poses and lenses in place of the given ones (see `formats.cameras_json`), where those were refined or estimated

The data stay where they are and are only read. ``prepared.json`` names them by an absolute path, or "demo"; everything else has a fixed
name in the folder. Nothing in the files is trusted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from trackersplat.captures.capture import Capture, FrameSource, MaskSource, PointCloud
from trackersplat.captures.exclude import footage_without_excluded
from trackersplat.captures.formats.cameras_json import MAX_CAMERAS, RigCamera, read_rig
from trackersplat.captures.formats.ply_points import read_points, write_points
from trackersplat.captures.layout import Layout
from trackersplat.captures.layouts.footage import Footage, is_footage, read_footage
from trackersplat.captures.media.lens import LensModel, OpenCVLens
from trackersplat.captures.media.remapped import RemappedFrames, RemappedMasks
from trackersplat.captures.media.video import MAX_SIDE
from trackersplat.captures.media.views import for_size, make_view
from trackersplat.captures.pose_readings import PREFIX
from trackersplat.captures.registry import open_capture, recognised
from trackersplat.captures.settings import (
    NONE_HELD_OUT,
    CaptureSettings,
    camera_names,
    held_out_cameras,
    plain_name,
    positive_integer,
    read_settings,
)
from trackersplat.errors import InputError
from trackersplat.files import has_file, read_json, write_json

NAME = "prepared"
RECORD = "prepared.json"
CAMERAS = "cameras.json"
POINTS = "points3D.ply"
FORMAT = 1
MAX_PATH = 4096  # characters
POSES = ("keep", "refine", "estimate")


@dataclass(frozen=True)
class SourceCamera:
    name: str
    width: int
    height: int


@dataclass(frozen=True)
class Record:
    """What ``prepared.json`` says."""

    source: str  # absolute path, or "demo"
    cameras: tuple[SourceCamera, ...]  # of the source
    poses: str  # one of POSES
    points_from: tuple[str, ...]  # cameras whose images the points were made from
    settings: dict[str, Any]  # what was asked for
    report: dict[str, Any]  # how it went; for people


def detects(folder: Path) -> bool:
    return (folder / RECORD).is_file()


def read(folder: Path) -> Capture:
    """Raises InputError if a file is damaged, or the data are gone or are no longer those that were prepared."""
    record = read_record(folder)
    data = open_source(record.source, f"{folder / RECORD}: 'source'")
    try:
        return _assembled(folder, record, data)
    except BaseException:
        data.source.close()
        raise


def open_source(source: str, what: str) -> Capture | Footage:
    """The capture in a folder, or else its footage. Raises InputError, beginning with ``what``, if it is neither, or prepared itself."""
    folder = Path(source)
    if source != "demo":
        if folder.is_file():
            raise InputError(f"{what} is {source!r}, a file that is no ZIP archive: unpack it, or give the folder that it lies in.")
        if not folder.is_dir():
            raise InputError(f"{what} is {source!r}, but there is no such folder: bring the data back there, or prepare again.")
        layout = recognised(folder)
        if layout is not None and layout.name == NAME:
            raise InputError(f"{what} is {source!r}, which is prepared itself: prepare the data that it refers to.")
        if layout is None and is_footage(folder):
            return footage_without_excluded(read_footage(folder))
    return open_capture(source)


def _assembled(folder: Path, record: Record, data: Capture | Footage) -> Capture:
    given = data.cameras if isinstance(data, Capture) else ()
    there = tuple(SourceCamera(c.name, c.width, c.height) for c in given) if isinstance(data, Capture) else footage_cameras(data)
    if there != record.cameras:
        raise InputError(
            f"{data.root} no longer has the cameras that {folder} was prepared from ({_difference(record.cameras, there)}): prepare again."
        )
    settings = read_settings(folder)
    dropped = (NONE_HELD_OUT,) if record.poses == "keep" else (NONE_HELD_OUT, PREFIX)  # which are for this folder to say
    warnings = [warning for warning in data.warnings if not warning.startswith(dropped)]
    names = [camera.name for camera in there]
    calibrated: dict[str, tuple[LensModel, np.ndarray]]
    if record.poses == "keep":
        if not given:
            raise InputError(f"{folder / RECORD} keeps the given poses, but {data.root} has none: prepare again.")
        calibrated = {c.name: (OpenCVLens(c.width, c.height, c.fx, c.fy, c.cx, c.cy), c.world_to_camera) for c in given}
    else:
        calibrated = _read_calibration(folder, {camera.name: camera for camera in there})
        missing = [name for name in names if name not in calibrated]
        warnings += [f"{name} is left out: no pose of it was found." for name in missing]
        warnings.append(
            f"Cameras are those of {folder / CAMERAS}, {'refined' if record.poses == 'refine' else 'estimated'} from the images of frame 1."
        )
    kept = [index for index, name in enumerate(names) if name in calibrated]
    views = [make_view(names[index], *calibrated[names[index]], settings.scale or 1.0) for index in kept]
    remaps = [remap for _, remap in views]
    cameras = tuple(camera for camera, _ in views)
    if given:
        cameras = tuple(replace(camera, near=given[index].near) for camera, index in zip(cameras, kept, strict=True))
    source: FrameSource = data.source
    masks: MaskSource | None = data.masks if isinstance(data, Capture) else None
    if any(remap is not None for remap in remaps) or len(kept) < len(names):
        source = RemappedFrames(source, kept, remaps)
        masks = None if masks is None else RemappedMasks(masks, kept, remaps)
    held_out, unheld = held_out_cameras(settings, folder, [names[index] for index in kept], data.held_out)
    seen = [name for name in held_out if name in record.points_from]
    if seen:
        unheld.append(
            f"The points were made from the images of {', '.join(seen)} too, which must not help where it is held out: prepare again."
        )
    bounds = data.depth_bounds if isinstance(data, Capture) and record.poses == "keep" else None
    return Capture(
        name=settings.name or data.name,
        root=folder,
        layout=NAME,
        cameras=cameras,
        frame_count=data.frame_count,
        fps=settings.fps or data.fps,
        source=source,
        held_out=held_out,
        points=_points(folder, record, data),
        depth_bounds=bounds,
        warnings=(*warnings, *unheld),
        masks=masks,
    )


def _points(folder: Path, record: Record, data: Capture | Footage) -> PointCloud | None:
    """The points that were found, or the capture's own if they are more and its poses are kept."""
    own = data.points if isinstance(data, Capture) and record.poses == "keep" else None
    found = replace(read_points(folder / POINTS), sparse=True) if has_file(folder / POINTS) else None
    if found is None or (own is not None and len(own.xyz) > len(found.xyz)):
        return own
    return found


def footage_cameras(footage: Footage) -> tuple[SourceCamera, ...]:
    return tuple(SourceCamera(name, *size) for name, size in zip(footage.cameras, footage.sizes, strict=True))


def _difference(before: Sequence[SourceCamera], now: Sequence[SourceCamera]) -> str:
    if len(before) != len(now):
        return f"{len(now)} instead of {len(before)}"
    was, found = next((a, b) for a, b in zip(before, now, strict=True) if a != b)
    return f"{found.name} of {found.width}x{found.height} pixels instead of {was.name} of {was.width}x{was.height}"


def _read_calibration(folder: Path, there: dict[str, SourceCamera]) -> dict[str, tuple[LensModel, np.ndarray]]:
    rig = read_rig(folder / CAMERAS)
    calibrated: dict[str, tuple[LensModel, np.ndarray]] = {}
    for camera in rig.cameras:
        known = there.get(camera.name)
        lens = None if known is None else for_size(camera.lens, known.width, known.height)
        if lens is None:
            raise InputError(
                f"{folder / CAMERAS} has a camera {camera.name} that is not of this name and shape in the data: prepare again."
            )
        calibrated[camera.name] = lens, camera.world_to_camera
    return calibrated


def read_record(folder: Path) -> Record:
    """Raises InputError if ``prepared.json`` is not as this version writes it."""
    path = folder / RECORD
    data = read_json(path)
    if data.get("format") != FORMAT:
        raise InputError(
            f"{path} has format {str(data.get('format'))[:20]!r}, this version reads {FORMAT}: prepare again, or update trackersplat."
        )
    source = data.get("source")
    fits = isinstance(source, str) and 0 < len(source) <= MAX_PATH and source.isprintable()
    if not isinstance(source, str) or not fits or (source != "demo" and not Path(source).is_absolute()):
        raise InputError(f"{path}: 'source' must be the absolute path of a folder, or \"demo\", but is {str(source)[:60]!r}.")
    entries = data.get("cameras")
    if not isinstance(entries, list) or not 1 <= len(entries) <= MAX_CAMERAS or not all(isinstance(entry, dict) for entry in entries):
        raise InputError(f"{path}: 'cameras' must be a list of 1 to {MAX_CAMERAS} objects.")
    cameras = tuple(
        SourceCamera(
            _name(entry.get("name"), path), *(positive_integer(entry.get(key), MAX_SIDE, f"{path}: {key!r}") for key in ("width", "height"))
        )
        for entry in entries
    )
    if data.get("poses") not in POSES:
        raise InputError(f"{path}: 'poses' must be {', '.join(POSES[:-1])} or {POSES[-1]}, but is {str(data.get('poses'))[:40]!r}.")
    for key in ("settings", "report"):
        if not isinstance(data.get(key), dict):
            raise InputError(f"{path}: {key!r} must be an object.")
    points_from = camera_names(data.get("points_from"), f"{path}: 'points_from'")
    return Record(source, cameras, data["poses"], points_from, data["settings"], data["report"])


def _name(value: Any, path: Path) -> str:
    return plain_name(value, f"{path}: a camera's name")


def write_prepared(
    folder: Path, record: Record, settings: CaptureSettings, points: PointCloud, cameras: Sequence[RigCamera] | None
) -> None:
    """Fills an empty folder. ``cameras`` None: the given ones are kept."""
    write_json(folder / RECORD, {"format": FORMAT, **_plain(record)})
    kept = {"name": settings.name, "fps": settings.fps, "held_out": settings.held_out, "scale": settings.scale}
    write_json(folder / "capture.json", {key: value for key, value in kept.items() if value is not None})
    if len(points.xyz):
        write_points(folder / POINTS, points)
    if cameras is not None:
        write_json(folder / CAMERAS, {"cameras": [_camera_json(camera) for camera in cameras]})


def _plain(record: Record) -> dict[str, Any]:
    return {**vars(record), "cameras": [vars(camera) for camera in record.cameras]}


def _camera_json(camera: RigCamera) -> dict[str, Any]:
    lens = camera.lens
    return {
        "name": camera.name,
        "width": lens.width,
        "height": lens.height,
        "K": lens.K.tolist(),
        "dist": list(lens.distortion),
        "fisheye": lens.fisheye,
        "w2c": camera.world_to_camera.tolist(),
    }


LAYOUT = Layout(detects, read)
