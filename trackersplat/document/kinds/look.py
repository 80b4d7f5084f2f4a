"""Tint and opacity: how Gaussians look."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from trackersplat.document.scene_edit import EditScene, FrameState, SceneArguments, Target, TargetEdit
from trackersplat.gaussians.gaussians import SH_C0

LARGEST_FACTOR = 100.0  # of an opacity
HIGHEST = 0.9999  # an opacity after the change: a logit must stay finite
LOWEST = 1e-6


@dataclass(frozen=True, kw_only=True)
class Tint(TargetEdit):
    """Mixes the colour with another one: ``strength`` 1 makes it that colour from all sides, 0 leaves it."""

    kind = "tint"
    colour: tuple[float, float, float]  # RGB in [0, 1]
    strength: float = 0.5

    @classmethod
    def parse(cls, arguments: SceneArguments) -> Tint:
        red, green, blue = arguments.numbers("colour", 3, 0.0, 1.0)
        strength = arguments.number("strength", 0.0, 1.0) if arguments.has("strength") else cls.strength
        return cls(Target.parse(arguments), arguments.range(), colour=(red, green, blue), strength=strength)

    def to_json(self) -> dict[str, Any]:
        return {**super().to_json(), "colour": list(self.colour), "strength": self.strength}

    @property
    def label(self) -> str:
        code = "".join(f"{round(255 * part):02x}" for part in self.colour)
        return f"Tint {self.where} with #{code} by {self.strength:.0%}"

    def on_rows(self, state: FrameState, rows: np.ndarray, scene: EditScene) -> FrameState:
        sh, chosen = state.gaussians.sh.clone(), torch.from_numpy(rows)
        mixed = (1 - self.strength) * sh[chosen]
        mixed[:, 0] += self.strength * (sh.new_tensor(self.colour) - 0.5) / SH_C0
        sh[chosen] = mixed
        return replace(state, gaussians=replace(state.gaussians, sh=sh))


@dataclass(frozen=True, kw_only=True)
class Opacity(TargetEdit):
    """Multiplies opacities; they stay between 0.000001 and 0.9999."""

    kind = "opacity"
    factor: float

    @classmethod
    def parse(cls, arguments: SceneArguments) -> Opacity:
        return cls(Target.parse(arguments), arguments.range(), factor=arguments.number("factor", 0.0, LARGEST_FACTOR))

    def to_json(self) -> dict[str, Any]:
        return {**super().to_json(), "factor": self.factor}

    @property
    def label(self) -> str:
        return f"Multiply the opacity of {self.where} by {self.factor:g}"

    def on_rows(self, state: FrameState, rows: np.ndarray, scene: EditScene) -> FrameState:
        logits, chosen = state.gaussians.opacity_logits.clone(), torch.from_numpy(rows)
        logits[chosen] = torch.logit((self.factor * torch.sigmoid(logits[chosen])).clamp(LOWEST, HIGHEST))
        return replace(state, gaussians=replace(state.gaussians, opacity_logits=logits))
