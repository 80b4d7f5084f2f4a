"""RH20T (Fang et al. 2023): ``cam_<serial>/color.mp4`` with ``timestamps.npy``, and the calibration in ``../calib``.

Cameras run freely, so frames are matched by their times (milliseconds). ``metadata.json`` names the calibration: camera matrices for
1280x720 pixels (centres at whole numbers) and world-to-camera poses in metres. Cameras on the robot's hand move and are left out.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from trackersplat.captures.capture import Capture
from trackersplat.captures.formats.calibration import check_camera, check_range
from trackersplat.captures.formats.object_arrays import read_object
from trackersplat.captures.layout import Layout
from trackersplat.captures.layouts.sparse_model import read_sparse_model
from trackersplat.captures.media.decode import VideoSource, open_videos
from trackersplat.captures.media.lens import LensModel, OpenCVLens
from trackersplat.captures.media.synchronise import counterparts, match_times
from trackersplat.captures.media.video import VideoFile, frame_rate
from trackersplat.captures.media.views import for_size, make_view
from trackersplat.captures.readable import require_files
from trackersplat.captures.settings import held_out_cameras, read_settings
from trackersplat.captures.still_cameras import left_out
from trackersplat.errors import InputError
from trackersplat.files import has_file, read_json

NAME = "rh20t"
CALIBRATED_SIZE = (1280, 720)  # pixels; the published videos are half as large
TOLERANCE = 100.0  # ms between images of one frame, at most
MIN_SHARE = 0.5  # of the frames that a camera must have
# Of the seven robots, as the dataset's API lists them.
IN_HAND = ("043322070878", "104422070042", "045322071843", "135122079702", "135122075425", "135122070361")

_CAMERA = re.compile(r"cam_([0-9A-Za-z]{1,32})")


def detects(folder: Path) -> bool:
    return bool(_camera_folders(folder))


def read(folder: Path) -> Capture:
    """A COLMAP model in ``sparse/0``, its images named after the serials, is used instead of the calibration where there is one.

    Raises InputError if a video, the times or the calibration are damaged, or no frame is common to all cameras.
    """
    places = [path for path in sorted(folder.iterdir()) if _CAMERA.fullmatch(path.name) and path.is_dir()]
    require_files(place / name for place in places for name in ("color.mp4", "timestamps.npy") if (place / name).is_symlink())
    folders = _camera_folders(folder)
    warnings = [f"{serial} is left out: it is on the robot's hand and moves." for serial in folders if serial in IN_HAND]
    folders = {serial: place for serial, place in folders.items() if serial not in IN_HAND}
    if not folders:
        raise InputError(f"{folder} has only cameras on the robot's hand, which move: at least one other camera is needed.")
    model = read_sparse_model(folder, list(folders))
    calibrated: dict[str, tuple[LensModel, np.ndarray]]
    if model is not None:
        calibrated = model.cameras
        warnings += model.notes(list(folders), "the dataset")
    else:
        calibrated = _read_calibration(folder)
        warnings += [f"{serial} is left out: the calibration does not have it." for serial in folders if serial not in calibrated]
    serials = [serial for serial in folders if serial in calibrated]
    if not serials:
        raise InputError(f"{folder}: the calibration has none of the cameras ({', '.join(folders)}): copy the calib folder again.")
    settings = read_settings(folder)
    videos = open_videos([folders[serial] / "color.mp4" for serial in serials])
    times = [_read_times(folders[serial] / "timestamps.npy", video) for serial, video in zip(serials, videos, strict=True)]
    leader = max((own for own, serial in zip(times, serials, strict=True) if serial not in settings.exclude), key=len, default=times[0])
    shares = [float(counterparts(own, leader, TOLERANCE)[1].mean()) for own in times]
    for serial, share in zip(serials, shares, strict=True):
        if share < MIN_SHARE:
            warnings.append(f"{serial} is left out: it has images of only {100 * share:.0f} % of the frames.")
    kept = [i for i, share in enumerate(shares) if share >= MIN_SHARE]
    serials, videos, times = [serials[i] for i in kept], [videos[i] for i in kept], [times[i] for i in kept]
    matched = match_times(times, TOLERANCE, settings.keeps(serials))
    if not matched.frames[0]:
        raise InputError(f"{folder}: no frame was taken by all cameras within {TOLERANCE:g} ms: copy timestamps.npy again.")
    warnings.append(f"Frames are matched by their times; the images of one frame lie up to {matched.spread:.0f} ms apart.")
    if matched.dropped:
        warnings.append(f"{left_out(matched.dropped)}.")
    held_out, unheld = held_out_cameras(settings, folder, serials)
    views = []
    for serial, video in zip(serials, videos, strict=True):
        lens, pose = calibrated[serial]
        fitted = for_size(lens, video.info.width, video.info.height)
        if fitted is None:
            raise InputError(
                f"{video.path} has {video.info.width}x{video.info.height} pixels, but {serial} is calibrated for "
                f"{lens.width}x{lens.height}: another aspect ratio, so keep the published video."
            )
        views.append(make_view(serial, fitted, pose, settings.scale or 1.0))
    source = VideoSource(videos, matched.frames, [remap for _, remap in views], counted=settings.keeps(serials), names=serials)
    fps = 1000.0 / matched.interval if matched.interval > 0.1 else frame_rate(source.counted_infos)[0]
    return Capture(
        name=settings.name or folder.resolve().name,
        root=folder,
        layout=NAME,
        cameras=tuple(camera for camera, _ in views),
        frame_count=source.frame_count,
        fps=settings.fps or fps,
        source=source,
        held_out=held_out,
        points=None if model is None else model.points,
        warnings=(*warnings, *unheld),
    )


def _camera_folders(folder: Path) -> dict[str, Path]:
    """Serial -> folder, in order."""
    found = {match[1]: path for path in folder.iterdir() if (match := _CAMERA.fullmatch(path.name)) and path.is_dir()}
    return {s: found[s] for s in sorted(found) if all((found[s] / name).is_file() for name in ("color.mp4", "timestamps.npy"))}


def _read_times(path: Path, video: VideoFile) -> np.ndarray:
    """(frames,) ascending milliseconds. Raises InputError if they are not one per frame of the video."""
    table = read_object(path)
    times = table.get("color") if isinstance(table, dict) else None
    numbers = isinstance(times, list) and all(isinstance(time, (int, float)) and not isinstance(time, bool) for time in times)
    if not (numbers or isinstance(times, np.ndarray)):
        raise InputError(f"{path} has no list 'color' of times in milliseconds: copy it again.")
    values = np.asarray(times, dtype=np.float64).reshape(-1)
    if len(values) != video.info.frame_count:
        raise InputError(f"{path} has {len(values)} times, but {video.path} has {video.info.frame_count} frames: copy both again.")
    if not np.isfinite(values).all() or (np.diff(values) < 0).any():
        raise InputError(f"{path} has times that do not ascend: copy it again.")
    return values


def _read_calibration(folder: Path) -> dict[str, tuple[LensModel, np.ndarray]]:
    path = folder / "metadata.json"
    if not has_file(path):
        raise InputError(f"{path} is missing: it names the calibration of the cameras, so copy it from the dataset.")
    number = read_json(path).get("calib")
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise InputError(f"{path} names no calibration ('calib' is {str(number)[:40]!r}): the cameras of this scene are not calibrated.")
    parent = folder.resolve().parent
    place = next((p / "calib" / str(number) for p in (parent, parent.parent) if (p / "calib" / str(number)).is_dir()), None)
    if place is None:
        raise InputError(f"{parent / 'calib' / str(number)} is missing: copy the dataset's calib folder beside the scene.")
    intrinsics, extrinsics = read_object(place / "intrinsics.npy"), read_object(place / "extrinsics.npy")
    if not isinstance(intrinsics, dict) or not isinstance(extrinsics, dict):
        raise InputError(f"{place}: intrinsics.npy and extrinsics.npy must hold one entry per camera: copy them again.")
    cameras: dict[str, tuple[LensModel, np.ndarray]] = {}
    for serial in sorted(set(intrinsics) & set(extrinsics), key=str):
        K = _numbers(intrinsics[serial], (3, 4), f"{place / 'intrinsics.npy'}: camera {serial}")
        poses = extrinsics[serial]
        pose = _numbers(poses[0] if len(np.shape(poses)) == 3 else poses, (4, 4), f"{place / 'extrinsics.npy'}: camera {serial}")
        lens = OpenCVLens(*CALIBRATED_SIZE, K[0, 0], K[1, 1], K[0, 2] + 0.5, K[1, 2] + 0.5)
        check_camera(lens.width, lens.height, lens.K, pose, f"{place}: camera {serial}")
        cameras[str(serial)] = lens, pose
    return cameras


def _numbers(value: Any, shape: tuple[int, int], what: str) -> np.ndarray:
    array = np.asarray(value) if isinstance(value, (list, np.ndarray)) else np.empty(0)
    if array.shape != shape or array.dtype.kind not in "fiu" or not np.isfinite(array).all():
        raise InputError(f"{what} must be a {shape[0]}x{shape[1]} matrix of finite numbers: copy the calib folder again.")
    check_range(array, what)
    return array.astype(np.float64)


LAYOUT = Layout(detects, read)
