"""The layouts that a capture can have on disk, and how a folder of any of them is opened.

A layout is one module in `layouts` and one entry of ``LAYOUTS``. Its module is imported when a folder is opened.
"""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from itertools import islice
from pathlib import Path

import numpy as np

from trackersplat.captures.archives.advice import unpacking_advice
from trackersplat.captures.capture import Capture
from trackersplat.captures.demo import demo_capture
from trackersplat.captures.layout import Layout
from trackersplat.captures.still_cameras import some
from trackersplat.errors import InputError
from trackersplat.registry import Facts, Registry

MAX_SEARCHED = 10_000  # entries of a folder that are named where it is no capture
MAX_INSIDE = 50  # subfolders that are searched for captures when a folder is none itself
POSE_FILES = ("poses*.npy", "sparse*/", "cameras.json", "transforms*.json", "*_meta.json", "*.toml", "*.qca.txt", "cameras.*", "images.*")
MEDIA_SUFFIXES = (".png", ".jpg", ".jpeg", ".mp4", ".mov", ".m4v", ".mkv", ".avi", ".webm", ".tif", ".tiff", ".exr")
_MODULES = "trackersplat.captures.layouts"


@dataclass(frozen=True, kw_only=True)
class LayoutFacts(Facts):
    """What is known about a layout. ``load`` names a `Layout`."""

    files: str  # by which a folder of this layout is recognised, in words


# In the order in which a folder is compared with them: the first that fits is taken.
LAYOUTS: Registry[LayoutFacts] = Registry(
    "layout of a capture",
    (
        LayoutFacts(
            name="imported",
            title="a run made by `trackersplat import`, without photographs",
            files="run.json and rig.json",
            load=f"{_MODULES}.imported:LAYOUT",
        ),
        LayoutFacts(
            name="n3dv",
            title="Neural 3D Video: one video per camera",
            files="camNN.mp4 videos and poses_bounds.npy",
            load=f"{_MODULES}.n3dv:LAYOUT",
        ),
        LayoutFacts(
            name="meet_room",
            title="Meet Room: one video per camera",
            files="cam_0.mp4, cam_1.mp4 and so on, and poses_bounds.npy",
            load=f"{_MODULES}.meet_room:LAYOUT",
        ),
        LayoutFacts(
            name="dynamic3dgs",
            title="Dynamic 3D Gaussians / PanopticSports, the published split",
            files="train_meta.json, test_meta.json and ims/<camera>/000000.jpg",
            load=f"{_MODULES}.dynamic3dgs:LAYOUT",
        ),
        LayoutFacts(
            name="st_nerf",
            title="ST-NeRF: images per frame and camera",
            files="pose/K.txt, pose/RT_c2w.txt and frame1/images/1.png and so on",
            load=f"{_MODULES}.st_nerf:LAYOUT",
        ),
        LayoutFacts(
            name="rh20t",
            title="RH20T: videos of a robot, matched by time",
            files="cam_<serial>/color.mp4 and cam_<serial>/timestamps.npy",
            load=f"{_MODULES}.rh20t:LAYOUT",
        ),
        LayoutFacts(
            name="image_folder",
            title="one folder of images per camera",
            files="cameras.json and images/<camera>/0000.png",
            load=f"{_MODULES}.image_folder:LAYOUT",
        ),
        LayoutFacts(
            name="video_folder",
            title="one video per camera",
            files="cameras.json and videos/<camera>.mp4 or <camera>.mp4",
            load=f"{_MODULES}.video_folder:LAYOUT",
        ),
        LayoutFacts(
            name="nerfstudio",
            title="nerfstudio, several cameras per time",
            files="transforms.json (or transforms_train.json and transforms_test.json)",
            load=f"{_MODULES}.nerfstudio:LAYOUT",
        ),
        LayoutFacts(
            name="caliscope",
            title="caliscope sessions",
            files="camera_array.toml and recordings/<name>/cam_0.mp4 or calibration/extrinsic/cam_0.mp4",
            load=f"{_MODULES}.caliscope:LAYOUT",
        ),
        LayoutFacts(
            name="qualisys",
            title="Qualisys sessions",
            files="a *.qca.txt calibration and <serial>.mp4 videos",
            load=f"{_MODULES}.qualisys:LAYOUT",
        ),
        LayoutFacts(
            name="colmap",
            title="COLMAP workspaces, one per frame or a single one",
            files="frame1/images, frame1/sparse/0 and so on, or images and sparse/0",
            load=f"{_MODULES}.colmap:LAYOUT",
        ),
        LayoutFacts(
            name="prepared",
            title="made by trackersplat prepare",
            files="prepared.json, as `trackersplat prepare` writes it",
            load=f"{_MODULES}.prepared:LAYOUT",
        ),
        LayoutFacts(
            name="posed_footage",
            title="videos or folders of images beside poses, as other tools leave them",
            files="<camera>.mp4 or <camera>/0000.png, and sparse/0, sparse_ or poses_bounds.npy",
            load=f"{_MODULES}.posed_footage:LAYOUT",
        ),
    ),
)


