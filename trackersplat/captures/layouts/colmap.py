"""COLMAP workspaces: one per frame, ``frame<N>/images/<camera>.png`` and ``frame<N>/sparse/0``, or a single one.

A single workspace is one frame, unless several of its images are of one camera: images of one pose, or of one folder below ``images``
whose poses agree. The numbers in their names then say which were taken together.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from trackersplat.captures.capture import Capture
from trackersplat.captures.formats.colmap_lens import colmap_lens
from trackersplat.captures.formats.colmap_model import ColmapImage, ColmapModel, model_folder, read_model, read_model_points
from trackersplat.captures.layout import Layout
from trackersplat.captures.layouts.frame_folders import complete_frames, frame_folders, ordered_frames
from trackersplat.captures.media.decode import ImageFileSource
from trackersplat.captures.media.image_head import read_head
from trackersplat.captures.media.lens import LensModel
from trackersplat.captures.media.views import for_size, make_view
from trackersplat.captures.settings import held_out_cameras, plain_name, read_settings
from trackersplat.captures.still_cameras import (
    camera_names,
    common_numbers,
    frame_number,
    frame_numbers,
    group_by_camera,
    numbered_images,
    some,
    unused_images,
)
from trackersplat.errors import InputError
from trackersplat.words import counted

NAME = "colmap"
FALLBACK_FPS = 30.0
POSE_TOLERANCE = 1e-4  # of entries of world_to_camera, relative to the largest translation
STILL = 0.02  # radians, and sizes of the rig: largest difference between COLMAP's poses of a camera that does not move


@dataclass(frozen=True)
class _View:
    """One camera."""

    name: str
    image: ColmapImage  # whose pose and lens it has
    files: tuple[Path, ...]  # per frame


def detects(folder: Path) -> bool:
    first = next(iter(frame_folders(folder).values()), folder)
    return (first / "images").is_dir() and model_folder(first) is not None


def read(folder: Path) -> Capture:
    """Cameras and points are those of the first frame: they are taken not to move.

    Raises InputError if no frame has the images of all cameras, the model is damaged, or its lens model needs the ``colmap`` extra.
    """
    workspaces, warnings = ordered_frames(folder)
    workspaces = workspaces or [folder]
    place = model_folder(workspaces[0])
    if place is None:
        raise InputError(f"{workspaces[0]} has no COLMAP model: expected sparse/0/cameras.bin and images.bin, or .txt.")
    model = read_model(place)
    for image in model.images:
        _check_name(image.name, place)
    settings = read_settings(folder)
    views = None
    if len(workspaces) == 1 and workspaces[0] == folder:
        views, grouped = _views_by_number(model, folder / "images", settings.exclude)
        warnings += grouped
    if views is None:
        warnings += _differences(model, workspaces)
        files = {_camera_name(image.name): image.name for image in model.images}
        workspaces, incomplete = complete_frames(workspaces, files, settings.exclude)
        warnings += incomplete
        views = [
            _View(_camera_name(image.name), image, tuple(_file(image, workspace) for workspace in workspaces)) for image in model.images
        ]
    names = [view.name for view in views]
    if len(set(names)) != len(names):
        raise InputError(f"{place} has images that differ only in their ending: every camera needs its own name.")
    held_out, unheld = held_out_cameras(settings, folder, names)
    used = {path for view in views for path in view.files}
    warnings += [*unused_images(workspaces[0] / "images", used, "The COLMAP model"), *_other_models(place), *unheld]
    count = max(len(view.files) for view in views)  # cameras that are left out may have fewer
    if settings.fps is None and count > 1:
        warnings.append(
            f'The frames have no frame rate, so {FALLBACK_FPS:g} per second are assumed; a file capture.json with "fps" sets another.'
        )
    by_id = {camera_id: colmap_lens(camera) for camera_id, camera in model.cameras.items()}
    lenses, scaled = _fitted([by_id[view.image.camera_id] for view in views], [view.files for view in views])
    made = [
        make_view(view.name, lens, view.image.world_to_camera(), settings.scale or 1.0) for view, lens in zip(views, lenses, strict=True)
    ]
    return Capture(
        name=settings.name or folder.resolve().name,
        root=folder,
        layout=NAME,
        cameras=tuple(camera for camera, _ in made),
        frame_count=count,
        fps=settings.fps or FALLBACK_FPS,
        source=ImageFileSource(
            [view.files for view in views], [(lens.width, lens.height) for lens in lenses], remaps=[remap for _, remap in made]
        ),
        held_out=held_out,
        points=read_model_points(place),
        warnings=(*warnings, *scaled),
    )


def _check_name(image_name: str, place: Path) -> None:
    """Raises InputError if the name could lead out of ``images``."""
    for part in image_name.split("/"):
        plain_name(part, f"{place}: each part of an image's name")


def _camera_name(image_name: str) -> str:
    """The image's name without its ending, folders joined by '_'."""
    parts = image_name.split("/")
    return "_".join([*parts[:-1], Path(parts[-1]).stem])


