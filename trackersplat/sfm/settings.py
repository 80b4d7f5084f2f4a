"""How a capture is prepared: what was asked for, and the numbers that decide the result."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from trackersplat.sfm.initialisers import WEIGHTS_FOLDER

Poses = Literal["keep", "refine", "estimate"]
Intrinsics = Literal["given", "each", "shared"]
Points = Literal["features", "dust3r", "mast3r", "vggt"]  # triangulated features, or the points of a network


@dataclass(frozen=True)
class FeatureSettings:
    """SIFT features and their matches."""

    small_side: int = 640  # pixels; images whose longer side is shorter are enlarged twice, which gives several times the points
    max_features: int = 8192  # per image
    few_cameras: int = 4  # up to so many cameras are taken to be far apart: features get affine shapes and domain-size pooling
    square_tolerance: float = 0.002  # relative difference of fx and fy of a lens that one focal length describes
    unknown_focal: float = 1.2  # first guess of a focal length, times the longer side of the image
    seed: int = 0


@dataclass(frozen=True)
class TriangulationSettings:
    max_error_px: float = 4.0  # matches with a larger reprojection error are dropped
    min_angle_deg: float = 2.0  # smallest limit of the error in angle at which a match joins a point
    seed: int = 0


@dataclass(frozen=True)
class AdjustmentSettings:
    """Bundle adjustment of given or estimated poses."""

    refine_px: tuple[float, ...] = (32.0, 12.0, 4.0, 4.0)  # largest reprojection error in each round: poor poses give poor points at first
    estimate_px: tuple[float, ...] = (4.0, 4.0)  # the same after structure from motion
    min_cameras: int = 3  # that must fit together; 2 where there are no more
    min_observations: int = 20  # of a camera whose pose is kept
    seed: int = 0


@dataclass(frozen=True)
class GuessSettings:
    """Points that a network guesses."""

    max_points: int = 200_000  # kept; a network gives one per pixel of every image
    max_error_share: float = 0.05  # of the longer side of the image: reprojection error from which a camera of the network does not fit
    seed: int = 0


@dataclass(frozen=True)
class PrepareSettings:
    """What is None follows from the data: given poses are kept, else poses are estimated; given lenses are kept, else each camera gets its
    own; cameras are held out as the capture says."""

    poses: Poses | None = None
    intrinsics: Intrinsics | None = None
    held_out: tuple[str, ...] | None = None  # camera names; several in one text are separated by commas
    scale: float | None = None  # of the images when the folder is opened, at most 1
    points: Points = "features"
    weights: Path = WEIGHTS_FOLDER  # folder with the weights of a network
    features: FeatureSettings = field(default_factory=FeatureSettings)
    triangulation: TriangulationSettings = field(default_factory=TriangulationSettings)
    adjustment: AdjustmentSettings = field(default_factory=AdjustmentSettings)
    guess: GuessSettings = field(default_factory=GuessSettings)

    def to_json(self) -> dict[str, Any]:
        """Plain values that decide the result. ``weights`` is left out: the result is the same wherever they are."""
        values = {key: _plain(value) for key, value in dataclasses.asdict(self).items()}
        del values["weights"]
        return values


def _plain(value: Any) -> Any:
    """As JSON gives it back: lists in place of tuples."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return list(value) if isinstance(value, tuple) else value
