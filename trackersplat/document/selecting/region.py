"""A box or a sphere in the world, at one frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from trackersplat.document.region import Region, parse_region
from trackersplat.document.scene_edit import SceneArguments
from trackersplat.document.seen_scene import SeenScene
from trackersplat.document.selecting.way import Way
from trackersplat.document.selection import Selection


@dataclass(frozen=True)
class InRegion(Way):
    """Gaussians whose centre is inside in this frame."""

    kind = "region"
    region: Region
    frame: int

    @classmethod
    def parse(cls, arguments: SceneArguments) -> InRegion:
        return cls(parse_region(arguments), arguments.frame())

    def to_json(self) -> dict[str, Any]:
        return {**self.region.to_json(), "frame": self.frame + 1}

    def select(self, scene: SeenScene) -> Selection:
        return scene.chosen(self.frame, self.region.contains(scene.gaussians(self.frame).means).numpy())
