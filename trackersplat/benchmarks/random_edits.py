"""Random edits of a scene with random undo and redo, compared with what is left of them done anew."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from trackersplat.document.document import Document
from trackersplat.document.kinds.clip import Retime, Trim
from trackersplat.document.kinds.crop import Crop
from trackersplat.document.kinds.delete import Delete, Restore
from trackersplat.document.kinds.freeze import Freeze
from trackersplat.document.kinds.groups import CreateGroup, DissolveGroup, RenameGroup
from trackersplat.document.kinds.hide import Hide, Show
from trackersplat.document.kinds.look import Opacity, Tint
from trackersplat.document.kinds.transform import Transform
from trackersplat.document.region import Sphere
from trackersplat.document.scene_edit import SceneEdit, Target
from trackersplat.document.selection import Selection
from trackersplat.edits.frame_range import FrameRange
from trackersplat.errors import InputError
from trackersplat.gaussians.gaussians import Gaussians

_NAMES = tuple(f"group {letter}" for letter in "abcdef")


class RandomEdits:
    """Draws edits that mostly fit a document; those that do not are refused by it."""

    def __init__(self, document: Document, seed: int) -> None:
        self._random = random.Random(seed)
        self._frames = document.run.frames()
        self._ids = np.unique(np.concatenate([document.original_ids(frame) for frame in self._frames]))

    def draw(self) -> SceneEdit:
        pick = self._random
        name, frames = pick.choice(_NAMES), self._range()
        target = Target.of(name) if pick.random() < 0.3 else Target.of(self._selection())
        scale = pick.choice((1.0, 0.5, 2.0))
        turn = pick.choice(((1.0, 0.0, 0.0, 0.0), (0.6, 0.0, 0.8, 0.0)))
        makers: tuple[Callable[[], SceneEdit], ...] = (
            lambda: Hide(target, frames),
            lambda: Show(target, frames),
            lambda: Delete(target, frames),
            lambda: Restore(target, frames),
            lambda: Crop(Sphere((pick.gauss(0, 0.2), 0.0, 0.7), pick.uniform(0.8, 3.0)), pick.choice(("inside", "outside")), frames),
            lambda: CreateGroup(name, self._selection()),
            lambda: RenameGroup(name, pick.choice(_NAMES)),
            lambda: DissolveGroup(name),
            lambda: Freeze(target, frames, at=pick.choice(self._frames)),
            lambda: Tint(target, frames, colour=(pick.random(), pick.random(), pick.random()), strength=pick.random()),
            lambda: Opacity(target, frames, factor=pick.uniform(0.2, 2.0)),
            lambda: Transform(target, frames, translation=(pick.gauss(0, 0.1), 0.0, 0.1), rotation=turn, scale=scale),
            lambda: Trim(frames),
            lambda: Retime(pick.choice((0.5, 1.5, 2.0)), pick.random() < 0.5),
        )
        return pick.choice(makers)()

    def step(self, document: Document) -> bool:
        """Draws an edit, undo, redo or a jump in the history, and does it. Whether the document took it."""
        pick, history = self._random, document.history
        chance = pick.random()
        try:
            if chance < 0.12:
                document.undo(pick.randint(1, 3))
            elif chance < 0.24:
                document.redo(pick.randint(1, 3))
            elif chance < 0.3:
                document.go_to(pick.randint(max(history.position - 6, 0), len(history.entries)))
            else:
                document.do(self.draw())
        except InputError:
            return False
        return True

    def _range(self) -> FrameRange:
        first = self._random.choice(self._frames)
        last = self._random.choice([frame for frame in self._frames if frame >= first])
        return FrameRange(first, self._random.choice((last, None)))

    def _selection(self) -> Selection:
        return Selection.of(np.array(self._random.sample(self._ids.tolist(), self._random.randint(1, min(80, len(self._ids))))))


@dataclass
class Comparison:
    """What random steps gave. ``different``: in words, empty if all is the same."""

    done: int = 0
    refused: int = 0
    left: int = 0  # edits in effect in the end
    compared: int = 0  # times
    different: list[str] = field(default_factory=list)

    def sentence(self) -> str:
        return (
            f"{self.done} steps done, {self.refused} refused, {self.left} edits left in effect, compared {self.compared} times with those "
            f"done anew: {len(self.different)} differences"
        )


def compare_with_replay(run: Path, again: Callable[[int], Path], steps: int, seed: int, every: int) -> Comparison:
    """Does ``steps`` random steps in the document of a run. After each ``every`` of them, and in the end, the document, the same one
    opened from its files, and what is left of the edits done anew in another copy of the run must be the same, bit for bit.

    ``again``: number -> the folder of a fresh copy of the run without a document.
    """
    document, found = Document.open(run), Comparison()
    edits = RandomEdits(document, seed)
    for step in range(steps):
        if edits.step(document):
            found.done += 1
        else:
            found.refused += 1
        if (step + 1) % every == 0 or step + 1 == steps:
            anew = Document.open(again(found.compared))
            for entry in document.history.active:
                anew.do(entry.edit)
            for name, other in (("reopened", Document.open(run)), ("done anew", anew)):
                found.different += [f"step {step + 1}, {name}: {text}" for text in differences(document, other)]
            found.compared += 1
    found.left = document.history.position
    return found


def differences(first: Document, second: Document) -> Sequence[str]:
    """In what two documents of equal runs differ, in words."""
    found = []
    if first.frames != second.frames:
        found.append("frames of the clip")
    if {n: g.selection for n, g in first.groups.items()} != {n: g.selection for n, g in second.groups.items()}:
        found.append("groups")
    for frame in first.run.frames():
        if not np.array_equal(first.ids(frame), second.ids(frame)):
            found.append(f"ids of frame {frame + 1}")
        elif not same_gaussians(first.gaussians(frame), second.gaussians(frame)):
            found.append(f"Gaussians of frame {frame + 1}")
    return found


def same_gaussians(first: Gaussians, second: Gaussians) -> bool:
    """Bit for bit."""
    return len(first) == len(second) and all(torch.equal(tensor, second.tensors()[name]) for name, tensor in first.tensors().items())
