"""Sparse COLMAP models (Schönberger and Frahm 2016) in text and binary form: cameras, poses and points, not the 2D observations.

Nothing in the files is trusted: every count is checked against the bytes that are there before it is used.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trackersplat.captures.capture import PointCloud
from trackersplat.captures.formats.calibration import LARGEST
from trackersplat.captures.formats.ply_points import read_points
from trackersplat.captures.media.video import MAX_SIDE
from trackersplat.errors import InputError
from trackersplat.files import has_file, read_file, read_text

MAX_MODEL_BYTES = 4 * 2**30
MAX_NAME_BYTES = 1024
MODEL_FOLDERS = (
    "sparse/0",
    "sparse",
    "sparse_",
    "sparse_*/0",
)  # of COLMAP, of converters, of 4DGaussians, of InstantSplat

# Order is COLMAP's model id; the number of parameters of each.
MODELS: tuple[tuple[str, int], ...] = (
    ("SIMPLE_PINHOLE", 3),  # f, cx, cy
    ("PINHOLE", 4),  # fx, fy, cx, cy
    ("SIMPLE_RADIAL", 4),
    ("RADIAL", 5),
    ("OPENCV", 8),
    ("OPENCV_FISHEYE", 8),
    ("FULL_OPENCV", 12),
    ("FOV", 5),
    ("SIMPLE_RADIAL_FISHEYE", 4),
    ("RADIAL_FISHEYE", 5),
    ("THIN_PRISM_FISHEYE", 12),
    ("RAD_TAN_THIN_PRISM_FISHEYE", 16),
    ("SIMPLE_DIVISION", 4),
    ("DIVISION", 5),
    ("SIMPLE_FISHEYE", 3),
    ("FISHEYE", 4),
    ("EUCM", 6),
)


@dataclass(frozen=True)
class ColmapCamera:
    """Intrinsics as stored; pixel centres at +0.5."""

    model: str
    width: int
    height: int
    params: tuple[float, ...]

    @property
    def focal_lengths(self) -> tuple[float, ...]:
        """Pixels: one for both axes, or fx and fy. They come first in ``params``."""
        return self.params[: 1 if self.model.startswith(("SIMPLE_", "RADIAL")) else 2]


@dataclass(frozen=True)
class ColmapImage:
    """A posed image. World to camera, OpenCV axes: ``x_camera = R(quaternion) x_world + translation``."""

    name: str
    camera_id: int
    quaternion: tuple[float, float, float, float]  # wxyz, of unit length
    translation: tuple[float, float, float]

    def world_to_camera(self) -> np.ndarray:
        """(4, 4) float64."""
        w, x, y, z = self.quaternion
        matrix = np.eye(4)
        matrix[:3, :3] = (
            (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
            (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
            (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
        )
        matrix[:3, 3] = self.translation
        return matrix


@dataclass(frozen=True)
class ColmapModel:
    cameras: dict[int, ColmapCamera]
    images: tuple[ColmapImage, ...]  # sorted by name


def model_folder(folder: Path) -> Path | None:
    """The first of ``MODEL_FOLDERS`` in which there is a model."""
    places = (found for pattern in MODEL_FOLDERS for found in sorted(folder.glob(pattern)))
    return next((place for place in places if has_model(place)), None)


def has_model(folder: Path) -> bool:
    return all(any((folder / f"{stem}{suffix}").is_file() for suffix in (".bin", ".txt")) for stem in ("cameras", "images"))


def read_model(folder: Path) -> ColmapModel:
    """``cameras`` and ``images`` of a model folder, binary if both forms are there.

    Raises InputError if a file is missing, cut off or damaged.
    """
    lenses = _find(folder, "cameras")
    cameras = _cameras_binary(_Bytes(lenses)) if lenses.suffix == ".bin" else _cameras_text(lenses)
    path = _find(folder, "images")
    images = _images_binary(_Bytes(path)) if path.suffix == ".bin" else _images_text(path)
    if not images:
        raise InputError(f"{path} has no image: COLMAP registered none, so run the reconstruction again.")
    for image in images:
        if image.camera_id not in cameras:
            raise InputError(f"{path}: the image {image.name} uses camera {image.camera_id}, which the model does not have.")
        if min(cameras[image.camera_id].focal_lengths) <= 0:
            raise InputError(f"{lenses} has a camera with a focal length that is not positive, for {image.name}: calibrate again.")
    if len({image.name for image in images}) != len(images):
        raise InputError(f"{path} names an image twice.")
    return ColmapModel(cameras, tuple(sorted(images, key=lambda image: image.name)))


def read_model_points(folder: Path) -> PointCloud | None:
    """The model's points (``points3D.ply``, ``.bin`` or ``.txt``, whichever comes first), None if it has none.

    Raises InputError if the file is cut off or damaged.
    """
    if has_file(folder / "points3D.ply"):
        return read_points(folder / "points3D.ply")
    if has_file(folder / "points3D.bin"):
        path, rows = folder / "points3D.bin", _points_binary(_Bytes(folder / "points3D.bin"))
    elif has_file(folder / "points3D.txt"):
        path, rows = folder / "points3D.txt", _points_text(folder / "points3D.txt")
    else:
        return None
    if len(rows) == 0:
        return None
    with np.errstate(over="ignore"):
        xyz = rows[:, :3].astype(np.float64)
        single = xyz.astype(np.float32)  # too large a number becomes infinite
    if not np.isfinite(single).all() or not np.isfinite(rows).all():
        raise InputError(f"{path} has a point whose coordinates are not finite numbers: write it again without it.")
    return PointCloud(xyz, np.clip(rows[:, 3:], 0, 255).astype(np.uint8))


def _find(folder: Path, stem: str) -> Path:
    for suffix in (".bin", ".txt"):
        if has_file(folder / f"{stem}{suffix}"):
            return folder / f"{stem}{suffix}"
    raise InputError(f"{folder} has neither {stem}.bin nor {stem}.txt: it must hold a sparse COLMAP model.")


class _Bytes:
    """A cursor over a little-endian binary file that never reads past its end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.data = read_file(path, MAX_MODEL_BYTES)
        self.position = 0

    def take(self, layout: str) -> tuple:
        format = struct.Struct("<" + layout)
        start = self._advance(format.size)
        return format.unpack_from(self.data, start)

    def count(self, record_size: int) -> int:
        """A 64-bit count of records of at least ``record_size`` bytes each, which must fit in what follows."""
        (count,) = self.take("Q")
        if count * record_size > len(self.data) - self.position:
            self._cut_off()
        return count

    def skip_list(self, record_size: int) -> None:
        self._advance(self.count(record_size) * record_size)

    def text(self) -> str:
        end = self.data.find(b"\0", self.position, self.position + MAX_NAME_BYTES)
        if end < 0:
            raise InputError(f"{self.path} is damaged at byte {self.position}: an image name does not end.")
        start, self.position = self.position, end + 1
        return self.data[start:end].decode("utf-8", errors="replace")

    def _advance(self, size: int) -> int:
        start = self.position
        if size > len(self.data) - start:
            self._cut_off()
        self.position += size
        return start

    def _cut_off(self) -> None:
        raise InputError(f"{self.path} is cut off or damaged: its {len(self.data)} bytes end before its records do; copy it again.")


