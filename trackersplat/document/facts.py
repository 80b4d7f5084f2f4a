"""What is known about kinds of edits and ways of selecting before their code is imported."""

from __future__ import annotations

from dataclasses import dataclass

from trackersplat.registry import Facts

REGION = '"shape": "box" "center": [X, Y, Z] "size": [A, B, C] ["rotation": [W, X, Y, Z]] or "shape": "sphere" "center" "radius"'


@dataclass(frozen=True)
class KindFacts(Facts):
    """``load`` names a frozen dataclass that is a `scene_edit.SceneEdit` or a `selecting.way.Way`."""

    arguments: str = ""  # as JSON takes them, for people
