"""Attributes of Gaussians by name: what histograms show and ranges select."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from trackersplat.document.seen_scene import SeenScene
from trackersplat.registry import Facts, Registry


@dataclass(frozen=True)
class AttributeFacts(Facts):
    """Facts about an attribute. ``load`` names a function of a `SeenScene` and a frame that gives (N,) float values, nan: unknown."""

    unit: str = ""
    cyclic: bool = False  # whether its largest value is next to 0
    rendered: bool = False  # whether every camera is rendered to find it, which takes a moment
    photographs: bool = False  # whether it needs the capture


_HERE = "trackersplat.document.attribute_values"

ATTRIBUTES: Registry[AttributeFacts] = Registry(
    "attribute",
    (
        AttributeFacts("opacity", "opacity at the centre, 0 to 1", f"{_HERE}:opacity"),
        AttributeFacts("size", "largest standard deviation", f"{_HERE}:size", unit="scene units"),
        AttributeFacts("anisotropy", "largest over smallest standard deviation", f"{_HERE}:anisotropy"),
        AttributeFacts("red", "red without what depends on direction", f"{_HERE}:red"),
        AttributeFacts("green", "green without what depends on direction", f"{_HERE}:green"),
        AttributeFacts("blue", "blue without what depends on direction", f"{_HERE}:blue"),
        AttributeFacts("luminance", "brightness of that colour (Rec. 709)", f"{_HERE}:luminance"),
        AttributeFacts("hue", "hue of that colour", f"{_HERE}:hue", unit="degrees", cyclic=True),
        AttributeFacts("saturation", "saturation of that colour (HSV)", f"{_HERE}:saturation"),
        AttributeFacts("motion", "distance from its place in the frame before", f"{_HERE}:motion", unit="scene units"),
        AttributeFacts("age", "frames since it is there", f"{_HERE}:age", unit="frames"),
        AttributeFacts("flicker", "largest change of what it adds to a pixel from a frame to the next", f"{_HERE}:flicker"),
        AttributeFacts("views", "effective number of cameras that show it", f"{_HERE}:views", rendered=True),
        AttributeFacts("weight", "pixels that it makes, over all cameras", f"{_HERE}:weight", unit="px", rendered=True),
        AttributeFacts(
            "error", "colour difference of the pixels that show it", f"{_HERE}:error", unit="of 255", rendered=True, photographs=True
        ),
    ),
)


def values_of(name: str, scene: SeenScene, frame: int) -> np.ndarray:
    """(N,) float32 of what is shown of a frame; kept. Raises InputError if there is no such attribute, or something it needs is missing."""
    find: Callable[[SeenScene, int], np.ndarray] = ATTRIBUTES.load(name)
    return scene.kept(f"attribute {name}", frame, lambda: np.ascontiguousarray(find(scene, frame), dtype=np.float32))