def _camera(path: Path, model: str, width: int, height: int, params: tuple[float, ...]) -> ColmapCamera:
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise InputError(f"{path} has a camera of {width}x{height} pixels, expected 1 to {MAX_SIDE} on each side.")
    if not np.isfinite(params).all() or max(map(abs, params)) > LARGEST:
        raise InputError(f"{path} has a camera with a parameter that is not a finite number: calibrate again.")
    return ColmapCamera(model, width, height, params)


def _image(path: Path, name: str, camera_id: int, pose: tuple[float, ...]) -> ColmapImage:
    norm = math.hypot(*pose[:4])
    if not np.isfinite(pose).all() or not 1e-6 < norm < 1e6 or max(map(abs, pose)) > LARGEST:
        raise InputError(f"{path}: the pose of {name} is not a finite rotation and translation: register the image again.")
    w, x, y, z = (value / norm for value in pose[:4])
    name = name.replace("\\", "/")  # as Windows writes folders
    return ColmapImage(name, camera_id, (w, x, y, z), (pose[4], pose[5], pose[6]))


def _cameras_binary(data: _Bytes) -> dict[int, ColmapCamera]:
    cameras = {}
    for _ in range(data.count(24)):
        camera_id, model_id, width, height = data.take("IiQQ")
        if not 0 <= model_id < len(MODELS):
            raise InputError(
                f"{data.path} uses the camera model number {model_id}, which cannot be read: calibrate with PINHOLE or OPENCV."
            )
        model, parameter_count = MODELS[model_id]
        cameras[camera_id] = _camera(data.path, model, width, height, data.take(f"{parameter_count}d"))
    return cameras


