"""Boxes and spheres in the world."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from trackersplat.document.scene_edit import FARTHEST, SceneArguments
from trackersplat.errors import InputError
from trackersplat.geometry.quaternions import quaternion_to_matrix

SMALLEST = 1e-9  # scene units, of a side or a radius

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Region(ABC):
    shape: ClassVar[str]
    center: Vector  # world

    @abstractmethod
    def contains(self, points: Tensor) -> Tensor:
        """(N,) bool: which of the ``points`` (N, 3) are inside."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """As `parse_region` reads it."""

    @property
    @abstractmethod
    def words(self) -> str: ...


@dataclass(frozen=True)
class Box(Region):
    shape = "box"
    size: Vector = (1.0, 1.0, 1.0)  # whole lengths of the sides
    rotation: tuple[float, float, float, float] = (1.0, 0.0, 0.0, 0.0)  # wxyz, from the box to the world

    def contains(self, points: Tensor) -> Tensor:
        axes = quaternion_to_matrix(points.new_tensor(self.rotation))
        return (((points - points.new_tensor(self.center)) @ axes).abs() <= 0.5 * points.new_tensor(self.size)).all(-1)

    def to_json(self) -> dict[str, Any]:
        return {"shape": self.shape, "center": list(self.center), "size": list(self.size), "rotation": list(self.rotation)}

    @property
    def words(self) -> str:
        return "a box of " + " x ".join(f"{side:g}" for side in self.size)


@dataclass(frozen=True)
class Sphere(Region):
    shape = "sphere"
    radius: float = 1.0

    def contains(self, points: Tensor) -> Tensor:
        return (points - points.new_tensor(self.center)).square().sum(-1) <= self.radius**2

    def to_json(self) -> dict[str, Any]:
        return {"shape": self.shape, "center": list(self.center), "radius": self.radius}

    @property
    def words(self) -> str:
        return f"a sphere of radius {self.radius:g}"


def parse_region(arguments: SceneArguments, shape: str | None = None) -> Region:
    """``{"shape": "box", "center", "size", "rotation"}`` or ``{"shape": "sphere", "center", "radius"}``; ``shape`` if it is given already.

    Raises InputError if it is neither.
    """
    shape = shape or arguments.choice("shape", (Box.shape, Sphere.shape), Box.shape)
    x, y, z = arguments.numbers("center", 3, -FARTHEST, FARTHEST)
    if shape == Sphere.shape:
        return Sphere((x, y, z), arguments.number("radius", SMALLEST, FARTHEST))
    a, b, c = arguments.numbers("size", 3, SMALLEST, FARTHEST)
    return Box((x, y, z), (a, b, c), parse_rotation(arguments))


def parse_rotation(arguments: SceneArguments) -> tuple[float, float, float, float]:
    """A unit quaternion wxyz; none: no rotation. Raises InputError if all four numbers are 0."""
    if not arguments.has("rotation"):
        return 1.0, 0.0, 0.0, 0.0
    w, x, y, z = arguments.numbers("rotation", 4, -1e6, 1e6)
    length = (w * w + x * x + y * y + z * z) ** 0.5
    if length < 1e-6:
        raise InputError("A rotation is a quaternion w, x, y, z that is not 0.")
    return w / length, x / length, y / length, z / length
