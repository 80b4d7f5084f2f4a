"""How the Gaussians of a base frame move to one target frame."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Carried:
    """What one leg or batch hands to the next: the motion that led to its base frame, as far as it still matters there."""

    withheld: Tensor  # (N, 3) scene units: measured motion of static Gaussians, too small to be shown yet
    velocity: Tensor  # (N, 3) scene units per frame, of the mean, over the last leg; 0 for static Gaussians, as are the next two
    spin: Tensor  # (N, 3) radians per frame: rotation vector about the mean
    trust: Tensor  # (N,) in [0, 1]: confidence in velocity and spin, less from batch to batch in which no track confirms them

    def __getitem__(self, chosen: Tensor | slice) -> Carried:
        return Carried(**{field.name: getattr(self, field.name)[chosen] for field in fields(self)})

    def __len__(self) -> int:
        return len(self.withheld)

    def without(self, places: Tensor) -> Carried:
        """The same, with nothing for the Gaussians at these indices: others have taken their places."""
        return Carried(**{field.name: getattr(self, field.name).index_fill(0, places, 0.0) for field in fields(self)})

    def to(self, device: torch.device | str) -> Carried:
        return Carried(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})


@dataclass(frozen=True)
class Motion:
    """Rigid motion per Gaussian from the base frame to one target frame, with its evidence."""

    translation: Tensor  # (N, 3) scene units, of the mean
    rotation: Tensor  # (N, 4) wxyz unit, multiplies from the left
    static: Tensor  # (N,) bool: evidence says it did not move; such Gaussians stay bit-identical
    measured: Tensor  # (N,) bool: triangulated from tracks (the rest, unless static, is propagated)
    confidence: Tensor  # (N,) in [0, 1]
    residual_px: Tensor  # (N,) RMS reprojection error of the triangulation in pixels, nan where not measured
    views: Tensor  # (N,) int32 number of views that measured it
    carried: Carried | None = None  # for what starts from this motion's target

    def __getitem__(self, chosen: Tensor | slice) -> Motion:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        parts: dict[str, Any] = {name: None if value is None else value[chosen] for name, value in values.items()}
        return Motion(**parts)
