"""Videos with ``poses_bounds.npy`` (LLFF, Mildenhall et al. 2019): what the Neural 3D Video and Meet Room captures share.

A row of ``poses_bounds.npy`` is a row-major 3x5 matrix, then the near and far depth. The matrix's columns are the camera's down, right
and backward axes and its position in world coordinates, then (height, width, focal length); the principal point is the image's centre.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from tokenize import TokenError  # from a damaged header

import numpy as np

from trackersplat.captures.capture import Capture
from trackersplat.captures.formats.calibration import check_camera, check_range
from trackersplat.captures.formats.ply_points import read_points
from trackersplat.captures.layouts.sparse_model import SparseModel
from trackersplat.captures.media.decode import VideoSource, open_videos
from trackersplat.captures.media.lens import OpenCVLens
from trackersplat.captures.media.video import VideoInfo, frame_rate
from trackersplat.captures.media.views import make_view
from trackersplat.captures.settings import CaptureSettings, held_out_cameras
from trackersplat.errors import InputError
from trackersplat.files import has_file, read_file

POSES = "poses_bounds.npy"
MAX_POSES_BYTES = 16 * 2**20
ORTHONORMAL_TOLERANCE = 1e-3


def read_posed_videos(
    folder: Path,
    layout: str,
    videos: Sequence[Path],
    rows: np.ndarray,  # (C, 17), in the order of the videos
    settings: CaptureSettings,
    usual_held_out: Sequence[str],
    warnings: Sequence[str],
    usual_width: int | None = None,  # pixels; larger videos are scaled down to it unless capture.json says otherwise
    model: SparseModel | None = None,  # used instead of the rows' poses; cameras it lacks are left out
) -> Capture:
    """Raises InputError if a video is damaged or does not fit its pose."""
    warnings = list(warnings)
    kept = [i for i, video in enumerate(videos) if model is None or video.stem in model.cameras]
    videos, rows = [videos[i] for i in kept], rows[kept]
    names = [video.stem for video in videos]
    held_out, unheld = held_out_cameras(settings, folder, names, usual_held_out)
    warnings += unheld
    points = None if model is None else model.points
    if has_file(folder / "points3D.ply"):
        points = read_points(folder / "points3D.ply")
    opened = open_videos(videos)
    scale = settings.scale or 1.0
    widest = max(video.info.width for video in opened)
    if settings.scale is None and usual_width is not None and widest > usual_width:
        scale = usual_width / widest
        warnings.append(
            f"The images are scaled by {scale:.3g} to {usual_width} pixels in width, as in the published tables; "
            'a file capture.json with {"scale": 1} would keep them.'
        )
    views = []
    for name, row, video in zip(names, rows, opened, strict=True):
        if model is not None:
            lens, pose = model.lens(name, video.info.width, video.info.height), model.cameras[name][1]
        else:
            lens, pose, doubts = camera_from_row(name, row, video.info)
            warnings += doubts
        views.append(make_view(name, lens, pose, scale))
    source = VideoSource(opened, remaps=[remap for _, remap in views], counted=settings.keeps(names))
    bounds: np.ndarray | None = rows[:, 15:17]
    if model is not None:
        bounds = None  # in units of the poses that are not used
    elif not (rows[:, 15] > 0).all() or not (rows[:, 15] < rows[:, 16]).all():
        warnings.append(f"The depth bounds in {POSES} are not 0 < near < far, so they are ignored.")
        bounds = None
    fps, doubts = frame_rate(source.counted_infos)
    return Capture(
        name=settings.name or folder.resolve().name,
        root=folder,
        layout=layout,
        cameras=tuple(camera for camera, _ in views),
        frame_count=source.frame_count,
        fps=settings.fps or fps,
        source=source,
        held_out=held_out,
        points=points,
        depth_bounds=bounds,
        warnings=(*warnings, *(doubts if settings.fps is None else [])),
    )


def read_poses_bounds(path: Path) -> np.ndarray:
    """(C, 17) float64, every number finite. Raises InputError if the file is no such array."""
    try:
        rows = np.load(io.BytesIO(read_file(path, MAX_POSES_BYTES)), allow_pickle=False)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or 'not a NumPy file'}): write it again with numpy.save.") from error
    except (ValueError, EOFError, SyntaxError, TokenError, MemoryError) as error:
        raise InputError(f"{path} is not a NumPy array file ({str(error)[:120]}): write it again with numpy.save.") from error
    if not isinstance(rows, np.ndarray) or rows.ndim != 2 or rows.shape[1] != 17 or rows.dtype.kind not in "fiu":
        found = f"shape {rows.shape} and type {rows.dtype}" if isinstance(rows, np.ndarray) else "an archive"
        raise InputError(
            f"{path} must hold numbers of shape (cameras, 17), but has {found}: write 15 pose numbers, near and far per camera."
        )
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(bad):
        raise InputError(f"Row {bad[0] + 1} of {path} has a value that is not a finite number: calibrate that camera again.")
    rows = rows.astype(np.float64)
    check_range(rows[:, :15], str(path))
    return rows


def camera_from_row(name: str, row: np.ndarray, video: VideoInfo) -> tuple[OpenCVLens, np.ndarray, list[str]]:
    """The lens of one (17,) row for images of the video's size, its pose (4, 4) world to camera, and warnings.

    Raises InputError if the row is no pose.
    """
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
    with np.errstate(over="ignore", invalid="ignore"):  # `check_camera` refuses what overflows
        world_to_camera[:3, 3] = -(u @ vt).T @ position
    scale_x, scale_y = video.width / width, video.height / height
    lens = OpenCVLens(video.width, video.height, focal * scale_x, focal * scale_y, video.width / 2, video.height / 2)
    check_camera(video.width, video.height, lens.K, world_to_camera, f"{POSES}: {name}")
    warnings = []
    if abs(scale_x / scale_y - 1) > 0.01:
        warnings.append(
            f"{name} was calibrated at {width:g}x{height:g} but its video has {video.width}x{video.height} pixels: "
            "another aspect ratio, taken as stretched."
        )
    return lens, world_to_camera, warnings
