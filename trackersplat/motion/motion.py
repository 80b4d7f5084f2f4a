"""How the Gaussians of a base frame move to one target frame."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from trackersplat.motion.evidence import Evidence


@dataclass(frozen=True, eq=False)
class CarriedMotion:
    """What one stride or batch hands to the next: the motion that led to its base frame, as far as it still matters there."""

    pending_translation: Tensor  # (N, 3) scene units: measured motion of static Gaussians, too small to be applied yet
    velocity: Tensor  # (N, 3) scene units per frame, of the mean, over the last stride; 0 for static Gaussians, as are the next two
    angular_velocity: Tensor  # (N, 3) radians per frame: rotation vector about the mean
    trust: Tensor  # (N,) in [0, 1]: confidence in both velocities, less from batch to batch in which no track confirms them

    def __getitem__(self, chosen: Tensor | slice) -> CarriedMotion:
        return CarriedMotion(**{field.name: getattr(self, field.name)[chosen] for field in fields(self)})

    def __len__(self) -> int:
        return len(self.pending_translation)

    def without(self, indices: Tensor) -> CarriedMotion:
        """The same, with zeros for the Gaussians at these ``indices`` (K,) int64, which were replaced."""
        return CarriedMotion(**{field.name: getattr(self, field.name).index_fill(0, indices, 0.0) for field in fields(self)})

    def to(self, device: torch.device | str) -> CarriedMotion:
        return CarriedMotion(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})


@dataclass(frozen=True, eq=False)
class Motion:
    """Rigid motion per Gaussian from the base frame to one target frame, with its evidence."""

    translation: Tensor  # (N, 3) scene units, of the mean
    rotation: Tensor  # (N, 4) wxyz unit, multiplies from the left
    is_static: Tensor  # (N,) bool: the views say that it did not move; such Gaussians stay bit-identical
    measured: Tensor  # (N,) bool: triangulated from tracks (the rest, unless static, is propagated)
    confidence: Tensor  # (N,) in [0, 1]
    residual_px: Tensor  # (N,) RMS reprojection error of the triangulation in pixels, nan where not measured
    views: Tensor  # (N,) int32 number of views that measured it
    carried: CarriedMotion | None = None  # for a motion that starts from this one's target
    evidence: Evidence | None = None  # what every view says about this motion

    def __getitem__(self, chosen: Tensor | slice) -> Motion:
        """The motion of these Gaussians, with what is carried and the evidence of them."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        parts: dict[str, Any] = {name: None if value is None else value[chosen] for name, value in values.items()}
        return Motion(**parts)
