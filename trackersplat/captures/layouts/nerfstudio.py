"""nerfstudio's ``transforms.json`` with several cameras per time: frames of one pose and lens are one camera.

``transform_matrix`` is camera to world with OpenGL's axes (x right, y up, z backward); pixel centres lie at +0.5. ``time`` orders the
frames, in any unit and from any start; without it the numbers in the images' names do, where a camera has several. Poses, lenses and
times of one camera may differ by rounding. ``applied_transform`` says what has been done to poses and points alike, so
there is nothing to undo. A time of which a camera has no image is left out. Instead of one file there may be
``transforms_train.json`` and ``transforms_test.json``, whose cameras are held out.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np

from trackersplat.captures.capture import Capture, PointCloud
from trackersplat.captures.formats.calibration import check_camera, lens_from_matrix, matrix
from trackersplat.captures.formats.ply_points import read_points
from trackersplat.captures.layout import Layout
from trackersplat.captures.media.decode import ImageFileSource, image_size
from trackersplat.captures.media.lens import OpenCVLens
from trackersplat.captures.media.video import FALLBACK_FPS, MAX_SIDE
from trackersplat.captures.media.views import make_view
from trackersplat.captures.settings import MAX_FPS, held_out_cameras, plain_name, positive_integer, positive_number, read_settings
from trackersplat.captures.still_cameras import (
    SAME,
    camera_names,
    common_numbers,
    frame_number,
    frame_numbers,
    group_by_camera,
    some,
    unused_images,
)
from trackersplat.errors import InputError
from trackersplat.files import has_file, read_json

NAME = "nerfstudio"
ENDINGS = ("", ".png", ".jpg", ".jpeg")  # some writers leave them away
MAX_TIME = 1e30
SAME_TIME = 0.25  # of the shortest time between two images of a camera: images that are closer were taken together
MAX_SPREAD = 0.1  # the same, from which a warning is given
MAX_FRAMES = 1_000_000

_PERSPECTIVE = ("PINHOLE", "SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV", "perspective")
_FISHEYE = ("OPENCV_FISHEYE", "fisheye")


@dataclass(frozen=True)
class _Frame:
    path: PurePosixPath  # as written, below the capture's folder unless ``absolute``
    absolute: bool  # then the image is at the longest end of the path that exists below the folder
    time: int | float | None
    lens: OpenCVLens | None  # None: the file lacks the size, which is read from the image
    entry: dict[str, Any]  # the file's keys, overridden by the frame's
    camera_to_world: np.ndarray  # (4, 4), OpenGL axes
    testing: bool


@dataclass(frozen=True)
class _Camera:
    name: str
    lens: OpenCVLens
    world_to_camera: np.ndarray
    images: dict[int | float, Path]  # by time
    testing: bool


def detects(folder: Path) -> bool:
    return any((folder / name).is_file() for name in ("transforms.json", "transforms_train.json"))


def read(folder: Path) -> Capture:
    """Raises InputError if a file is damaged, the camera moves, a camera has no image, or no time has an image of every camera."""
    path, frames, data = _read_frames(folder)
    settings = read_settings(folder)
    cameras, remarks = _group(folder, path, frames, settings.exclude)
    known_by = "number" if frames[0].time is None else "time"
    names = [camera.name for camera in cameras]
    times, together, incomplete = _complete_frames(path, cameras, *_taken_together(path, cameras), known_by, settings.exclude)
    held_out, unheld = held_out_cameras(settings, folder, names, [camera.name for camera in cameras if camera.testing])
    used = {image for camera in cameras for image in camera.images.values()}
    warnings = [*remarks, *incomplete, *_spread_of_times(cameras, times, together), *unused_images(folder, used, path.name), *unheld]
    fps = settings.fps
    if fps is None and "fps" in data:
        fps = positive_number(data["fps"], MAX_FPS, f"{path}: 'fps'")
    if fps is None and len(times) > 1:
        warnings.append(
            f'The frames have no frame rate, so {FALLBACK_FPS:g} per second are assumed; a file capture.json with "fps" sets another.'
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
            together,
            [(camera.lens.width, camera.lens.height) for camera in cameras],
            remaps=[remap for _, remap in views],
        ),
        held_out=held_out,
        points=None if cloud is None else _read_cloud(folder, path, cloud),
        warnings=tuple(warnings),
    )


def _read_cloud(folder: Path, path: Path, named: Any) -> PointCloud:
    cloud, absolute = _relative(named, f"{path}: 'ply_file_path'")
    found = _find(folder, cloud, absolute)
    if found is None:
        raise InputError(f"{_missing(folder, cloud, path)}: copy it again.")
    return read_points(found)


def read_poses(folder: Path) -> list[tuple[PurePosixPath, OpenCVLens, np.ndarray]]:
    """Of each frame the image, the lens, and the pose (4, 4) camera to world in OpenCV's axes. The images need not be there.

    Raises InputError if the file is damaged, or a frame lacks its size.
    """
    path, frames, _ = _read_frames(folder)
    found = []
    for frame in frames:
        if frame.lens is None:
            raise InputError(f"{path}: the size 'w', 'h' of {frame.path} is missing.")
        found.append((frame.path, frame.lens, _rigid(frame.camera_to_world, f"{path}: the pose of {frame.path}")))
    return found


def _read_frames(folder: Path) -> tuple[Path, list[_Frame], dict[str, Any]]:
    """The file, or the first of several; all frames; what the file says of all of them."""
    single = folder / "transforms.json"
    paths = [single] if has_file(single) else [folder / "transforms_train.json", folder / "transforms_test.json"]
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
    file, absolute = _relative(entry.get("file_path"), f"{what}: 'file_path'")
    time = entry.get("time")
    if time is not None and (isinstance(time, bool) or not isinstance(time, (int, float)) or not abs(time) < MAX_TIME):
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
    return _Frame(file, absolute, time, lens, merged, pose, testing)


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


def _group(folder: Path, path: Path, frames: list[_Frame], excluded: Collection[str]) -> tuple[list[_Camera], list[str]]:
    """The cameras in the order of their names."""
    groups, differ = group_by_camera(np.stack([frame.camera_to_world for frame in frames]), np.array([_numbers(frame) for frame in frames]))
    members = [[frames[index] for index in group] for group in groups]
    numbered = frames[0].time is None and any(len(group) > 1 for group in members)
    paths = [[frame.path for frame in group] for group in members]
    told = frame_numbers([[str(path) for path in own] for own in paths]) if numbered else None
    cameras = []
    lost: list[PurePosixPath] = []
    for index, (name, group) in enumerate(zip(camera_names(paths), members, strict=True)):
        images: dict[int | float, Path] = {}
        own = told[index] if told else [frame_number(frame.path.name) if numbered else frame.time or 0.0 for frame in group]
        for frame, time in zip(group, own, strict=True):
            if time is None:
                raise InputError(f"{path}: frame {frame.path} has neither a 'time' nor a number in its name, which would order the images.")
            if time in images:
                raise InputError(f"{path} has two images of the camera {name} at time {time:g}: {images[time].name} and {frame.path.name}.")
            image = _find(folder, frame.path, frame.absolute)
            if image is not None:
                images[time] = image
            elif name not in excluded:
                lost.append(frame.path)
        if not images:
            raise InputError(f"{_missing(folder, group[0].path, path)}, and so are all images of the camera {name}: copy the images again.")
        lens = group[0].lens or _lens(group[0].entry, *image_size(images[min(images)]), f"{path}: camera {name}")
        world_to_camera = np.linalg.inv(_rigid(group[0].camera_to_world, f"{path}: the pose of {name}"))
        check_camera(lens.width, lens.height, lens.K, world_to_camera, f"{path}: camera {name}")
        cameras.append(_Camera(name, lens, world_to_camera, images, all(frame.testing for frame in group)))
    remarks = []
    if lost:
        remarks.append(f"Images that {path.name} names are missing: {some([str(file) for file in lost])}.")
    if numbered:
        remarks.append("The images have no 'time', so the numbers in their names say which were taken together.")
    if differ:
        remarks.append(
            f"Poses or lenses of one camera differ a little between its images (by less than {SAME:g}); those of the first are used."
        )
    return sorted(cameras, key=lambda camera: camera.name), remarks


def _numbers(frame: _Frame) -> list[float]:
    """The numbers by which lenses of frames are compared."""
    if frame.lens is not None:
        lens = frame.lens
        values = [lens.width, lens.height, lens.fx, lens.fy, lens.cx, lens.cy, *lens.distortion, *[0.0] * (14 - len(lens.distortion))]
        return [float(value) for value in (*values, lens.fisheye)]
    found = [frame.entry.get(key) for key in ("fl_x", "fl_y", "cx", "cy", "camera_angle_x", "k1", "k2", "k3", "k4", "p1", "p2")]
    plain = [float(value) if isinstance(value, (int, float)) and abs(value) < 1e9 else 0.0 for value in found]
    return [*plain, *[0.0] * (21 - len(plain))]


def _taken_together(path: Path, cameras: list[_Camera]) -> tuple[list[int | float], list[list[Path | None]]]:
    """The times of the frames, and per camera its image of each, None where it has none."""
    everything = sorted({time for camera in cameras for time in camera.images})
    own = [sorted(camera.images) for camera in cameras]
    shortest = min((float(b - a) for times in own for a, b in pairwise(times)), default=0.0)
    # Times are kept as they are until here: a float64 has too few digits for nanoseconds since 1970.
    apart = SAME_TIME * shortest if shortest > 0 else 1e-6 * max(1.0, float(max(abs(everything[0]), abs(everything[-1]))))
    starts = [everything[0]]
    frame_of = {everything[0]: 0}
    for before, time in pairwise(everything):
        if float(time - before) > apart:
            starts.append(time)
        frame_of[time] = len(starts) - 1
    together: list[list[Path | None]] = []
    for camera in cameras:
        images: list[Path | None] = [None] * len(starts)
        for time, image in camera.images.items():
            taken = images[frame_of[time]]
            if taken is not None:
                raise InputError(f"{path} has two images of the camera {camera.name} at time {time:g}: {taken.name} and {image.name}.")
            images[frame_of[time]] = image
        together.append(images)
    return starts, together


def _complete_frames(
    path: Path,
    cameras: list[_Camera],
    times: list[int | float],
    together: list[list[Path | None]],
    known_by: str,
    excluded: Collection[str],
) -> tuple[list[int | float], list[list[Path]], list[str]]:
    """Times and images of the frames of which every camera has one that is not ``excluded``, and what is left out.

    ``known_by``: "time" or "number", which the times are. Cameras that are excluded may have no images.

    Raises InputError if there is none.
    """
    there = [{index: image for index, image in enumerate(own) if image is not None} for own in together]
    numbered = dict(zip([camera.name for camera in cameras], there, strict=True))
    common, remarks = common_numbers(numbered, lambda index: f"has the {known_by} {times[index]}", ignored=excluded)
    if common:
        whole = [[own[index] for index in common] if all(index in own for index in common) else [] for own in there]
        return [times[index] for index in common], whole, remarks
    if len(times) == len(cameras) and all(len(camera.images) == 1 for camera in cameras):
        raise InputError(
            f"{path}: each of the {len(cameras)} poses has one image, each of another {known_by}. Either one camera moves from image to "
            "image, which is not supported: several cameras that do not move are needed. Or cameras took them together: then give them "
            "the same 'time', or leave 'time' out."
        )
    counting = {name: own for name, own in numbered.items() if name not in excluded} or numbered
    fullest = max(range(len(times)), key=lambda index: sum(index in own for own in counting.values()))
    name = next(name for name, own in counting.items() if fullest not in own)
    raise InputError(
        f"{path}: no {known_by} has an image of every camera ({name} has none at {times[fullest]}): the cameras must film together, "
        f"and all poses and lenses of one camera must agree to {SAME:g}."
    )


def _spread_of_times(cameras: list[_Camera], starts: list[int | float], together: list[list[Path]]) -> list[str]:
    """A warning if images of one frame were taken at clearly different times."""
    if len(starts) < 2:
        return []
    found = [{image: time for time, image in camera.images.items()} for camera, images in zip(cameras, together, strict=True) if images]
    together = [images for images in together if images]
    spread = 0.0
    for frame in range(len(starts)):
        times = [own[images[frame]] for own, images in zip(found, together, strict=True)]
        spread = max(spread, float(max(times) - min(times)))
    interval = float(starts[-1] - starts[0]) / (len(starts) - 1)
    return [f"The cameras' images of one frame lie up to {spread / interval:.2f} frames apart."] if spread > MAX_SPREAD * interval else []


def _rigid(pose: np.ndarray, what: str) -> np.ndarray:
    """With OpenCV's axes. Raises InputError if it is no rigid motion."""
    rotation = pose[:3, :3]
    if np.abs(rotation.T @ rotation - np.eye(3)).max() > 1e-3 or np.linalg.det(rotation) < 0:
        raise InputError(f"{what} is no rotation and translation: 'transform_matrix' must be camera to world, without scale.")
    return pose @ np.diag([1.0, -1.0, -1.0, 1.0])


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _relative(value: Any, what: str) -> tuple[PurePosixPath, bool]:
    """A path below the capture's folder, and whether it was written as one of another machine's. Raises InputError if it could lead out."""
    if not isinstance(value, str) or len(value) > 1000:
        raise InputError(f"{what} must be the path of a file, but is {str(value)[:60]!r}.")
    windows = "\\" in value or value[1:3] == ":/"
    path = PureWindowsPath(value) if windows else PurePosixPath(value)  # both drop single dots
    parts = path.relative_to(path.anchor).parts if path.anchor else path.parts
    for part in parts:
        plain_name(part, f"{what}: each part of the path")
    return PurePosixPath(*parts), bool(path.anchor)


def _find(folder: Path, path: PurePosixPath, absolute: bool) -> Path | None:
    """The file below the capture's folder; of an absolute path, the longest end that names a file there."""
    ends = [PurePosixPath(*path.parts[start:]) for start in range(len(path.parts) if absolute else 1)]
    for end in ends:
        for ending in ENDINGS:
            if (found := folder / f"{end}{ending}").is_file():
                return found
    return None


def _missing(folder: Path, path: PurePosixPath, where: Path) -> str:
    return f"{folder / path} is missing, although {where.name} names it"


LAYOUT = Layout(detects, read, axes="opengl", camera_to_world=True)
