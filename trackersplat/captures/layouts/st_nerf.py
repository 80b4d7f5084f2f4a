"""ST-NeRF (Zhang et al. 2021): ``pose/K.txt``, ``pose/RT_c2w.txt`` and ``frame<N>/images/<camera>.png``.

A line of ``K.txt`` has the 9 numbers of a camera matrix (pixel centres at whole numbers), a line of ``RT_c2w.txt`` the 12 of a 3x4
camera-to-world matrix with OpenCV axes, both row by row; lines follow the images in the order of their numbers.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import Capture, PointCloud
from trackersplat.captures.formats.calibration import check_camera, check_range
from trackersplat.captures.formats.ply_points import read_points
from trackersplat.captures.layout import Layout
from trackersplat.captures.layouts.frame_folders import complete_frames, frame_folders, ordered_frames
from trackersplat.captures.layouts.sparse_model import FOLDER, read_sparse_model
from trackersplat.captures.media.decode import ImageFileSource, image_size
from trackersplat.captures.media.lens import LensModel, OpenCVLens, Remap
from trackersplat.captures.media.video import FALLBACK_FPS
from trackersplat.captures.media.views import make_view
from trackersplat.captures.settings import held_out_cameras, read_settings
from trackersplat.errors import InputError
from trackersplat.files import read_text

NAME = "st_nerf"
SUFFIXES = (".png", ".jpg", ".jpeg")
MAX_TEXT_BYTES = 16 * 2**20
ORTHONORMAL_TOLERANCE = 1e-2  # poses are written with few digits


def detects(folder: Path) -> bool:
    return (folder / "pose" / "K.txt").is_file() and (folder / "pose" / "RT_c2w.txt").is_file() and bool(frame_folders(folder))


def read(folder: Path) -> Capture:
    """A COLMAP model of the first frame in ``sparse/0`` is used instead of the published poses, which are poor.

    Raises InputError if no frame has the images of all cameras, or the poses are damaged.
    """
    frames, warnings = ordered_frames(folder)
    images = _images_of_cameras(frames)
    names = [image.stem for image in images]
    model = read_sparse_model(folder, names)
    lenses: list[LensModel]
    if model is None:
        lenses, poses = _read_poses(folder / "pose", images)
        warnings.append(
            f"The published poses of these scenes are poor; a COLMAP model of the images of frame 1 in {FOLDER} would be used instead."
        )
    else:
        warnings += model.notes(names, "pose/")
        images = [image for image in images if image.stem in model.cameras]
        names = [image.stem for image in images]
        lenses = [model.lens(image.stem, *image_size(image)) for image in images]
        poses = [model.cameras[name][1] for name in names]
    settings = read_settings(folder)
    held_out, unheld = held_out_cameras(settings, folder, names)
    if settings.fps is None:
        warnings.append(
            f'The frames have no frame rate, so {FALLBACK_FPS:g} per second are assumed; a file capture.json with "fps" sets another.'
        )
    complete, incomplete = complete_frames(frames, {image.stem: image.name for image in images}, settings.exclude)
    kept = settings.keeps(names)
    paths = [[frame / "images" / image.name for frame in complete] if used else [] for image, used in zip(images, kept, strict=True)]
    views: list[tuple[Camera, Remap | None]] = [
        make_view(name, lens, pose, settings.scale or 1.0) for name, lens, pose in zip(names, lenses, poses, strict=True)
    ]
    return Capture(
        name=settings.name or folder.resolve().name,
        root=folder,
        layout=NAME,
        cameras=tuple(camera for camera, _ in views),
        frame_count=len(complete),
        fps=settings.fps or FALLBACK_FPS,
        source=ImageFileSource(paths, [(lens.width, lens.height) for lens in lenses], [remap for _, remap in views]),
        held_out=held_out,
        points=_read_points(folder, frames[0]) if model is None else model.points,
        warnings=(*warnings, *incomplete, *unheld),
    )


def _images_of_cameras(frames: list[Path]) -> list[Path]:
    """One image of each camera, of the first frame that has as many as most frames have: in others some may be lost.

    Raises InputError if no frame has any.
    """
    found = [images for frame in frames if (images := _images(frame))]
    if not found:
        raise InputError(f"{frames[0] / 'images'} has no numbered images: expected one per camera, such as 1.png.")
    counts = Counter(map(len, found))
    usual = max(counts, key=lambda count: (counts[count], count))
    return next(images for images in found if len(images) == usual)


def _images(frame: Path) -> list[Path]:
    """The images of a frame in the order of their numbers; none if its folder has none. Raises InputError if two have one number."""
    found = [path for path in (frame / "images").iterdir() if path.suffix.lower() in SUFFIXES] if (frame / "images").is_dir() else []
    numbered = sorted((int(path.stem), path) for path in found if path.stem.isascii() and path.stem.isdigit() and len(path.stem) < 10)
    twice = next((b for (n, _), (m, b) in pairwise(numbered) if n == m), None)
    if twice is not None:
        raise InputError(f"{twice} has the number of another image in its folder: keep one image per camera.")
    return [path for _, path in numbered]


def _read_poses(folder: Path, images: list[Path]) -> tuple[list[LensModel], list[np.ndarray]]:
    matrices = _read_table(folder / "K.txt", 9, len(images)).reshape(-1, 3, 3)
    camera_to_world = _read_table(folder / "RT_c2w.txt", 12, len(images)).reshape(-1, 3, 4)
    lenses: list[LensModel] = []
    poses: list[np.ndarray] = []
    for image, K, pose in zip(images, matrices, camera_to_world, strict=True):
        line = f"line {len(poses) + 1} of"
        if K[0, 0] <= 0 or K[1, 1] <= 0 or np.abs(K[2] - (0, 0, 1)).max() > 1e-6 or K[1, 0] != 0:
            raise InputError(f"{line} {folder / 'K.txt'} must be fx 0 cx 0 fy cy 0 0 1 with positive focal lengths.")
        rotation = pose[:, :3]
        if np.abs(rotation.T @ rotation - np.eye(3)).max() > ORTHONORMAL_TOLERANCE or np.linalg.det(rotation) < 0:
            raise InputError(f"{line} {folder / 'RT_c2w.txt'} is no rotation and translation, written row by row: calibrate again.")
        u, _, vt = np.linalg.svd(rotation)
        world_to_camera = np.eye(4)
        world_to_camera[:3, :3] = (u @ vt).T
        with np.errstate(over="ignore", invalid="ignore"):  # `check_camera` refuses what overflows
            world_to_camera[:3, 3] = -(u @ vt).T @ pose[:, 3]
        lens = OpenCVLens(*image_size(image), K[0, 0], K[1, 1], K[0, 2] + 0.5, K[1, 2] + 0.5)
        check_camera(lens.width, lens.height, lens.K, world_to_camera, f"{line} K.txt and RT_c2w.txt in {folder}")
        lenses.append(lens)
        poses.append(world_to_camera)
    return lenses, poses


def _read_table(path: Path, columns: int, rows: int) -> np.ndarray:
    """(rows, columns) float64. Raises InputError if the file is no such table of finite numbers."""
    try:
        lines = [line.split() for line in read_text(path, MAX_TEXT_BYTES).splitlines() if line.strip()]
        if any(len(line) != columns for line in lines):
            raise ValueError(f"a line does not have {columns} numbers")
        table = np.array([[float(word) for word in line] for line in lines]).reshape(-1, columns)
        if not np.isfinite(table).all():
            raise ValueError("a number is not finite")
    except ValueError as error:
        raise InputError(f"{path} must have {columns} numbers a line, one line per camera ({str(error)[:80]}): write it again.") from error
    check_range(table, str(path))
    if len(table) != rows:
        raise InputError(f"{path} has {len(table)} lines, but a frame has {rows} images: it must have one line per image, by number.")
    return table


def _read_points(folder: Path, frame: Path) -> PointCloud | None:
    """The published clouds of the background and the layers of frame 1, together."""
    places = [place for place in (folder / "background", frame / "pointclouds") if place.is_dir()]
    clouds = [read_points(path) for place in places for path in sorted(place.glob("*.ply"))]
    if not clouds:
        return None
    return PointCloud(np.concatenate([cloud.xyz for cloud in clouds]), np.concatenate([cloud.rgb for cloud in clouds]))


LAYOUT = Layout(detects, read, camera_to_world=True)
