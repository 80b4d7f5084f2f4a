"""Videos or folders of images, one per camera, beside poses in a file of their own: what other tools leave.

4DGaussians writes ``cam01/frame_00001.jpg`` beside a COLMAP model in ``sparse_``; SpacetimeGaussians extracts the frames of Neural 3D
Video as ``cam00/images/0000.png`` beside ``poses_bounds.npy``. A COLMAP model is preferred; its images are named after the cameras, or have
their numbers.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from trackersplat.captures.capture import Capture, FrameSource, PointCloud
from trackersplat.captures.formats.colmap_model import model_folder
from trackersplat.captures.formats.ply_points import read_points
from trackersplat.captures.layout import Layout
from trackersplat.captures.layouts.footage import Footage, is_footage, read_footage
from trackersplat.captures.layouts.llff_videos import POSES, camera_from_row, read_poses_bounds
from trackersplat.captures.layouts.sparse_model import read_sparse_model
from trackersplat.captures.media.lens import LensModel
from trackersplat.captures.media.remapped import RemappedFrames
from trackersplat.captures.media.video import VideoInfo
from trackersplat.captures.media.views import make_view
from trackersplat.captures.settings import held_out_cameras, read_settings
from trackersplat.errors import InputError
from trackersplat.files import has_file

NAME = "posed_footage"
POINTS = ("points3D.ply", "points3D_multipleview.ply")


def detects(folder: Path) -> bool:
    return (model_folder(folder) is not None or _rows(folder) is not None) and is_footage(folder)


def read(folder: Path) -> Capture:
    """Raises InputError if the footage, the model or the poses are damaged, or do not fit each other."""
    footage = read_footage(folder)
    settings = read_settings(folder)
    names = list(footage.cameras)
    model = read_sparse_model(folder, names)
    warnings = list(footage.warnings)
    calibrated: dict[str, tuple[LensModel, np.ndarray]]
    if model is not None:
        sizes = dict(zip(names, footage.sizes, strict=True))
        calibrated = {name: (model.lens(name, *sizes[name]), pose) for name, (_, pose) in model.cameras.items()}
        missing = [name for name in names if name not in calibrated]
        warnings.append(f"Cameras and points are those of the COLMAP model in {model.place}.")
        warnings += [f"{name} is left out: the COLMAP model in {model.place} has no pose of it." for name in missing]
    else:
        calibrated, doubts = _from_rows(folder, footage)
        warnings += doubts
    kept = [index for index, name in enumerate(names) if name in calibrated]
    views = [make_view(names[index], *calibrated[names[index]], settings.scale or 1.0) for index in kept]
    held_out, unheld = held_out_cameras(settings, folder, [names[index] for index in kept])
    source: FrameSource = footage.source
    if len(kept) < len(names) or any(remap is not None for _, remap in views):
        source = RemappedFrames(source, kept, [remap for _, remap in views])
    return Capture(
        name=footage.name,
        root=folder,
        layout=NAME,
        cameras=tuple(camera for camera, _ in views),
        frame_count=footage.frame_count,
        fps=footage.fps,
        source=source,
        held_out=held_out,
        points=_points(folder) or (None if model is None else model.points),
        warnings=(*warnings, *unheld),
    )


def _rows(folder: Path) -> Path | None:
    """The file of LLFF poses."""
    return next((path for path in (folder / POSES, folder / "poses_bounds_multipleview.npy") if path.is_file()), None)


def _from_rows(folder: Path, footage: Footage) -> tuple[dict[str, tuple[LensModel, np.ndarray]], list[str]]:
    path = _rows(folder)
    if path is None:
        raise InputError(f"{folder} has no {POSES}: expected it or a COLMAP model in sparse/0.")
    rows = read_poses_bounds(path)
    if len(rows) != len(footage.cameras):
        raise InputError(
            f"{path} has {len(rows)} rows, but there are {len(footage.cameras)} cameras: "
            "it must have one row per camera, in the order of the names."
        )
    calibrated: dict[str, tuple[LensModel, np.ndarray]] = {}
    warnings: list[str] = []
    for name, row, size in zip(footage.cameras, rows, footage.sizes, strict=True):
        lens, pose, doubts = camera_from_row(name, row, VideoInfo(*size, footage.frame_count, footage.fps))
        calibrated[name] = lens, pose
        warnings += doubts
    return calibrated, warnings


def _points(folder: Path) -> PointCloud | None:
    path = next((folder / name for name in POINTS if has_file(folder / name)), None)
    return None if path is None else read_points(path)


LAYOUT = Layout(detects, read, axes="llff", camera_to_world=True)
