"""Transform: moves, rotates and scales Gaussians."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from trackersplat.document.region import Vector, parse_rotation
from trackersplat.document.scene_edit import FARTHEST, EditScene, FrameState, SceneArguments, Target, TargetEdit
from trackersplat.geometry.quaternions import multiply, rotate
from trackersplat.motion.sh_rotation import rotate_sh

SMALLEST, LARGEST = 1e-4, 1e4  # scale
NO_ROTATION = (1.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, kw_only=True)
class Transform(TargetEdit):
    """``x' = center + scale R (x - center) + translation``, the same in every frame. Colours turn with the surface.

    What is not changed by it stays bit-identical: a translation alone changes means, and nothing else.
    """

    kind = "transform"
    translation: Vector = (0.0, 0.0, 0.0)  # world
    rotation: tuple[float, float, float, float] = NO_ROTATION  # wxyz, about the centre
    scale: float = 1.0
    center: Vector = (0.0, 0.0, 0.0)  # world: stays in place under rotation and scale

    @classmethod
    def parse(cls, arguments: SceneArguments) -> Transform:
        def vector(name: str) -> Vector:
            if not arguments.has(name):
                return 0.0, 0.0, 0.0
            x, y, z = arguments.numbers(name, 3, -FARTHEST, FARTHEST)
            return x, y, z

        scale = arguments.number("scale", SMALLEST, LARGEST) if arguments.has("scale") else 1.0
        target, frames, rotation = Target.parse(arguments), arguments.range(), parse_rotation(arguments)
        return cls(target, frames, translation=vector("translation"), rotation=rotation, scale=scale, center=vector("center"))

    def to_json(self) -> dict[str, Any]:
        how = {"translation": list(self.translation), "rotation": list(self.rotation), "scale": self.scale, "center": list(self.center)}
        return {**super().to_json(), **how}

    @property
    def label(self) -> str:
        parts = []
        if any(self.translation):
            parts.append("move by " + ", ".join(f"{part:.3g}" for part in self.translation))
        if self.rotation != NO_ROTATION:
            parts.append(f"rotate by {math.degrees(2 * math.acos(min(abs(self.rotation[0]), 1.0))):.3g} degrees")
        if self.scale != 1:
            parts.append(f"scale by {self.scale:.3g}")
        words = " and ".join(parts) or "leave in place"
        return f"{words[0].upper()}{words[1:]}: {self.where}"

    def on_rows(self, state: FrameState, rows: np.ndarray, scene: EditScene) -> FrameState:
        gaussians, chosen = state.gaussians, torch.from_numpy(rows)
        tensors = dict(gaussians.tensors().items())
        turned = self.rotation != NO_ROTATION
        means = gaussians.means[chosen]
        rotation = means.new_tensor(self.rotation).expand(len(means), 4)
        if turned or self.scale != 1:
            center = means.new_tensor(self.center)
            means = center + self.scale * (rotate(rotation, means - center) if turned else means - center)
        changes = {"means": means + means.new_tensor(self.translation)}
        if self.scale != 1:
            changes["log_scales"] = gaussians.log_scales[chosen] + math.log(self.scale)
        if turned:
            changes["quats"] = torch.nn.functional.normalize(multiply(rotation, gaussians.quats[chosen]), dim=-1)
            changes["sh"] = rotate_sh(gaussians.sh[chosen], rotation)
        for name, values in changes.items():
            tensors[name] = tensors[name].clone()
            tensors[name][chosen] = values
        return replace(state, gaussians=replace(gaussians, **tensors))
