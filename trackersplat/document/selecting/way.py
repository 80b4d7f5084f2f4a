"""What a way of selecting is: a frozen record of what a person did, that gives a selection when it is asked of a scene."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from trackersplat.document.scene_edit import SceneArguments
from trackersplat.document.seen_scene import SeenScene
from trackersplat.document.selection import Selection


@dataclass(frozen=True)
class Way(ABC):
    """One way of selecting with its arguments. Frames are indices of the run's frames, from 0; files and options count from 1."""

    kind: ClassVar[str]

    @classmethod
    @abstractmethod
    def parse(cls, arguments: SceneArguments) -> Way:
        """Raises InputError if an argument is missing or wrong."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """The arguments, as `parse` reads them."""

    @abstractmethod
    def select(self, scene: SeenScene) -> Selection:
        """What is hidden or deleted is never selected. Raises InputError if the scene lacks what it names."""
