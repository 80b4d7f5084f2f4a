"""What an edit of the scene is: a frozen record of what is changed, that acts on the Gaussians of one frame at a time.

Not to be confused with the edits of tracks (`trackersplat.edits`), which the method reads when it makes frames. These here lie over the
finished frames and change no file of the run.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Protocol

import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.document.camera_json import camera_from_json
from trackersplat.document.selection import Selection
from trackersplat.edits.arguments import Arguments
from trackersplat.edits.frame_range import ALL_FRAMES, FrameRange
from trackersplat.errors import InputError
from trackersplat.gaussians.gaussians import Gaussians

FARTHEST = 1e9  # scene units, of anything that is given in numbers
MOST_OPERANDS = 100  # selections that are combined at once

# Reads what stands for a selection in an edit that is given as JSON: a stored one, ids, or a way of selecting.
ReadSelection = Callable[[Any], Selection]


@dataclass(frozen=True, eq=False)
class FrameState:
    """The Gaussians of one frame while edits are applied to it. Those that are hidden or deleted are still here, to be shown again."""

    frame: int  # index in the run
    ids: np.ndarray  # (N,) int64 lineage ids
    gaussians: Gaussians  # N
    hidden: np.ndarray  # (N,) bool
    deleted: np.ndarray  # (N,) bool

    @property
    def shown(self) -> np.ndarray:
        """(N,) bool."""
        return ~(self.hidden | self.deleted)

    def marked(self, name: Literal["hidden", "deleted"], rows: np.ndarray, value: bool) -> FrameState:
        """With this mark set to ``value`` in these rows."""
        mask = getattr(self, name).copy()
        mask[rows] = value
        return replace(self, **{name: mask})


@dataclass(frozen=True)
class Group:
    """Gaussians with a name."""

    name: str
    selection: Selection


@dataclass(frozen=True)
class Clip:
    """What the edits say about the document as a whole."""

    frames: tuple[int, ...]  # indices of frames in the run, in the order in which they are played; one may be there twice
    groups: Mapping[str, Group]

    def group(self, name: str) -> Group:
        """Raises InputError if there is none of this name."""
        if name not in self.groups:
            known = f"; there are {', '.join(self.groups)}" if self.groups else ": create it first"
            raise InputError(f"There is no group named {name!r}{known}.")
        return self.groups[name]


class EditScene(Protocol):
    """What an edit may ask when it is applied to a frame: the document before it."""

    @property
    def clip(self) -> Clip: ...

    def state(self, frame: int) -> FrameState:
        """Another frame of the run. Raises InputError if it is not there."""
        ...


@dataclass(frozen=True)
class Target:
    """What an edit acts on: a selection, or the group of that name as it is when the edit is made."""

    selection: Selection | None = None
    group: str | None = None

    def __post_init__(self) -> None:
        if (self.selection is None) == (self.group is None):
            raise InputError("An edit acts on a selection or on a group: give one of the two.")

    @staticmethod
    def of(what: Selection | str) -> Target:
        return Target(group=what) if isinstance(what, str) else Target(selection=what)

    @staticmethod
    def parse(arguments: SceneArguments) -> Target:
        return Target(group=arguments.text("group")) if arguments.has("group") else Target(selection=arguments.selection())

    def to_json(self) -> dict[str, Any]:
        return {"group": self.group} if self.selection is None else {"selection": stored(self.selection)}

    def within(self, clip: Clip) -> Selection:
        """Raises InputError if there is no such group."""
        return self.selection if self.selection is not None else clip.group(str(self.group)).selection

    @property
    def words(self) -> str:
        return f"the group {self.group}" if self.selection is None else self.selection.words


def stored(selection: Selection) -> dict[str, Any]:
    """How an edit names a selection that is kept in a file of its own."""
    return {"stored": selection.key, "count": len(selection)}


def listed(selection: Selection) -> dict[str, Any]:
    """A selection with all its ids."""
    return {"ids": selection.ids.tolist()}


class SceneArguments(Arguments):
    """The named values of one edit, with what is selected."""

    def __init__(self, kind: str, values: Mapping[str, Any], read_selection: ReadSelection) -> None:
        super().__init__(kind, values)
        self._read_selection = read_selection

    def selection(self, name: str = "selection", *, may_be_empty: bool = False) -> Selection:
        """Raises InputError if it is missing, not understood, or holds nothing."""
        if not self.has(name):
            raise InputError(f"{self._kind} needs the argument {name}: expected a way of selecting, ids, or a group.")
        found = self._read_selection(self._values[name])
        if not len(found) and not may_be_empty:
            raise InputError(f"{self._kind}: nothing is selected, so there is nothing to do: select something else.")
        return found

    def selections(self, name: str) -> tuple[Selection, ...]:
        """A list of selections, at least one; each may hold nothing."""
        listed = self._value(name, "a list of selections", _listed)
        return tuple(map(self._read_selection, listed))

    def camera(self, name: str = "camera") -> str | Camera:
        """The name of a camera, or one of its own: ``{"width", "height", "K", "world_to_camera"}``."""
        if not self.has(name) or isinstance(self._values[name], str):
            return self.text(name)
        return self._value(name, 'a name, or {"width", "height", "K", "world_to_camera"}', camera_from_json)

    def range(self) -> FrameRange:
        """The frames that the edit acts in; all, if it does not say."""
        return self.frames("frames") if self.has("frames") else ALL_FRAMES


def _listed(value: Any) -> list[Any]:
    if not isinstance(value, list) or not 0 < len(value) <= MOST_OPERANDS:
        raise ValueError
    return value


@dataclass(frozen=True)
class SceneEdit(ABC):
    """One kind of edit with its arguments. Frames are indices of the run's frames, from 0; files and options count from 1.

    What a kind has nothing to say about keeps the answer of this class.
    """

    kind: ClassVar[str]
    changes_scene: ClassVar[bool] = True  # whether what is shown may be otherwise; False: it only names something

    @classmethod
    @abstractmethod
    def parse(cls, arguments: SceneArguments) -> SceneEdit:
        """Raises InputError if an argument is missing or wrong."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """The arguments, as `parse` reads them; selections by name (`stored`)."""

    @property
    @abstractmethod
    def label(self) -> str:
        """What it does, in words: "Delete 1,204 Gaussians in frames 10-30"."""

    @property
    def selections(self) -> tuple[Selection, ...]:
        """What it names by ids."""
        return ()

    @property
    def named_frames(self) -> FrameRange | None:
        """The frames that it names; None if it names none."""
        return None

    def with_selections(self, change: Callable[[Selection], Selection]) -> SceneEdit:
        """The same edit of other ids. What is selected may be nothing then."""
        return self

    def on_clip(self, clip: Clip) -> Clip:
        """The document as a whole after this edit. Raises InputError if the edit does not fit it."""
        return clip

    def on_frame(self, state: FrameState, scene: EditScene) -> FrameState:
        """The Gaussians of one frame after this edit."""
        return state

    def deletes(self, frame: int, clip: Clip) -> Selection | None:
        """What it deletes from this frame on, for all later frames: reconstruction leaves it out. None: it does not delete so."""
        return None

    def restores(self, frame: int, clip: Clip) -> Selection | None:
        """What it restores in this frame or a later one: reconstruction does not leave it out. None: it restores nothing there."""
        return None


@dataclass(frozen=True)
class TargetEdit(SceneEdit):
    """An edit of some Gaussians in some frames: all, a range, or from one on."""

    target: Target
    frames: FrameRange = ALL_FRAMES

    @property
    def selections(self) -> tuple[Selection, ...]:
        return () if self.target.selection is None else (self.target.selection,)

    @property
    def named_frames(self) -> FrameRange | None:
        return self.frames

    def with_selections(self, change: Callable[[Selection], Selection]) -> TargetEdit:
        return self if self.target.selection is None else replace(self, target=Target(change(self.target.selection)))

    def on_clip(self, clip: Clip) -> Clip:
        self.target.within(clip)
        return clip

    def on_frame(self, state: FrameState, scene: EditScene) -> FrameState:
        if state.frame not in self.frames:
            return state
        rows = self.target.within(scene.clip).rows(state.ids)
        return self.on_rows(state, rows, scene) if len(rows) else state

    @abstractmethod
    def on_rows(self, state: FrameState, rows: np.ndarray, scene: EditScene) -> FrameState:
        """The frame after this edit. ``rows`` (K,): those of the target, at least one."""

    def to_json(self) -> dict[str, Any]:
        return {**self.target.to_json(), "frames": str(self.frames)}

    @property
    def where(self) -> str:
        """ "1,204 Gaussians in frames 10-30"."""
        return f"{self.target.words} in {self.frames.words}"
