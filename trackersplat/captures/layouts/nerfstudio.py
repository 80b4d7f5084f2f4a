"""nerfstudio's ``transforms.json`` with several cameras per time: frames of one pose and lens are one camera.

``transform_matrix`` is camera to world with OpenGL's axes (x right, y up, z backward); pixel centres lie at +0.5; ``time`` orders the
frames. Instead of one file there may be ``transforms_train.json`` and ``transforms_test.json``, whose cameras are held out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from trackersplat.captures.capture import Capture
from trackersplat.captures.formats.calibration import check_camera, lens_from_matrix, matrix
from trackersplat.captures.formats.ply_points import read_points
from trackersplat.captures.layout import Layout
from trackersplat.captures.media.decode import ImageFileSource, image_size
from trackersplat.captures.media.lens import OpenCVLens
from trackersplat.captures.media.video import FALLBACK_FPS, MAX_SIDE
from trackersplat.captures.media.views import make_view
from trackersplat.captures.settings import MAX_FPS, held_out_cameras, plain_name, positive_integer, positive_number, read_settings
from trackersplat.errors import InputError
from trackersplat.files import has_file, read_json

NAME = "nerfstudio"
ENDINGS = ("", ".png", ".jpg", ".jpeg")  # some writers leave them away
POSE_DIGITS = 6  # frames whose poses agree to so many decimals are of one camera
MAX_FRAMES = 1_000_000

_PERSPECTIVE = ("PINHOLE", "SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV", "perspective")
_FISHEYE = ("OPENCV_FISHEYE", "fisheye")


@dataclass(frozen=True)
class _Frame:
    path: PurePosixPath  # as written
    time: float | None
    lens: OpenCVLens | None  # None: the file lacks the size, which is read from the image
    entry: dict[str, Any]  # the file's keys, overridden by the frame's
    camera_to_world: np.ndarray  # (4, 4), OpenGL axes
    testing: bool


@dataclass(frozen=True)
class _Camera:
    name: str
    lens: OpenCVLens
    world_to_camera: np.ndarray
    images: dict[float, Path]  # by time
    testing: bool


def detects(folder: Path) -> bool:
    return any((folder / name).is_file() for name in ("transforms.json", "transforms_train.json"))


def read(folder: Path) -> Capture:
    """Raises InputError if a file is damaged, an image is missing, the camera moves, or a camera has no image of a time."""
    path, frames, data = _read_frames(folder)
    cameras = _group(folder, path, frames)
    times = sorted({time for camera in cameras for time in camera.images})
    for camera in cameras:
        missing = next((time for time in times if time not in camera.images), None)
        if missing is not None:
            alone = all(len(camera.images) == 1 for camera in cameras)
            raise InputError(
                f"{path}: the camera moves from time to time, which is not supported: several cameras that do not move are needed."
                if alone
                else f"{path} has no image of the camera {camera.name} at time {missing:g}: every camera needs one at every time."
            )
    names = [camera.name for camera in cameras]
    settings = read_settings(folder)
    held_out, warnings = held_out_cameras(settings, folder, names, [camera.name for camera in cameras if camera.testing])
    fps = settings.fps
    if fps is None and "fps" in data:
        fps = positive_number(data["fps"], MAX_FPS, f"{path}: 'fps'")
    if fps is None and len(times) > 1:
        warnings.append(
            f'The frames have no frame rate, so {FALLBACK_FPS:g} per second are assumed; a file capture.json with "fps" would say it.'
        )
    views = [make_view(camera.name, camera.lens, camera.world_to_camera, settings.scale or 1.0) for camera in cameras]
    cloud = data.get("ply_file_path")
    return Capture(
        name=settings.name or folder.resolve().name,
        root=folder,
        layout=NAME,
        cameras=tuple(camera for camera, _ in views),
        frame_count=len(times),
        fps=fps or FALLBACK_FPS,
        source=ImageFileSource(
            [[camera.images[time] for time in times] for camera in cameras],
            [(camera.lens.width, camera.lens.height) for camera in cameras],
            remaps=[remap for _, remap in views],
        ),
        held_out=held_out,
        points=None if cloud is None else read_points(_inside(folder, _relative(cloud, f"{path}: 'ply_file_path'"), path)),
        warnings=tuple(warnings),
    )


def _read_frames(folder: Path) -> tuple[Path, list[_Frame], dict[str, Any]]:
    """The file, or the first of several; all frames; what the file says of all of them."""
    single = folder / "transforms.json"
    paths = [single] if single.is_file() else [folder / "transforms_train.json", folder / "transforms_test.json"]
    paths = [path for path in paths if has_file(path)]
    frames: list[_Frame] = []
    files = [read_json(path) for path in paths]
    for path, data in zip(paths, files, strict=True):
        entries = data.get("frames")
        if not isinstance(entries, list) or not 1 <= len(entries) <= MAX_FRAMES:
            raise InputError(f"{path}: 'frames' must be a list of 1 to {MAX_FRAMES} frames.")
        tested = data.get("test_filenames", [])
        if not isinstance(tested, list):
            raise InputError(f"{path}: 'test_filenames' must be a list of file names.")
        frames += [_frame(entry, data, path, number, tested) for number, entry in enumerate(entries, start=1)]
    timed = [frame.time is not None for frame in frames]
    if any(timed) and not all(timed):
        raise InputError(f"{paths[0]}: 'time' is missing in frame {timed.index(False) + 1}: every frame needs it, or none.")
    return paths[0], frames, files[0]


def _frame(entry: Any, data: dict[str, Any], path: Path, number: int, tested: list[Any]) -> _Frame:
    what = f"{path}: frame {number}"
    if not isinstance(entry, dict):
        raise InputError(f"{what} must be an object.")
    file = _relative(entry.get("file_path"), f"{what}: 'file_path'")
    time = entry.get("time")
    if time is not None and (isinstance(time, bool) or not isinstance(time, (int, float)) or not abs(time) < 1e12):
        raise InputError(f"{what}: 'time' must be a finite number, but is {str(time)[:40]!r}.")
    rows = entry.get("transform_matrix")
    pose = np.eye(4)
    shape = (3, 4) if isinstance(rows, list) and len(rows) == 3 else (4, 4)
    pose[: shape[0]] = matrix(rows, shape, f"{what}: 'transform_matrix'")
    if np.abs(pose[3] - (0, 0, 0, 1)).max() > 1e-6:
        raise InputError(f"{what}: the last row of 'transform_matrix' must be 0 0 0 1.")
    merged = {**{key: value for key, value in data.items() if key != "frames"}, **entry}
    size = [merged.get("w"), merged.get("h")]
    lens = None
    if None not in size:
        width, height = (positive_integer(_whole(side), MAX_SIDE, f"{what}: the size 'w', 'h'") for side in size)
        lens = _lens(merged, width, height, what)
    testing = path.name == "transforms_test.json" or entry.get("file_path") in tested
    return _Frame(file, None if time is None else float(time), lens, merged, pose, testing)


def _lens(entry: dict[str, Any], width: int, height: int, what: str) -> OpenCVLens:
    def number(key: str, default: float | None = None) -> float:
        value = entry.get(key, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e9:
            raise InputError(f"{what}: {key!r} must be a finite number, but is {str(value)[:40]!r}.")
        return float(value)

    model = entry.get("camera_model", "OPENCV")
    fisheye = model in _FISHEYE or entry.get("is_fisheye") is True
    if not fisheye and model not in _PERSPECTIVE:
        raise InputError(f"{what}: the camera model {str(model)[:40]!r} is not supported: use OPENCV or OPENCV_FISHEYE.")
    if "fl_x" in entry:
        fx = number("fl_x")
    else:
        angle = number("camera_angle_x")
        if not 0 < angle < np.pi:
            raise InputError(f"{what}: 'camera_angle_x' must lie between 0 and pi, but is {angle:g}.")
        fx = width / 2 / float(np.tan(angle / 2))
    fy = number("fl_y", fx)
    K = np.array([[fx, 0.0, number("cx", width / 2)], [0.0, fy, number("cy", height / 2)], [0.0, 0.0, 1.0]])
    k1, k2, k3, k4, p1, p2 = (number(key, 0.0) for key in ("k1", "k2", "k3", "k4", "p1", "p2"))
    if not fisheye and k4:
        raise InputError(f"{what}: a radial coefficient 'k4' is not supported for perspective cameras: calibrate with OPENCV.")
    return lens_from_matrix(width, height, K, [k1, k2, k3, k4] if fisheye else [k1, k2, p1, p2, k3], fisheye, what)


def _group(folder: Path, path: Path, frames: list[_Frame]) -> list[_Camera]:
    """The cameras in the order of their names."""
    groups: dict[tuple[Any, ...], list[_Frame]] = {}
    for frame in frames:
        pose = np.round(frame.camera_to_world[:3], POSE_DIGITS) + 0.0  # no negative zeros
        groups.setdefault((*pose.reshape(-1).tolist(), frame.lens), []).append(frame)
    members = list(groups.values())
    cameras = []
    for name, group in zip(_names([[frame.path for frame in group] for group in members]), members, strict=True):
        images: dict[float, Path] = {}
        for frame in group:
            time = frame.time or 0.0
            if time in images:
                raise InputError(f"{path} has two images of the camera {name} at time {time:g}: {images[time].name} and {frame.path.name}.")
            images[time] = _inside(folder, frame.path, path)
        lens = group[0].lens or _lens(group[0].entry, *image_size(images[min(images)]), f"{path}: camera {name}")
        world_to_camera = np.linalg.inv(_rigid(group[0].camera_to_world, f"{path}: the pose of {name}"))
        check_camera(lens.width, lens.height, lens.K, world_to_camera, f"{path}: camera {name}")
        cameras.append(_Camera(name, lens, world_to_camera, images, all(frame.testing for frame in group)))
    return sorted(cameras, key=lambda camera: camera.name)


def _rigid(pose: np.ndarray, what: str) -> np.ndarray:
    """With OpenCV's axes. Raises InputError if it is no rigid motion."""
    rotation = pose[:3, :3]
    if np.abs(rotation.T @ rotation - np.eye(3)).max() > 1e-3 or np.linalg.det(rotation) < 0:
        raise InputError(f"{what} is no rotation and translation: 'transform_matrix' must be camera to world, without scale.")
    return pose @ np.diag([1.0, -1.0, -1.0, 1.0])


