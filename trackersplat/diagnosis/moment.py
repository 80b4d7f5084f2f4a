"""All that is known about all tracks in one frame: what evidence is made from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trackersplat.diagnosis.settings import DiagnosisSettings


@dataclass(frozen=True, eq=False)
class Points:
    """Points of P tracks in their own cameras and in space, as the views see them; nan where they are not known."""

    world: np.ndarray  # (P, 3) that all views agree on
    reprojected: np.ndarray  # (P, 2) px: the same in the track's camera
    without: np.ndarray  # (P, 2) px: what the other views agree on, in the track's camera
    views: np.ndarray  # (P,) other views that agree
    parallax: np.ndarray  # (P,) degrees


@dataclass(frozen=True, eq=False)
class Material:
    """The material points of P tracks as the Gaussians carry them."""

    world: np.ndarray  # (P, 3)
    pixels: np.ndarray  # (P, 2) px in the track's camera
    depth: np.ndarray  # (P,) along its optical axis
    covered: np.ndarray  # (P,) share in [0, 1] of the rendered surface there that lies in front of it
    shown: np.ndarray  # (P,) share that lies at it


@dataclass(frozen=True, eq=False)
class Moment:
    """P tracks in one frame, next to the frame before. float64; nan where a track is not there.

    ``elapsed`` is the number of frames since the one before; 0 in the first.
    """

    settings: DiagnosisSettings
    frame: int
    elapsed: int
    size: np.ndarray  # (P, 2) width and height of the track's image
    camera: np.ndarray  # (P,) int
    begins: np.ndarray  # (P,) bool: the track begins in this frame
    position: np.ndarray  # (P, 2) px
    previous: np.ndarray  # (P, 2) in the frame before
    earlier: np.ndarray  # (P, 2) in the one before that
    visibility: np.ndarray  # (P,)
    confidence: np.ndarray  # (P,)
    back: np.ndarray  # (P, 2) px: where the tracker finds the position in the frame before
    loop: np.ndarray  # (P, 2) px: sum of ``back - previous`` since the track began
    points: Points
    previous_world: np.ndarray  # (P, 3) `Points.world` in the frame before
    earlier_world: np.ndarray  # (P, 3)
    material: Material
    lifted: np.ndarray  # (P,) bool: the material point was taken from the position in this frame, so the two are the same
    offset: np.ndarray  # (P, 2) px: from where the rendering shows something to where the photograph does
    patch: np.ndarray  # (P, n, n) grey levels now
    previous_patch: np.ndarray  # in the frame before
    query_patch: np.ndarray  # where the track began
    mask_border: np.ndarray  # (P,) px to the border of the mask

    def __len__(self) -> int:
        return len(self.camera)

    @property
    def here(self) -> np.ndarray:
        """(P,) bool: the track has a position."""
        return np.isfinite(self.position[:, 0])
