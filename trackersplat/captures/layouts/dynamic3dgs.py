"""Dynamic 3D Gaussians (PanopticSports): ``train_meta.json``, ``test_meta.json``, ``ims/<cam>/<frame>.jpg``, ``seg/<cam>/<frame>.png``.

The cameras of ``train_meta.json`` reconstruct, those of ``test_meta.json`` are held out: the published split. ``K`` is taken as it is,
with pixel centres at +0.5, as the rasteriser of the published system takes it. (Epipolar residuals of SIFT matches on "basketball":
median 0.228 px so, 0.233 px with centres at whole numbers; least at +0.35, probably since K was resized.)
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from trackersplat.captures.arrays import read_arrays
from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import Capture, PointCloud
from trackersplat.captures.formats.calibration import check_camera, check_range
from trackersplat.captures.layout import Layout
from trackersplat.captures.media.decode import ImageFileSource
from trackersplat.captures.media.lens import Remap
from trackersplat.captures.media.masks import MaskFiles
from trackersplat.captures.media.video import MAX_FRAMES, MAX_SIDE
from trackersplat.captures.media.views import scaled_size
from trackersplat.captures.pose_readings import better_reading
from trackersplat.captures.settings import check_held_out, plain_name, positive_integer, read_settings
from trackersplat.captures.still_cameras import common_numbers
from trackersplat.errors import InputError
from trackersplat.files import has_file, read_json

NAME = "dynamic3dgs"
FPS = 30.0  # of PanopticSports; the layout does not say it
MAX_CAMERAS = 10_000
MAX_CAMERA_ID = 999_999
# m. Some cameras stand in the wall that others see. Few cameras see the wall, so it is reconstructed in front of held-out cameras and hides
# the scene. Nobody is so near to a camera. The published rasteriser draws nothing nearer than 0.2 m, which is not enough.
NEAR = 0.8
POINTS_FILE = "init_pt_cld.npz"
WARNED_PX, REFUSED_PX = 0.01, 1.0  # motion of a camera over the frames, in pixels of its image
RIGID = 1e-3  # tolerance of R R^T = 1, as of Camera


@dataclass(frozen=True)
class _View:
    """One camera of a meta file over all its frames."""

    identifier: int
    camera: Camera
    files: tuple[str, ...]  # per frame, below ims
    motion: float  # px, how far its pixels move over the frames


def detects(folder: Path) -> bool:
    return (folder / "train_meta.json").is_file() and (folder / "ims").is_dir()


def read(folder: Path) -> Capture:
    """``capture.json``, where there is one, overrides name, rate and held-out cameras, and scales images and masks.

    A copy with fewer frames than promised opens, with those that all cameras have.

    Raises InputError if a meta file is damaged, a camera moves, the poses are camera to world, or no frame has all of its images.
    """
    train, test = folder / "train_meta.json", folder / "test_meta.json"
    training = _read_views(train)
    testing = _read_views(test) if has_file(test) else []
    views = sorted([*training, *testing], key=lambda view: view.identifier)
    digits = max(2, len(str(views[-1].identifier)))  # as many for all, so that names sort as numbers do
    names = [f"cam{view.identifier:0{digits}d}" for view in views]
    cameras = tuple(replace(view.camera, name=name) for view, name in zip(views, names, strict=True))
    if len(set(names)) != len(names):
        double = next(name for name in names if names.count(name) > 1)
        where = f"{train.name} and {test.name}" if testing else train.name
        raise InputError(f"{folder}: {where} list {double} twice; every camera must be listed once, for training or for testing.")
    points = _read_points(folder / POINTS_FILE)
    found = better_reading(cameras, None if points is None else points.xyz.astype(np.float64), LAYOUT)
    if found is not None and found[0].fails and found[1].inverse:
        raise InputError(
            f"{train}: 'w2c' looks like camera-to-world matrices (the cameras look at one scene only if they are inverted): "
            "write world-to-camera matrices."
        )
    warnings = []
    settings = read_settings(folder)
    tested = {view.identifier for view in testing}
    held_out = tuple(name for view, name in zip(views, names, strict=True) if view.identifier in tested)
    if settings.held_out is not None:
        held_out = settings.held_out
    held_out = check_held_out(held_out, names, folder / "capture.json" if settings.held_out is not None else test)
    if not held_out:
        warnings.append("No camera is held out, so quality can be measured on training cameras only.")
    motion, moving = max((view.motion, name) for view, name in zip(views, names, strict=True))
    if motion > WARNED_PX:
        warnings.append(f"{moving} moves by up to {motion:.2g} px over the frames; its pose of frame 1 is used for all.")
    frames, incomplete = _complete_frames(folder / "ims", dict(zip(names, views, strict=True)), settings.exclude)
    warnings += incomplete
    sizes = [(camera.width, camera.height) for camera in cameras]
    shown = [scaled_size(*size, settings.scale or 1.0) for size in sizes]
    remaps = [None if small == size else Remap(small) for size, small in zip(sizes, shown, strict=True)]
    masks, missing = _mask_paths(folder / "seg", views, frames)
    kept = settings.keeps(names)
    unmasked = [path for own, used in zip(missing, kept, strict=True) if used for path in own]
    if unmasked:
        warnings.append(f"Masks are missing ({len(unmasked)}, the first is {unmasked[0]}); these images are used without masks.")
    return Capture(
        name=settings.name or folder.resolve().name,
        root=folder,
        layout=NAME,
        cameras=tuple(camera.resized(*small) for camera, small in zip(cameras, shown, strict=True)),
        frame_count=len(frames),
        fps=settings.fps or FPS,
        source=ImageFileSource(
            [[folder / "ims" / view.files[frame] for frame in frames] if used else [] for view, used in zip(views, kept, strict=True)],
            sizes,
            remaps,
        ),
        held_out=held_out,
        points=points,
        warnings=tuple(warnings),
        masks=MaskFiles(masks, sizes, shown) if any(path is not None for paths in masks for path in paths) else None,
    )


def _read_views(path: Path) -> list[_View]:
    """The cameras of one meta file, named by their ids."""
    data = read_json(path)
    width, height = (positive_integer(data.get(key), MAX_SIDE, f"{path}: {key!r}") for key in ("w", "h"))
    files = data.get("fn")
    if not isinstance(files, list) or not 1 <= len(files) <= MAX_FRAMES:
        raise InputError(f"{path}: 'fn' must be a list of 1 to {MAX_FRAMES} frames.")
    first = files[0]
    if not isinstance(first, list) or not 1 <= len(first) <= MAX_CAMERAS:
        raise InputError(f"{path}: 'fn' of frame 1 must be a list of 1 to {MAX_CAMERAS} image files.")
    shape = (len(files), len(first))
    K, w2c = _matrices(data, "k", (*shape, 3, 3), path), _matrices(data, "w2c", (*shape, 4, 4), path)
    if any(not isinstance(row, list) or len(row) != len(first) for row in files):
        raise InputError(f"{path}: every frame of 'fn' must list {len(first)} images, as frame 1 does.")
    identifiers = _identifiers(data.get("cam_id"), files, path)
    views = []
    scale = max(float(np.linalg.norm(w2c[0, :, :3, 3], axis=1).max()), 1e-9)  # about how far the scene is
    for index, identifier in enumerate(identifiers):
        own = tuple(_contained(row[index], path) for row in files)
        name = f"cam{identifier:02d}"
        _check_matrices(K[:, index], w2c[:, index], f"{path}: {name}")
        check_camera(width, height, K[0, index], w2c[0, index], f"{path}: {name}")
        camera = Camera(name, width, height, K[0, index], w2c[0, index], NEAR)
        motion = _motion_px(K[:, index], w2c[:, index], scale)
        if motion > REFUSED_PX:
            raise InputError(
                f"{path}: {name} moves (by {motion:.3g} px between frames), which is not supported: "
                "write the same 'k' and 'w2c' for all frames, and images that fit them."
            )
        views.append(_View(identifier, camera, own, motion))
    return views


def _identifiers(value: Any, files: list[list[Any]], path: Path) -> list[int]:
    """The camera ids of frame 1; the folders of the images where the file lists none. Raises InputError unless all frames have the same."""
    if value is None:
        value = [[_number(str(file).split("/")[0]) for file in row] for row in files]
    if not isinstance(value, list) or len(value) != len(files) or any(row != value[0] for row in value):
        raise InputError(f"{path}: 'cam_id' must list the same cameras in the same order for each of the {len(files)} frames.")
    row = value[0]
    whole = isinstance(row, list) and len(row) == len(files[0])
    if not whole or any(isinstance(i, bool) or not isinstance(i, int) or not 0 <= i <= MAX_CAMERA_ID for i in row):
        raise InputError(f"{path}: 'cam_id' must list {len(files[0])} whole numbers from 0 to {MAX_CAMERA_ID} per frame.")
    return list(row)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _contained(value: Any, path: Path) -> str:
    """A file name below ``ims`` that cannot lead out of it."""
    if not isinstance(value, str):
        raise InputError(f"{path}: 'fn' must list image files such as 1/000000.jpg, but lists {str(value)[:60]!r}.")
    return "/".join(plain_name(part, f"{path}: each part of an image's name in 'fn'") for part in value.split("/"))


def _matrices(data: dict[str, Any], key: str, shape: tuple[int, ...], path: Path) -> np.ndarray:
    """``data[key]`` as a finite array of this shape."""
    what = (
        f"{path}: {key!r} must hold a {shape[2]}x{shape[3]} matrix of finite numbers for each of {shape[1]} cameras and {shape[0]} frames"
    )
    try:
        array = np.array(data.get(key))
    except (ValueError, OverflowError):  # ragged
        array = np.empty(0)
    if array.shape != shape or array.dtype.kind not in "iuf":
        raise InputError(f"{what}, as many as 'fn' lists.")
    array = array.astype(np.float64)
    if not np.isfinite(array).all():
        raise InputError(f"{what}, but has others.")
    check_range(array, f"{path}: {key!r}")
    return array


def _check_matrices(K: np.ndarray, w2c: np.ndarray, what: str) -> None:
    """(T, 3, 3) and (T, 4, 4). Raises InputError where they are none of a pinhole camera."""
    if np.abs(K[:, [0, 1, 2, 2], [1, 0, 0, 1]]).max() > 1e-6 or np.abs(K[:, 2, 2] - 1).max() > 1e-6:
        raise InputError(f"{what}: 'k' must be [[fx, 0, cx], [0, fy, cy], [0, 0, 1]].")
    if np.abs(w2c[:, 3] - (0, 0, 0, 1)).max() > 1e-6:
        raise InputError(f"{what}: the last row of 'w2c' must be 0 0 0 1.")
    rotation = w2c[:, :3, :3]
    if np.abs(rotation @ rotation.transpose(0, 2, 1) - np.eye(3)).max() > RIGID:
        raise InputError(f"{what}: the 3x3 part of 'w2c' is not a rotation.")


def _motion_px(K: np.ndarray, w2c: np.ndarray, distance: float) -> float:
    """About how many pixels the image moves at most against frame 1: by intrinsics, by rotation, and by shift at this distance."""
    focal = float(np.abs(K[0, [0, 1], [0, 1]]).max())
    rotation = w2c[:, :3, :3]
    turn = np.linalg.norm(rotation - rotation[0], axis=(1, 2)) / np.sqrt(2)  # about the angle in radians
    centers = -np.einsum("tji,tj->ti", rotation, w2c[:, :3, 3])
    shift = np.linalg.norm(centers - centers[0], axis=1) / distance
    return float((np.abs(K - K[0]).max(axis=(1, 2)) + focal * (turn + shift)).max())


def _complete_frames(images: Path, views: dict[str, _View], excluded: Collection[str]) -> tuple[list[int], list[str]]:
    """The frames, from 0, whose images of all cameras but the ``excluded`` are there, and what is left out.

    Raises InputError if there is none.
    """
    counting = [name for name in views if name not in excluded] or list(views)
    there = {name: _frames_on_disk(images, views[name]) for name in counting}
    promised = max(len(view.files) for view in views.values())
    common, remarks = common_numbers(there, lambda frame: f"is frame {frame + 1} of the meta files", range(promised))
    if not common:
        name = next(name for name, own in there.items() if 0 not in own)
        raise InputError(f"{images / views[name].files[0]} is missing: a frame needs the image of every camera, and none has them all.")
    shortest = min(there, key=lambda name: len(there[name]))
    if there[shortest] == common == list(range(len(common))) and len(common) < promised:
        used = "the first is" if len(common) == 1 else f"the first {len(common)} are"
        return common, [f"{promised} frames are promised, but {shortest} has only {len(common)}: {used} used."]
    return common, remarks


def _frames_on_disk(images: Path, view: _View) -> list[int]:
    folders = {str(Path(file).parent) for file in view.files}
    there = {f"{folder}/{entry.name}" if folder != "." else entry.name for folder in folders for entry in _files(images / folder)}
    return [frame for frame, file in enumerate(view.files) if file in there]


def _files(folder: Path) -> list[os.DirEntry[str]]:
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        return [entry for entry in entries if entry.is_file()]


def _mask_paths(masks: Path, views: list[_View], frames: list[int]) -> tuple[list[list[Path | None]], list[list[Path]]]:
    """Per camera and frame the mask, None without; and per camera which are missing though it has others."""
    found: list[list[Path | None]] = []
    missing: list[list[Path]] = []
    for view in views:
        own = [masks / Path(file).with_suffix(".png") for file in (view.files[frame] for frame in frames)]
        there = {entry.path for folder in {path.parent for path in own} for entry in _files(folder)}
        found.append([path if str(path) in there else None for path in own])
        missing.append([path for path in own if str(path) not in there] if any(path is not None for path in found[-1]) else [])
    return found, missing


def _read_points(path: Path) -> PointCloud | None:
    """The published first points: (N, 7) of position, colour in 0..1 and foreground, here without the last."""
    if not has_file(path):
        return None
    data = read_arrays(path, {"data": ("f", ("N", 7))})["data"]
    with np.errstate(over="ignore"):
        xyz = data[:, :3].astype(np.float64)
        single = xyz.astype(np.float32)  # too large a number becomes infinite
    if not len(data) or not np.isfinite(single).all() or not np.isfinite(data[:, 3:6]).all():
        raise InputError(f"{path} has no points, or some that are not finite numbers: write it again, or remove it.")
    rgb = data[:, 3:6] * (255.0 if data[:, 3:6].max() <= 1.0 else 1.0)
    return PointCloud(xyz, np.clip(np.round(rgb), 0, 255).astype(np.uint8))


LAYOUT = Layout(detects, read)