def _file(image: ColmapImage, workspace: Path) -> Path:
    return workspace / "images" / image.name


# -- several images of one camera in one workspace ------------------------------------------------------------------------


def _views_by_number(model: ColmapModel, folder: Path, excluded: Collection[str]) -> tuple[list[_View] | None, list[str]]:
    """The cameras of one workspace, where several of its images are of one; None where every image is a camera of its own.

    Cameras that are ``excluded`` may have fewer files than the others.
    """
    by_folder = _by_folder(model, folder, excluded)
    if by_folder is not None:
        return by_folder
    poses = np.linalg.inv(np.stack([image.world_to_camera() for image in model.images]))
    cameras = [model.cameras[image.camera_id] for image in model.images]
    width = max(len(camera.params) for camera in cameras)
    lenses = np.array([(*camera.params, *[0.0] * (width - len(camera.params)), camera.width, camera.height) for camera in cameras])
    groups, _ = group_by_camera(poses, lenses)
    if len(groups) == len(model.images):
        return None, _said_of_folders(model)
    found = frame_numbers([[model.images[index].name for index in group] for group in groups])
    if found is None:
        return None, ["Several images have one pose, but the numbers in their names do not tell frames apart: each is taken as a camera."]
    names = camera_names([[PurePosixPath(model.images[index].name) for index in group] for group in groups])
    numbers = [
        {number: index for number, index in zip(own, group, strict=True) if _file(model.images[index], folder.parent).is_file()}
        for own, group in zip(found, groups, strict=True)
    ]
    common, dropped = common_numbers(dict(zip(names, numbers, strict=True)), ignored=excluded)
    if not common:
        return None, ["Several images have one pose, but no number is in the names of all cameras' images: each is taken as a camera."]
    views = [
        _View(
            name,
            model.images[own.get(common[0], group[0])],
            tuple(_file(model.images[own[number]], folder.parent) for number in common if number in own),
        )
        for name, own, group in zip(names, numbers, groups, strict=True)
    ]
    return sorted(views, key=lambda view: view.name), [_as_frames(len(views), len(common)), *dropped]


def _by_folder(model: ColmapModel, folder: Path, excluded: Collection[str]) -> tuple[list[_View], list[str]] | None:
    """Cameras that are folders below ``images``. All images in a folder are frames, also those without a pose of their own."""
    registered: dict[str, list[ColmapImage]] = {}
    for image in model.images:
        registered.setdefault(str(PurePosixPath(image.name).parent), []).append(image)
    if "." in registered or len(registered) < 2:
        return None
    several = any(len(images) > 1 for images in registered.values())
    first_only = len({frame_number(images[0].name) for images in registered.values()}) == 1
    if not (several or first_only) or any(not (folder / name).is_dir() for name in registered):
        return None
    spread = _spread(registered)
    if spread > STILL:
        return None
    found = {name: numbered_images(folder / name)[0] for name in registered}
    common, remarks = common_numbers(found, ignored=[name for name in found if name.replace("/", "_") in excluded])
    if len(common) < 2:
        return None
    if spread > POSE_TOLERANCE:
        remarks.append(
            f"The poses of one camera differ by up to {spread:.2g} (radians, or sizes of the rig); those of its first image are used."
        )
    views = [
        _View(name.replace("/", "_"), images[0], tuple(found[name][number] for number in common if number in found[name]))
        for name, images in registered.items()
    ]
    return views, [_as_frames(len(views), len(common)), *remarks]


