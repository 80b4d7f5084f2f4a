"""Sparse COLMAP models (``sparse/0``) of cameras and points, without 2D observations. Images are called CAMERA.png."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from trackersplat.captures.camera import Camera
from trackersplat.captures.camera_files.registry import CameraFiles
from trackersplat.captures.capture import PointCloud
from trackersplat.captures.formats.colmap_model import MODELS, read_model
from trackersplat.files import write_text

FOLDER = Path("sparse") / "0"
IMAGE = ".png"
_PINHOLE = [name for name, _ in MODELS].index("PINHOLE")
_ERROR = 0.0  # reprojection error of the points in pixels: nobody has measured one


def write_binary(cameras: Sequence[Camera], points: PointCloud, folder: Path) -> None:
    """See `registry.WriteCameras`."""
    place = folder / FOLDER
    place.mkdir(parents=True)
    lenses, images = bytearray(struct.pack("<Q", len(cameras))), bytearray(struct.pack("<Q", len(cameras)))
    for number, camera in enumerate(cameras, start=1):
        lenses += struct.pack("<IiQQ4d", number, _PINHOLE, camera.width, camera.height, *_lens(camera))
        images += struct.pack("<I7dI", number, *_pose(camera), number) + f"{camera.name}{IMAGE}".encode() + b"\0" + struct.pack("<Q", 0)
    rows = np.empty(
        len(points.xyz), [("id", "<u8"), ("xyz", "<f8", 3), ("rgb", "u1", 3), ("error", "<f8"), ("track", "<u8")]
    )  # packed, as COLMAP reads it
    rows["id"], rows["xyz"], rows["rgb"] = np.arange(1, len(rows) + 1), points.xyz, points.rgb
    rows["error"], rows["track"] = _ERROR, 0
    (place / "cameras.bin").write_bytes(lenses)
    (place / "images.bin").write_bytes(images)
    (place / "points3D.bin").write_bytes(struct.pack("<Q", len(rows)) + rows.tobytes())


def write_text_model(cameras: Sequence[Camera], points: PointCloud, folder: Path) -> None:
    """See `registry.WriteCameras`."""
    place = folder / FOLDER
    place.mkdir(parents=True)
    lenses, images = (
        ["# CAMERA_ID MODEL WIDTH HEIGHT FX FY CX CY"],
        ["# IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME, then a line of points"],
    )
    for number, camera in enumerate(cameras, start=1):
        lenses.append(f"{number} PINHOLE {camera.width} {camera.height} {_words(_lens(camera))}")
        images += [f"{number} {_words(_pose(camera))} {number} {camera.name}{IMAGE}", ""]
    cloud = ["# POINT3D_ID X Y Z R G B ERROR, then the track"]
    for number, (xyz, rgb) in enumerate(zip(points.xyz.astype(np.float64).tolist(), points.rgb.tolist(), strict=True), start=1):
        cloud.append(f"{number} {_words(xyz)} {' '.join(map(str, rgb))} {_ERROR}")
    for name, lines in (("cameras.txt", lenses), ("images.txt", images), ("points3D.txt", cloud)):
        write_text(place / name, "\n".join(lines) + "\n")


def read_back(folder: Path) -> tuple[Camera, ...]:
    """See `registry.ReadCameras`."""
    model = read_model(folder / FOLDER)
    made = []
    for image in sorted(model.images, key=lambda image: image.camera_id):
        lens = model.cameras[image.camera_id]
        fx, fy, cx, cy = lens.params
        intrinsics = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
        made.append(Camera(image.name.removesuffix(IMAGE), lens.width, lens.height, intrinsics, image.world_to_camera()))
    return tuple(made)


def _lens(camera: Camera) -> tuple[float, float, float, float]:
    return camera.fx, camera.fy, camera.cx, camera.cy


def _pose(camera: Camera) -> tuple[float, ...]:
    """Quaternion w, x, y, z and translation, world to camera."""
    x, y, z, w = Rotation.from_matrix(camera.rotation.copy()).as_quat()  # SciPy 1.13 takes no read-only array
    return (float(w), float(x), float(y), float(z), *(float(value) for value in camera.translation))


def _words(values: Sequence[float]) -> str:
    return " ".join(repr(float(value)) for value in values)


BINARY, TEXT = CameraFiles(write_binary, read_back), CameraFiles(write_text_model, read_back)