def _names(files: Sequence[Sequence[PurePosixPath]]) -> list[str]:
    """A name for each camera: the parts of its files' paths that are the same for all of them and differ between cameras; else a number."""
    parts = [[re.split(r"[/_.\-]", str(file.with_suffix(""))) for file in own] for own in files]
    numbered = [f"cam{index:02d}" for index in range(len(files))]
    lengths = {len(words) for own in parts for words in own}
    if len(lengths) != 1 or len(files) == 1:
        return numbered
    shared = [[column[0] if len(set(column)) == 1 else None for column in zip(*own, strict=True)] for own in parts]
    telling = [i for i in range(lengths.pop()) if None not in (column := [own[i] for own in shared]) and len(set(column)) > 1]
    names = ["_".join(str(own[i]) for i in telling) for own in shared]
    names = [f"cam{name}" if name.isdigit() else name for name in names]
    usable = len(set(names)) == len(names) and all(re.fullmatch(r"[A-Za-z0-9_]{1,100}", name) for name in names)
    return names if usable else numbered


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _relative(value: Any, what: str) -> PurePosixPath:
    """A path below the capture's folder. Raises InputError if it could lead out of it."""
    if not isinstance(value, str) or len(value) > 1000:
        raise InputError(f"{what} must be the path of a file, but is {str(value)[:60]!r}.")
    path = PurePosixPath(value)  # drops single dots
    for part in path.parts:
        plain_name(part, f"{what}: each part of the path")
    return path


def _inside(folder: Path, path: PurePosixPath, where: Path) -> Path:
    found = next((folder / f"{path}{ending}" for ending in ENDINGS if (folder / f"{path}{ending}").is_file()), None)
    if found is None:
        raise InputError(f"{folder / path} is missing, although {where.name} names it: copy the images again.")
    return found


LAYOUT = Layout(detects, read, axes="opengl", camera_to_world=True)
