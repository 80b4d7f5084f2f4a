"""Neural 3D Video (Li et al. 2022): ``camNN.mp4`` per camera and ``poses_bounds.npy``.

A row of ``poses_bounds.npy`` (LLFF, Mildenhall et al. 2019) is a row-major 3x5 matrix, then the near and far depth. The matrix's
columns are the camera's down, right and backward axes and its position in world coordinates, then (height, width, focal length).
Rows follow the videos in the order of their names; the principal point is the image's centre.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import Capture
from trackersplat.captures.decode import VideoSource
from trackersplat.captures.points import read_points
from trackersplat.captures.settings import check_held_out, read_settings
from trackersplat.captures.video import VideoInfo
from trackersplat.errors import InputError

NAME = "n3dv"
FILES = "camNN.mp4 videos and poses_bounds.npy"
CONVENTIONAL_HELD_OUT = "cam00"  # of the published scenes: the central camera
FALLBACK_FPS = 30.0
MAX_POSES_BYTES = 16 * 2**20
ORTHONORMAL_TOLERANCE = 1e-3

_VIDEO = re.compile(r"(cam_?(\d+))\.mp4", re.IGNORECASE)


def detects(folder: Path) -> bool:
    return (folder / "poses_bounds.npy").is_file() and bool(_videos(folder))


def read(folder: Path) -> Capture:
    """Raises InputError if a video or the poses are damaged, or do not fit each other."""
    videos = _videos(folder)
    if not videos:
        raise InputError(f"{folder} has no camNN.mp4 videos.")
    names = [video.stem for video in videos]
    warnings = []
    if sorted(names, key=lambda name: int(re.sub(r"\D", "", name))) != names:
        warnings.append("The camera numbers are not padded with zeros, so the poses were matched to the videos in alphabetical order.")
    rows = read_poses_bounds(folder / "poses_bounds.npy", len(videos))
    settings = read_settings(folder)
    if settings.held_out is not None:
        held_out = check_held_out(settings.held_out, names, folder / "capture.json")
    elif CONVENTIONAL_HELD_OUT in names and len(names) > 1:
        held_out = (CONVENTIONAL_HELD_OUT,)
    else:
        held_out = ()
    if not held_out:
        warnings.append("No camera is held out, so quality can be measured on training cameras only.")
    points = read_points(folder / "points3D.ply") if (folder / "points3D.ply").is_file() else None
    source = VideoSource(videos)
    cameras = []
    for name, row, info in zip(names, rows, source.infos, strict=True):
        camera, warning = camera_from_row(name, row, info)
        cameras.append(camera)
        warnings += warning
    bounds: np.ndarray | None = rows[:, 15:17]
    if not (rows[:, 15] > 0).all() or not (rows[:, 15] < rows[:, 16]).all():
        warnings.append("The depth bounds in poses_bounds.npy are not 0 < near < far, so they are ignored.")
        bounds = None
    fps = settings.fps or source.infos[0].fps or FALLBACK_FPS
    rates = sorted({round(info.fps, 2) for info in source.infos})
    if settings.fps is None and (len(rates) > 1 or rates[0] == 0):
        warnings.append(f"The videos do not agree on a frame rate, so {fps:g} frames per second are assumed.")
    return Capture(
        name=settings.name or folder.resolve().name,
        root=folder,
        layout=NAME,
        cameras=tuple(cameras),
        frame_count=source.frame_count,
        fps=fps,
        source=source,
        held_out=held_out,
        points=points,
        depth_bounds=bounds,
        warnings=tuple(warnings),
    )


def read_poses_bounds(path: Path, expected_rows: int) -> np.ndarray:
    """(C, 17) float64, every number finite. Raises InputError if the file is no such array or has another number of rows."""
    try:
        if path.stat().st_size > MAX_POSES_BYTES:
            raise InputError(f"{path} has more than {MAX_POSES_BYTES >> 20} MB, which is too large for camera poses.")
        rows = np.load(path, allow_pickle=False)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or 'not a NumPy file'}): write it again with numpy.save.") from error
    except (ValueError, EOFError, SyntaxError, MemoryError) as error:
        raise InputError(f"{path} is not a NumPy array file ({str(error)[:120]}): write it again with numpy.save.") from error
    if not isinstance(rows, np.ndarray) or rows.ndim != 2 or rows.shape[1] != 17 or rows.dtype.kind not in "fiu":
        found = f"shape {rows.shape} and type {rows.dtype}" if isinstance(rows, np.ndarray) else "an archive"
        raise InputError(
            f"{path} must hold numbers of shape (cameras, 17), but has {found}: write 15 pose numbers, near and far per camera."
        )
    if len(rows) != expected_rows:
        raise InputError(
            f"{path} has {len(rows)} rows, but there are {expected_rows} videos: "
            "it must have one row per video, in the order of the sorted names."
        )
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(bad):
        raise InputError(f"Row {bad[0] + 1} of {path} has a value that is not a finite number: calibrate that camera again.")
    return rows.astype(np.float64)


def camera_from_row(name: str, row: np.ndarray, video: VideoInfo) -> tuple[Camera, list[str]]:
    """The camera of one (17,) row for images of the video's size, and warnings. Raises InputError if the row is no pose."""
    matrix = row[:15].reshape(3, 5)
    down, right, back, position = matrix[:, :4].T
    height, width, focal = matrix[:, 4]
    if not (1 <= height <= 1e5 and 1 <= width <= 1e5 and 0 < focal <= 1e7):
        raise InputError(
            f"poses_bounds.npy gives {name} the height {height:g}, width {width:g} and focal length {focal:g}: all must be positive pixels."
        )
    rotation = np.stack([right, down, -back], axis=1)  # camera to world, OpenCV axes
    error = float(np.abs(rotation.T @ rotation - np.eye(3)).max())
    if error > ORTHONORMAL_TOLERANCE or np.linalg.det(rotation) < 0:
        reason = (
            "left-handed" if error <= ORTHONORMAL_TOLERANCE else f"off from orthonormal by {error:.2g}, more than {ORTHONORMAL_TOLERANCE:g}"
        )
        raise InputError(
            f"poses_bounds.npy gives {name} axes that are {reason}: "
            "columns 1 to 3 of its 3x5 matrix must be the down, right and backward axis."
        )
    u, _, vt = np.linalg.svd(rotation)  # the nearest rotation, exact to double precision
    world_to_camera = np.eye(4)
    world_to_camera[:3, :3] = (u @ vt).T
    world_to_camera[:3, 3] = -(u @ vt).T @ position
    scale_x, scale_y = video.width / width, video.height / height
    K = np.array([[focal * scale_x, 0.0, video.width / 2], [0.0, focal * scale_y, video.height / 2], [0.0, 0.0, 1.0]])
    warnings = []
    if abs(scale_x / scale_y - 1) > 0.01:
        warnings.append(
            f"{name} was calibrated at {width:g}x{height:g} but its video has {video.width}x{video.height} pixels: "
            "another aspect ratio, taken as stretched."
        )
    return Camera(name, video.width, video.height, K, world_to_camera), warnings


def _videos(folder: Path) -> list[Path]:
    return sorted((path for path in folder.iterdir() if _VIDEO.fullmatch(path.name) and path.is_file()), key=lambda path: path.name)