def _spread(registered: dict[str, list[ColmapImage]]) -> float:
    """How far poses of one folder are apart, in radians and in sizes of the rig."""
    poses = {name: np.linalg.inv(np.stack([image.world_to_camera() for image in images])) for name, images in registered.items()}
    middles = np.stack([own[:, :3, 3].mean(axis=0) for own in poses.values()])
    size = max(float(np.linalg.norm(middles - middles.mean(axis=0), axis=1).max()), 1e-12)
    turns = max(float(np.abs(own[:, :3, :3] - own[0, :3, :3]).max()) for own in poses.values())
    shifts = max(float(np.linalg.norm(own[:, :3, 3] - own[0, :3, 3], axis=1).max()) for own in poses.values())
    return max(turns, shifts / size)


def _as_frames(cameras: int, frames: int) -> str:
    return f"Images of one pose are frames of one camera: {cameras} cameras x {frames} frames, by the numbers in the images' names."


def _said_of_folders(model: ColmapModel) -> list[str]:
    folders = [str(PurePosixPath(image.name).parent) for image in model.images]
    crowded = sorted({name for name in folders if name != "." and folders.count(name) > 1})
    if not crowded or len(set(folders)) < 2:
        return []
    return [f"images/{crowded[0]} has several images of different poses, so each image is taken as a camera of its own."]


# -- what the model and the images do not share ----------------------------------------------------------------------------


def _other_models(place: Path) -> list[str]:
    others = sorted(path.name for path in place.parent.iterdir() if place.name == "0" and path.name.isdigit() and path != place)
    return [f"COLMAP split the images into several models; {place} is used, {some(others)} beside it are not."] if others else []


def _fitted(lenses: list[LensModel], files: Sequence[Sequence[Path]]) -> tuple[list[LensModel], list[str]]:
    """The lenses for images that are smaller or larger than the model's cameras, and a remark about them."""
    fitted: list[LensModel] = []
    scaled: list[str] = []
    for lens, own in zip(lenses, files, strict=True):
        head = read_head(own[0]) if own else None
        resized = None if head is None else for_size(lens, head.width, head.height)
        fitted.append(resized or lens)  # another aspect ratio is refused by the source
        if head is not None and resized is not None and resized is not lens:
            scaled.append(f"{head.width}x{head.height} pixels (the model: {lens.width}x{lens.height})")
    if not scaled:
        return fitted, []
    whose = counted(len(scaled), "camera")
    return fitted, [f"The images of {whose} are not of the model's size: {scaled[0]}; the cameras are scaled to the images."]


def _differences(model: ColmapModel, workspaces: list[Path]) -> list[str]:
    """A warning if another frame was calibrated differently. The second, middle and last are looked at: models can be large."""
    ours = {image.name: image for image in model.images}
    scale = max(float(np.abs(image.translation).max()) for image in model.images)
    tolerance = POSE_TOLERANCE * np.array([1.0, 1.0, 1.0, scale])  # of the columns of a pose
    first, others = workspaces[0], workspaces[1:]
    for workspace in dict.fromkeys([*others[:1], *others[len(others) // 2 :][:1], *others[-1:]]):
        place = model_folder(workspace)
        if place is None:
            continue
        other = read_model(place)
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


LAYOUT = Layout(detects, read, quaternions=True)
