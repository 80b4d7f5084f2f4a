"""The layouts a capture can have on disk, and opening one whatever its layout."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from trackersplat.captures.archives.advice import unpacking_advice
from trackersplat.captures.capture import Capture
from trackersplat.captures.demo import demo_capture
from trackersplat.captures.layouts import (
    caliscope,
    colmap,
    dynamic3dgs,
    image_folder,
    meet_room,
    n3dv,
    nerfstudio,
    prepared,
    qualisys,
    rh20t,
    st_nerf,
    video_folder,
)
from trackersplat.captures.layouts.footage import is_footage
from trackersplat.errors import InputError

MAX_INSIDE = 50  # subfolders that are looked at when a folder is no capture


@dataclass(frozen=True)
class Layout:
    """One layout on disk and its reader."""

    name: str
    description: str  # one line
    files: str  # what the reader looks for
    detects: Callable[[Path], bool]
    read: Callable[[Path], Capture]


LAYOUTS: tuple[Layout, ...] = (
    Layout(n3dv.NAME, "Neural 3D Video: one video per camera", n3dv.FILES, n3dv.detects, n3dv.read),
    Layout(meet_room.NAME, "Meet Room: one video per camera", meet_room.FILES, meet_room.detects, meet_room.read),
    Layout(
        dynamic3dgs.NAME,
        "Dynamic 3D Gaussians / PanopticSports, the published split",
        dynamic3dgs.FILES,
        dynamic3dgs.detects,
        dynamic3dgs.read,
    ),
    Layout(st_nerf.NAME, "ST-NeRF: images per frame and camera", st_nerf.FILES, st_nerf.detects, st_nerf.read),
    Layout(rh20t.NAME, "RH20T: videos of a robot, matched by time", rh20t.FILES, rh20t.detects, rh20t.read),
    Layout(image_folder.NAME, "one folder of images per camera", image_folder.FILES, image_folder.detects, image_folder.read),
    Layout(video_folder.NAME, "one video per camera", video_folder.FILES, video_folder.detects, video_folder.read),
    Layout(nerfstudio.NAME, "nerfstudio, several cameras per time", nerfstudio.FILES, nerfstudio.detects, nerfstudio.read),
    Layout(caliscope.NAME, "caliscope sessions", caliscope.FILES, caliscope.detects, caliscope.read),
    Layout(qualisys.NAME, "Qualisys sessions", qualisys.FILES, qualisys.detects, qualisys.read),
    Layout(colmap.NAME, "COLMAP workspaces, one per frame or a single one", colmap.FILES, colmap.detects, colmap.read),
    Layout(prepared.NAME, "made by trackersplat prepare", prepared.FILES, prepared.detects, prepared.read),
)


def open_capture(path: str | Path) -> Capture:
    """Opens the capture in a folder, in the first layout of ``LAYOUTS`` that recognises it; "demo" is the bundled one.

    Raises InputError if the folder is missing, empty or of no known layout, or if its reader finds something wrong.
    """
    folder = demo_capture() if str(path) == "demo" else Path(path).expanduser()
    try:
        if not folder.is_dir():
            advice = unpacking_advice(folder) if folder.is_file() else None
            if advice is not None:
                raise InputError(advice)
            state = "is a file" if folder.exists() else "does not exist"
            raise InputError(f"{folder} {state}: give the folder of a capture, or 'demo' for the bundled one.")
        if next(folder.iterdir(), None) is None:
            raise InputError(f"{folder} is empty: give a folder with {_expected()}.")
        layout = recognised(folder)
        if layout is not None:
            return layout.read(folder)
        advice = unpacking_advice(folder)
        if advice is not None:
            raise InputError(advice)
        inner = _captures_inside(folder)
        uncalibrated = is_footage(folder)
    except OSError as error:
        raise InputError(f"{folder} cannot be read ({error.strerror}): check the folder and its permissions.") from error
    if inner:
        raise InputError(f"{folder} is no capture itself, but {inner[0].name} inside it is: open {inner[0]}.")
    if uncalibrated:
        command = f"trackersplat prepare {shlex.quote(str(folder))}"
        raise InputError(f"{folder} shows several cameras without any calibration: `{command}` finds their poses, or add cameras.json.")
    raise InputError(f"{folder} is no capture of a known layout: expected {_expected()}.")


def recognised(folder: Path) -> Layout | None:
    """The first layout of ``LAYOUTS`` that the folder is of."""
    return next((layout for layout in LAYOUTS if layout.detects(folder)), None)


def _captures_inside(folder: Path) -> list[Path]:
    """The first subfolders that are captures: archives often have a folder of their own."""
    places = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))[:MAX_INSIDE]
    return [place for place in places if os.access(place, os.R_OK | os.X_OK) and recognised(place) is not None]


def _expected() -> str:
    return "; or ".join(f"{layout.files} ({layout.name})" for layout in LAYOUTS)
