"""Named groups: the person, the table, the background."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from trackersplat.document.scene_edit import Clip, Group, SceneArguments, SceneEdit, stored
from trackersplat.document.selection import Selection
from trackersplat.errors import InputError

MOST_GROUPS = 1000  # a bound for lists of them
LONGEST_NAME = 80  # characters


def _free(clip: Clip, name: str) -> None:
    if name in clip.groups:
        raise InputError(f"There is a group named {name!r} already: choose another name.")
    if len(clip.groups) >= MOST_GROUPS:
        raise InputError(f"There are {MOST_GROUPS:,} groups, and no more can be made: dissolve some.")


def _name(arguments: SceneArguments, key: str) -> str:
    found = arguments.text(key)
    if len(found) > LONGEST_NAME or found != found.strip():
        raise InputError(f"{found[:40]!r} is no name for a group: expected at most {LONGEST_NAME} characters, no space at either end.")
    return found


@dataclass(frozen=True)
class CreateGroup(SceneEdit):
    """A Gaussian may be in several groups."""

    kind = "create_group"
    changes_scene = False
    name: str
    selection: Selection

    @classmethod
    def parse(cls, arguments: SceneArguments) -> CreateGroup:
        return cls(_name(arguments, "name"), arguments.selection())

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "selection": stored(self.selection)}

    @property
    def label(self) -> str:
        return f"Create the group {self.name} of {self.selection.words}"

    @property
    def selections(self) -> tuple[Selection, ...]:
        return (self.selection,)

    def with_selections(self, change: Callable[[Selection], Selection]) -> CreateGroup:
        return replace(self, selection=change(self.selection))

    def on_clip(self, clip: Clip) -> Clip:
        _free(clip, self.name)
        return replace(clip, groups={**clip.groups, self.name: Group(self.name, self.selection)})


@dataclass(frozen=True)
class RenameGroup(SceneEdit):
    kind = "rename_group"
    changes_scene = False
    group: str
    name: str

    @classmethod
    def parse(cls, arguments: SceneArguments) -> RenameGroup:
        return cls(arguments.text("group"), _name(arguments, "name"))

    def to_json(self) -> dict[str, Any]:
        return {"group": self.group, "name": self.name}

    @property
    def label(self) -> str:
        return f"Rename the group {self.group} to {self.name}"

    def on_clip(self, clip: Clip) -> Clip:
        group = clip.group(self.group)
        _free(clip, self.name)
        groups = {(self.name if name == self.group else name): each for name, each in clip.groups.items()}
        return replace(clip, groups={**groups, self.name: replace(group, name=self.name)})


@dataclass(frozen=True)
class DissolveGroup(SceneEdit):
    """The Gaussians stay, with all that was done to them."""

    kind = "dissolve_group"
    changes_scene = False
    group: str

    @classmethod
    def parse(cls, arguments: SceneArguments) -> DissolveGroup:
        return cls(arguments.text("group"))

    def to_json(self) -> dict[str, Any]:
        return {"group": self.group}

    @property
    def label(self) -> str:
        return f"Dissolve the group {self.group}"

    def on_clip(self, clip: Clip) -> Clip:
        clip.group(self.group)
        return replace(clip, groups={name: each for name, each in clip.groups.items() if name != self.group})
