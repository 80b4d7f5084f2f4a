"""What is known about kinds of edits and ways of selecting before their code is imported."""

from __future__ import annotations

from dataclasses import dataclass

from trackersplat.registry import Facts


@dataclass(frozen=True)
class SceneEditFacts(Facts):
    """Facts about a kind of edit. ``load`` names a frozen dataclass that is a `scene_edit.SceneEdit`."""

    arguments: str = ""  # as JSON takes them, for people


@dataclass(frozen=True)
class WayFacts(Facts):
    """Facts about a way of selecting. ``load`` names a frozen dataclass that is a `selecting.way.Way`."""

    arguments: str = ""  # as JSON takes them, for people
