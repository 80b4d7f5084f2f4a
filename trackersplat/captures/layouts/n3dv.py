"""Neural 3D Video (Li et al. 2022): ``camNN.mp4`` per camera and ``poses_bounds.npy`` (see ``llff_videos``).

Rows follow the videos in the order of their names; cameras that the authors dropped leave gaps in the numbers, not in the rows.
What is known of the published scenes stands in ``n3dv_scenes.json``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from trackersplat.captures.capture import Capture
from trackersplat.captures.layout import Layout
from trackersplat.captures.layouts.llff_videos import POSES, read_posed_videos, read_poses_bounds
from trackersplat.captures.layouts.sparse_model import read_sparse_model
from trackersplat.captures.readable import require_files
from trackersplat.captures.settings import CaptureSettings, read_settings
from trackersplat.errors import InputError
from trackersplat.files import read_json

NAME = "n3dv"
CONVENTIONAL_HELD_OUT = "cam00"  # of the published scenes: the central camera

_VIDEO = re.compile(r"(cam(\d+))\.mp4", re.IGNORECASE)


@dataclass(frozen=True)
class SceneFacts:
    """What is known of a published scene."""

    width: int  # pixels, of the images in published tables
    held_out: tuple[str, ...]
    left_out: dict[str, tuple[int, str]]  # camera -> its row of the published poses_bounds.npy, from 0, and why it is left out
    rows: int | None = None  # of the published poses_bounds.npy


@cache
def published_scenes() -> dict[str, SceneFacts]:
    """By the name of the scene."""
    data: dict[str, dict[str, Any]] = read_json(Path(__file__).with_name("n3dv_scenes.json"))
    return {
        name: SceneFacts(
            width=facts["size"][0],
            held_out=tuple(facts["held_out"]),
            left_out={camera: (why["row"], why["reason"]) for camera, why in facts["left_out"].items()},
            rows=facts.get("rows"),
        )
        for name, facts in data.items()
    }


def detects(folder: Path) -> bool:
    return (folder / POSES).is_file() and bool(_videos(folder))


def read(folder: Path) -> Capture:
    """A folder (or the name in ``capture.json``) that is called like a published scene is taken for it.

    Raises InputError if a video or the poses are damaged, or do not fit each other.
    """
    require_files(path for path in sorted(folder.iterdir()) if _VIDEO.fullmatch(path.name))
    videos = _videos(folder)
    if not videos:
        raise InputError(f"{folder} has no camNN.mp4 videos.")
    names = [video.stem for video in videos]
    warnings = []
    if sorted(names, key=lambda name: int(re.sub(r"\D", "", name))) != names:
        warnings.append("The camera numbers are not padded with zeros, so the poses were matched to the videos in alphabetical order.")
    settings = read_settings(folder)
    facts = _facts(folder, settings)
    rows = _rows(folder, names, facts)
    for name, (_, reason) in facts.left_out.items() if facts else ():
        if name in names:
            kept = [i for i, other in enumerate(names) if other != name]
            names, videos, rows = [names[i] for i in kept], [videos[i] for i in kept], rows[kept]
            warnings.append(f"{name} is left out: {reason}.")
    model = read_sparse_model(folder, names)
    return read_posed_videos(
        folder,
        NAME,
        videos,
        rows,
        settings,
        facts.held_out if facts else (CONVENTIONAL_HELD_OUT,),
        warnings + (model.notes(names, POSES) if model else []),
        facts.width if facts else None,
        model,
    )


def _facts(folder: Path, settings: CaptureSettings) -> SceneFacts | None:
    scenes = published_scenes()
    return scenes.get((settings.name or "").lower()) or scenes.get(folder.resolve().name.lower())


def _rows(folder: Path, names: list[str], facts: SceneFacts | None) -> np.ndarray:
    """One row per video. Rows of videos that were deleted because they are to be left out are dropped."""
    rows = read_poses_bounds(folder / POSES)
    if facts is not None and len(rows) == facts.rows and len(names) == facts.rows - len(facts.left_out):
        gone = [row for name, (row, _) in facts.left_out.items() if name not in names]
        if len(gone) == len(facts.left_out):
            rows = np.delete(rows, gone, axis=0)
    if len(rows) != len(names):
        raise InputError(
            f"{folder / POSES} has {len(rows)} rows, but there are {len(names)} videos: "
            "it must have one row per video, in the order of the sorted names."
        )
    return rows


def _videos(folder: Path) -> list[Path]:
    return sorted((path for path in folder.iterdir() if _VIDEO.fullmatch(path.name) and path.is_file()), key=lambda path: path.name)


LAYOUT = Layout(detects, read, axes="llff", camera_to_world=True)
