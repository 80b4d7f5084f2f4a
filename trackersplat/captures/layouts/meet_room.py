"""Meet Room (Li et al. 2022, StreamRF): ``cam_<N>.mp4`` from Azure Kinects and ``poses_bounds.npy`` in the order of the numbers.

The published poses know nothing of the lenses, whose distortion costs about 3 dB (HiCoM reports 26.7 dB with it, 29.7 dB without):
a COLMAP model of the first frame in ``sparse/0``, with a lens of the model OPENCV, takes their place.
"""

from __future__ import annotations

import re
from pathlib import Path

from trackersplat.captures.capture import Capture
from trackersplat.captures.layout import Layout
from trackersplat.captures.layouts.llff_videos import POSES, read_posed_videos, read_poses_bounds
from trackersplat.captures.layouts.sparse_model import FOLDER, read_sparse_model
from trackersplat.captures.readable import require_files
from trackersplat.captures.settings import read_settings
from trackersplat.errors import InputError

NAME = "meet_room"

_VIDEO = re.compile(r"cam_(\d{1,6})\.mp4")


def detects(folder: Path) -> bool:
    return (folder / POSES).is_file() and bool(_videos(folder))


def read(folder: Path) -> Capture:
    """Raises InputError if a video or the poses are damaged, or do not fit each other."""
    require_files(path for path in sorted(folder.iterdir()) if _VIDEO.fullmatch(path.name))
    videos = _videos(folder)
    rows = read_poses_bounds(folder / POSES)
    if len(rows) != len(videos):
        raise InputError(
            f"{folder / POSES} has {len(rows)} rows, but there are {len(videos)} videos: "
            "it must have one row per video, in the order of the camera numbers."
        )
    names = [video.stem for video in videos]
    model = read_sparse_model(folder, names)
    warnings = (
        model.notes(names, POSES)
        if model
        else [
            "The published poses ignore the lens distortion of these cameras, which costs about 3 dB; "
            f"a COLMAP model of frame 1 with OPENCV cameras in {FOLDER} would be used instead, and the images undistorted."
        ]
    )
    central = [video.stem for video in videos if _number(video) == 0]
    return read_posed_videos(folder, NAME, videos, rows, read_settings(folder), central, warnings, model=model)


def _videos(folder: Path) -> list[Path]:
    return sorted((path for path in folder.iterdir() if _VIDEO.fullmatch(path.name) and path.is_file()), key=_number)


def _number(path: Path) -> int:
    match = _VIDEO.fullmatch(path.name)
    return int(match[1]) if match else -1


LAYOUT = Layout(detects, read, axes="llff", camera_to_world=True)
