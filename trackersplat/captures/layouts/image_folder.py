"""Image folders: ``images/<camera>/<frame>.png`` and ``cameras.json`` (see `formats.cameras_json`)."""

from __future__ import annotations

from pathlib import Path

from trackersplat.captures.capture import Capture
from trackersplat.captures.formats.cameras_json import read_rig
from trackersplat.captures.formats.ply_points import read_points
from trackersplat.captures.layout import Layout
from trackersplat.captures.media.decode import ImageFileSource
from trackersplat.captures.media.views import make_view
from trackersplat.captures.settings import held_out_cameras, read_settings
from trackersplat.errors import InputError
from trackersplat.files import has_file

NAME = "image_folder"
SUFFIXES = (".png", ".jpg", ".jpeg")


def detects(folder: Path) -> bool:
    return (folder / "cameras.json").is_file() and (folder / "images").is_dir()


def read(folder: Path) -> Capture:
    """``capture.json``, where there is one, overrides name, rate and held-out cameras.

    Raises InputError if ``cameras.json`` is not as expected, or an image is missing.
    """
    path = folder / "cameras.json"
    rig = read_rig(path)
    if rig.frames is None or rig.fps is None:
        raise InputError(f"{path} has no 'frames' or no 'fps': folders of images need the number of frames and the frame rate.")
    settings = read_settings(folder)
    names = [camera.name for camera in rig.cameras]
    held_out, warnings = held_out_cameras(settings, folder, names, rig.held_out or ())
    paths = [_frame_paths(folder / "images" / name, rig.frames) for name in names]
    views = [make_view(camera.name, camera.lens, camera.world_to_camera, settings.scale or 1.0) for camera in rig.cameras]
    points = read_points(folder / "points3D.ply") if has_file(folder / "points3D.ply") else None
    return Capture(
        name=settings.name or folder.resolve().name,
        root=folder,
        layout=NAME,
        cameras=tuple(camera for camera, _ in views),
        frame_count=rig.frames,
        fps=settings.fps or rig.fps,
        source=ImageFileSource(
            paths, [(camera.lens.width, camera.lens.height) for camera in rig.cameras], remaps=[remap for _, remap in views]
        ),
        held_out=held_out,
        points=points,
        warnings=tuple(warnings),
    )


def _frame_paths(folder: Path, frame_count: int) -> list[Path]:
    """The first ``frame_count`` images by name. Raises InputError if there are fewer, or the numbering has a gap."""
    if not folder.is_dir():
        raise InputError(f"{folder} is missing: every camera needs a folder with its {frame_count} images.")
    images = sorted((path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file()), key=lambda path: path.name)
    numbered = {int(path.stem): path for path in images if path.stem.isascii() and path.stem.isdigit() and len(path.stem) < 10}
    start = min(numbered, default=0)
    for frame in range(start, start + frame_count):
        if frame not in numbered:
            raise InputError(
                f"{folder} has no image number {frame:04d}: cameras.json promises {frame_count} frames, numbered without gaps, "
                f"and {len(images)} images are there."
            )
    return [numbered[frame] for frame in range(start, start + frame_count)]


LAYOUT = Layout(detects, read)
