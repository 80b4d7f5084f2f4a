"""Per-frame COLMAP workspaces ``frame<N>/images/<camera>.png`` + ``frame<N>/sparse/0``, or a single workspace as one frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from trackersplat.captures.capture import Capture
from trackersplat.captures.formats.colmap_lens import colmap_lens
from trackersplat.captures.formats.colmap_model import ColmapModel, has_model, read_model, read_model_points
from trackersplat.captures.layout import Layout
from trackersplat.captures.layouts.frame_folders import contiguous_frames, frame_folders
from trackersplat.captures.media.decode import ImageFileSource
from trackersplat.captures.media.views import make_view
from trackersplat.captures.settings import held_out_cameras, plain_name, read_settings
from trackersplat.errors import InputError

NAME = "colmap"
FALLBACK_FPS = 30.0
POSE_TOLERANCE = 1e-4  # of entries of world_to_camera, relative to the largest translation

_MODEL = Path("sparse") / "0"


def detects(folder: Path) -> bool:
    first = next(iter(frame_folders(folder).values()), folder)
    return (first / "images").is_dir() and has_model(first / _MODEL)


def read(folder: Path) -> Capture:
    """Cameras and points are those of the first frame: they are taken not to move.

    Raises InputError if a frame or an image is missing, the model is damaged, or its lens model needs the ``colmap`` extra.
    """
    workspaces, warnings = contiguous_frames(folder)
    workspaces = workspaces or [folder]
    model = read_model(workspaces[0] / _MODEL)
    warnings += _differences(model, workspaces)
    names = [_camera_name(image.name, workspaces[0]) for image in model.images]
    if len(set(names)) != len(names):
        raise InputError(f"{workspaces[0] / _MODEL} has images that differ only in their ending: every camera needs its own name.")
    settings = read_settings(folder)
    held_out, unheld = held_out_cameras(settings, folder, names)
    warnings += unheld
    if settings.fps is None and len(workspaces) > 1:
        warnings.append(
            f'The frames have no frame rate, so {FALLBACK_FPS:g} per second are assumed; a file capture.json with "fps" would say it.'
        )
    lenses = {camera_id: colmap_lens(camera) for camera_id, camera in model.cameras.items()}
    views = [
        make_view(name, lenses[image.camera_id], image.world_to_camera(), settings.scale or 1.0)
        for name, image in zip(names, model.images, strict=True)
    ]
    stored = [model.cameras[image.camera_id] for image in model.images]
    return Capture(
        name=settings.name or folder.resolve().name,
        root=folder,
        layout=NAME,
        cameras=tuple(camera for camera, _ in views),
        frame_count=len(workspaces),
        fps=settings.fps or FALLBACK_FPS,
        source=ImageFileSource(
            _image_paths(model, workspaces),
            [(camera.width, camera.height) for camera in stored],
            remaps=[remap for _, remap in views],
        ),
        held_out=held_out,
        points=read_model_points(workspaces[0] / _MODEL),
        warnings=tuple(warnings),
    )


def _camera_name(image_name: str, workspace: Path) -> str:
    """The image's name without its ending, folders joined by '_'. Raises InputError if it could lead out of ``images``."""
    parts = [plain_name(part, f"{workspace / _MODEL}: each part of an image's name") for part in image_name.split("/")]
    return "_".join([*parts[:-1], Path(parts[-1]).stem])


def _image_paths(model: ColmapModel, workspaces: list[Path]) -> list[list[Path]]:
    paths = [[workspace / "images" / image.name for workspace in workspaces] for image in model.images]
    for frame_paths in paths:
        for path in frame_paths:
            if not path.is_file():
                raise InputError(f"{path} is missing: every frame needs the image of every camera in the first frame's COLMAP model.")
    return paths


def _differences(model: ColmapModel, workspaces: list[Path]) -> list[str]:
    """A warning if another frame was calibrated differently. The second, middle and last are looked at: models can be large."""
    ours = {image.name: image for image in model.images}
    scale = max(float(np.abs(image.translation).max()) for image in model.images)
    tolerance = POSE_TOLERANCE * np.array([1.0, 1.0, 1.0, scale])  # of the columns of a pose
    first, others = workspaces[0], workspaces[1:]
    for workspace in dict.fromkeys([*others[:1], *others[len(others) // 2 :][:1], *others[-1:]]):
        if not has_model(workspace / _MODEL):
            continue
        other = read_model(workspace / _MODEL)
        for image in other.images:
            mine = ours.get(image.name)
            if (
                mine is None
                or model.cameras[mine.camera_id] != other.cameras[image.camera_id]
                or (np.abs(mine.world_to_camera() - image.world_to_camera()) > tolerance).any()
            ):
                return [
                    f"{workspace.name} has another calibration than {first.name} (for {image.name}); "
                    f"the cameras of {first.name} are used for all frames."
                ]
    return []


LAYOUT = Layout(detects, read)
