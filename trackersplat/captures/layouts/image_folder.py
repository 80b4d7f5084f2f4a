"""Image folders: ``images/<camera>/<frame>.png`` and ``cameras.json`` (see `formats.cameras_json`)."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from trackersplat.captures.capture import Capture
from trackersplat.captures.formats.cameras_json import read_rig
from trackersplat.captures.formats.ply_points import read_points
from trackersplat.captures.layout import Layout
from trackersplat.captures.media.decode import ImageFileSource
from trackersplat.captures.media.views import make_view
from trackersplat.captures.settings import held_out_cameras, read_settings
from trackersplat.captures.still_cameras import as_written, common_numbers, named_as, numbered_images, some, unread_format
from trackersplat.errors import InputError
from trackersplat.files import has_file

NAME = "image_folder"


def detects(folder: Path) -> bool:
    return (folder / "cameras.json").is_file() and (folder / "images").is_dir()


def read(folder: Path) -> Capture:
    """``capture.json``, where there is one, overrides name, rate and held-out cameras.

    Raises InputError if ``cameras.json`` is not as expected, or no frame has the images of all cameras.
    """
    path = folder / "cameras.json"
    rig = read_rig(path)
    if rig.frames is None or rig.fps is None:
        raise InputError(f"{path} has no 'frames' or no 'fps': folders of images need the number of frames and the frame rate.")
    settings = read_settings(folder)
    names = [camera.name for camera in rig.cameras]
    held_out, warnings = held_out_cameras(settings, folder, names, rig.held_out or ())
    paths, remarks = _frame_paths(folder / "images", names, rig.frames, settings.exclude)
    views = [make_view(camera.name, camera.lens, camera.world_to_camera, settings.scale or 1.0) for camera in rig.cameras]
    points = read_points(folder / "points3D.ply") if has_file(folder / "points3D.ply") else None
    return Capture(
        name=settings.name or folder.resolve().name,
        root=folder,
        layout=NAME,
        cameras=tuple(camera for camera, _ in views),
        frame_count=max(map(len, paths)),
        fps=settings.fps or rig.fps,
        source=ImageFileSource(
            paths, [(camera.lens.width, camera.lens.height) for camera in rig.cameras], remaps=[remap for _, remap in views]
        ),
        held_out=held_out,
        points=points,
        warnings=(*warnings, *remarks),
    )


def _frame_paths(images: Path, names: list[str], frame_count: int, excluded: Collection[str]) -> tuple[list[list[Path]], list[str]]:
    """Per camera its images of the first ``frame_count`` frames that all cameras have, by their numbers, and what is left out.

    Cameras that are ``excluded`` have none.

    Raises InputError if there is none.
    """
    numbered: dict[str, dict[int, Path]] = {}
    remarks: list[str] = []
    for name in names:
        numbered[name] = {}
        if name in excluded:
            continue
        folder = named_as(images, name)
        if not folder.is_dir():
            raise InputError(f"{folder} is missing: every camera needs a folder with its {frame_count} images.")
        if (unread := unread_format(folder)) is not None:
            raise InputError(f"{folder} has images in the format {unread}, which is not read: convert them to PNG.")
        numbered[name], others = numbered_images(folder)
        if others:
            remarks.append(f"Images of {name} without a number in their names are left out: {some([path.name for path in others])}.")
    common, lacking = common_numbers(numbered, ignored=excluded)
    if not common:
        raise InputError(f"{images}: no number is in the names of all cameras' images: number the images that were taken together alike.")
    if len(common) < frame_count:
        have = "1 has" if len(common) == 1 else f"{len(common)} have"
        remarks.append(f"cameras.json promises {frame_count} frames, but only {have} an image of every camera.")
    elif (later := max(sum(number > common[frame_count - 1] for number in own) for own in numbered.values())) > 0:
        remarks.append(f"cameras.json promises {frame_count} frames; later images are left out, {later} of a camera at most.")
        common = common[:frame_count]
        earlier = {name: [number for number in own if number <= common[-1]] for name, own in numbered.items()}
        _, lacking = common_numbers(earlier, ignored=excluded)
    remarks += lacking
    known = set(map(as_written, names))
    unknown = sorted(path.name for path in images.iterdir() if path.is_dir() and as_written(path.name) not in known)
    if unknown:
        remarks.append(f"Folders of images without a camera in cameras.json are left out: {some(unknown)}.")
    return [[own[number] for number in common] if own else [] for own in numbered.values()], remarks


LAYOUT = Layout(detects, read)