def _images_binary(data: _Bytes) -> list[ColmapImage]:
    images = []
    for _ in range(data.count(73)):
        _, *pose, camera_id = data.take("I7dI")
        images.append(_image(data.path, data.text(), camera_id, tuple(pose)))
        data.skip_list(24)  # x, y, point id of every 2D observation
    return images


def _points_binary(data: _Bytes) -> np.ndarray:
    count = data.count(51)
    rows = np.empty((count, 6))
    for index in range(count):
        _, x, y, z, r, g, b, _ = data.take("Q3d3Bd")
        rows[index] = x, y, z, r, g, b
        data.skip_list(8)  # image id and observation index of the track
    return rows


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(read_text(path, MAX_MODEL_BYTES).splitlines(), start=1):
        if not line.startswith("#"):
            yield number, line.strip()


def _damaged(path: Path, number: int, expected: str) -> InputError:
    return InputError(f"Line {number} of {path} is not of the form '{expected}': write the model again with COLMAP.")


def _cameras_text(path: Path) -> dict[int, ColmapCamera]:
    known = dict(MODELS)
    cameras = {}
    for number, line in _lines(path):
        words = line.split()
        if not words:
            continue
        if len(words) >= 4 and words[1] not in known:
            raise InputError(f"{path} uses the camera model {words[1][:40]!r}, which cannot be read: calibrate with PINHOLE or OPENCV.")
        try:
            if len(words) != 4 + known[words[1]]:
                raise ValueError
            params = tuple(float(word) for word in words[4:])
            cameras[int(words[0])] = _camera(path, words[1], int(words[2]), int(words[3]), params)
        except (ValueError, IndexError, KeyError) as error:
            raise _damaged(path, number, "CAMERA_ID MODEL WIDTH HEIGHT PARAMETERS") from error
    return cameras


def _images_text(path: Path) -> list[ColmapImage]:
    images = []
    after_image = False  # the next line may be the image's 2D observations, which scripts leave away where there are none
    for number, line in _lines(path):
        if not line or (after_image and _are_observations(line)):
            after_image = False
            continue
        words = line.split(maxsplit=9)
        try:
            pose = tuple(float(word) for word in words[1:8])
            if len(words) != 10:
                raise ValueError
            images.append(_image(path, words[9], int(words[8]), pose))
        except ValueError as error:
            raise _damaged(path, number, "IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME") from error
        after_image = True
    return images


def _are_observations(line: str) -> bool:
    """Whether a line lists 2D observations, three numbers each, and not an image, which has ten words."""
    words = line.split()
    if len(words) % 3:
        return False
    try:
        return bool(np.isfinite([float(word) for word in words]).all())
    except ValueError:
        return False


def _points_text(path: Path) -> np.ndarray:
    rows = []
    for number, line in _lines(path):
        if line:
            words = line.split(maxsplit=7)
            try:
                rows.append([float(word) for word in words[1:7]])
                if len(words) < 7:
                    raise ValueError
            except ValueError as error:
                raise _damaged(path, number, "POINT3D_ID X Y Z R G B ERROR TRACK") from error
    return np.array(rows).reshape(-1, 6)
