"""A COLMAP model ``sparse/0`` beside videos or images: it replaces the poses that came with them, and knows their lenses."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from trackersplat.captures.capture import PointCloud
from trackersplat.captures.formats.colmap_lens import colmap_lens
from trackersplat.captures.formats.colmap_model import model_folder, read_model, read_model_points
from trackersplat.captures.media.lens import LensModel
from trackersplat.captures.media.views import for_size
from trackersplat.errors import InputError

FOLDER = Path("sparse") / "0"


@dataclass(frozen=True)
class SparseModel:
    """Calibrations by camera name, and the points."""

    path: Path
    place: str  # the same below the capture's folder
    cameras: dict[str, tuple[LensModel, np.ndarray]]  # lens, (4, 4) world to camera
    points: PointCloud | None

    def lens(self, name: str, width: int, height: int) -> LensModel:
        """For images of that size. Raises InputError if the model was made from images of another aspect ratio."""
        lens = self.cameras[name][0]
        fitted = for_size(lens, width, height)
        if fitted is None:
            raise InputError(
                f"{self.path} calibrates {name} at {lens.width}x{lens.height}, but its images have {width}x{height} pixels: "
                "make the model from images of one aspect ratio with these."
            )
        return fitted

    def notes(self, names: Sequence[str], replaced: str) -> list[str]:
        """What to say about a capture of ``names`` that uses this model instead of ``replaced``."""
        notes = [f"Cameras and points are those of the COLMAP model in {self.place}, not those of {replaced}."]
        missing = [name for name in names if name not in self.cameras]
        return notes + [f"{name} is left out: the COLMAP model in {self.place} has no pose of it." for name in missing]


def read_sparse_model(folder: Path, names: Sequence[str]) -> SparseModel | None:
    """The model in ``folder``'s ``sparse/0`` or another of ``MODEL_FOLDERS``, None where there is none.

    Images belong to the camera of their name without ending; where the names differ only in how the number is written, to that number.

    Raises InputError if the model is damaged, or has none of the cameras.
    """
    place = model_folder(folder)
    if place is None:
        return None
    model = read_model(place)
    by_number = {_number(name): name for name in names}
    lenses = {key: colmap_lens(camera) for key, camera in model.cameras.items()}
    cameras: dict[str, tuple[LensModel, np.ndarray]] = {}
    for image in model.images:
        stem = PurePosixPath(image.name).stem
        name = stem if stem in names else by_number.get(_number(stem))
        if name is None:
            continue
        if name in cameras:
            raise InputError(f"{place} has two images of {name}: it must be made from the images of one frame.")
        cameras[name] = lenses[image.camera_id], image.world_to_camera()
    if not cameras:
        raise InputError(
            f"{place} has no image that is named after a camera ({names[0]}, ...): name the images of frame 1 "
            "after the cameras and make the model again, or remove it."
        )
    return SparseModel(place, str(place.relative_to(folder)), cameras, read_model_points(place))


def _number(name: str) -> int | None:
    """The only number in a name."""
    found = re.findall(r"\d+", name)
    return int(found[0]) if len(found) == 1 and len(found[0]) < 10 else None