def open_capture(path: str | Path) -> Capture:
    """Opens the capture in a folder, in the first layout of ``LAYOUTS`` that recognises it; "demo" is the bundled one.

    Raises InputError if the folder is missing, empty or of no known layout, or if one of its files is missing or damaged.
    """
    try:
        folder = demo_capture() if str(path) == "demo" else Path(path).expanduser()
    except RuntimeError as error:
        raise InputError(f"{path} names a user whom this machine does not know: give the whole path of a capture's folder.") from error
    try:
        if not folder.is_dir():
            advice = unpacking_advice(folder) if folder.is_file() else None
            if advice is not None:
                raise InputError(advice)
            state = "is a file" if folder.exists() else "does not exist"
            raise InputError(f"{folder} {state}: give the folder of a capture, or 'demo' for the bundled one.")
        if next(folder.iterdir(), None) is None:
            raise InputError(f"{folder} is empty: give the folder of a capture, or 'demo' for the bundled one.")
        facts = recognised(folder)
        if facts is not None:
            return _with_remarks(_layout(facts).read(folder), _layout(facts))
        raise _unrecognised(folder)
    except OSError as error:
        raise InputError(f"{folder} cannot be read ({error.strerror}): check the folder and its permissions.") from error


def _with_remarks(capture: Capture, layout: Layout) -> Capture:
    """Adds what holds for every layout, without decoding an image: leaves cameras out, and says what files and poses show."""
    from trackersplat.captures.exclude import without_excluded
    from trackersplat.captures.media.cache import CachedFrames  # with NumPy, which listing the layouts does without
    from trackersplat.captures.plausible_lenses import lens_remarks
    from trackersplat.captures.pose_readings import PREFIX, pose_remarks
    from trackersplat.captures.units import with_units_of_the_rig

    files = capture.source.remarks if isinstance(capture.source, CachedFrames) else ()
    capture = without_excluded(replace(capture, warnings=(*capture.warnings, *files)))
    points = None if capture.points is None else capture.points.xyz.astype(np.float64)
    doubted = any(warning.startswith(PREFIX) for warning in capture.warnings)  # by the layout of the data that were prepared
    remarks = (*capture.warnings, *lens_remarks(capture.cameras), *([] if doubted else pose_remarks(capture.cameras, points, layout)))
    return with_units_of_the_rig(replace(capture, warnings=tuple(dict.fromkeys(remarks))))


def recognised(folder: Path) -> LayoutFacts | None:
    """The first layout of ``LAYOUTS`` that the folder has."""
    return next((facts for facts in LAYOUTS if _layout(facts).detects(folder)), None)


def _layout(facts: LayoutFacts) -> Layout:
    layout: Layout = LAYOUTS.load(facts.name)
    return layout


def _unrecognised(folder: Path) -> InputError:
    """What to do with a folder that has none of the layouts."""
    from trackersplat.captures.layouts.footage import is_footage  # imports OpenCV

    advice = unpacking_advice(folder)
    if advice is not None:
        return InputError(advice)
    inner = _captures_inside(folder)
    uncalibrated = is_footage(folder)
    if inner:
        return InputError(f"{folder} is no capture itself, but {inner[0].name} inside it is: open {inner[0]}.")
    if uncalibrated:
        command = f"trackersplat prepare {shlex.quote(str(folder))}"
        return InputError(f"{folder} shows several cameras without any calibration: `{command}` finds their poses, or add cameras.json.")
    return InputError(
        f"{folder} is no capture of a known layout: {_found(folder)}; expected images or videos of several cameras and their "
        f"calibration, in one of the layouts {', '.join(facts.name for facts in LAYOUTS)} (docs/captures.md lists the files of each)."
    )


def _captures_inside(folder: Path) -> list[Path]:
    """The subfolders that are captures, of the first ``MAX_INSIDE``: archives often hold a folder of their own."""
    places = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))[:MAX_INSIDE]
    return [place for place in places if os.access(place, os.R_OK | os.X_OK) and recognised(place) is not None]


def _found(folder: Path) -> str:
    """What a folder has of a capture and what it lacks, in words."""
    entries = sorted(path.name + "/" * path.is_dir() for path in islice(folder.iterdir(), MAX_SEARCHED) if not path.name.startswith("."))
    poses = [name for name in entries if any(fnmatch(name.lower(), pattern) for pattern in POSE_FILES)]
    media = [name for name in entries if Path(name).suffix.lower() in MEDIA_SUFFIXES]
    if poses:
        return f"there are poses ({some(poses)}), but no videos or folders of images of two cameras that belong to them"
    if media:
        return f"there are {len(media)} images or videos ({some(media)}), but no poses, and not two cameras to find them from"
    return f"there are no poses and no images or videos in it, only {some(entries)}" if entries else "there is nothing in it"
