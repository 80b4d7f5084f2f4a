"""One history of all that was done to a run: the edits of its tracks and those of the scene, in the order in which they were made.

The two are kept in two files, as the method reads only the first. For people there is one undo: it takes back what was done last.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from trackersplat.errors import InputError

if TYPE_CHECKING:
    from trackersplat.edits.log import Entry
    from viewer.document import Document

Of = Literal["tracks", "scene"]


@dataclass(frozen=True)
class Step:
    """Something that was done, or was undone and can be done again."""

    of: Of
    label: str
    time: datetime
    done: bool  # in effect


def steps(document: Document) -> tuple[Step, ...]:
    """All of them, the oldest first."""
    log = document.edits.log
    found = [Step("tracks", named(document, entry), _time(entry.time), index < log.position) for index, entry in enumerate(log.entries)]
    scene = document.editing.current()
    if scene is not None:
        history = scene.history
        found += [Step("scene", entry.label, _time(entry.time), index < history.position) for index, entry in enumerate(history.entries)]
    return tuple(sorted(found, key=lambda step: step.time))  # of one time: those of tracks first, each kind in its own order


def next_undo(document: Document) -> Step | None:
    return next((step for step in reversed(steps(document)) if step.done), None)


def next_redo(document: Document) -> Step | None:
    return next((step for step in steps(document) if not step.done), None)


def undo(document: Document) -> None:
    """Raises InputError if there is nothing to undo."""
    step = next_undo(document)
    if step is None:
        raise InputError("There is no edit to undo.")
    if step.of == "tracks":
        document.edits.undo()
    else:
        document.editing.document().undo()
        document.editing.announce()


def redo(document: Document) -> None:
    """Raises InputError if nothing is undone."""
    step = next_redo(document)
    if step is None:
        raise InputError("There is no undone edit to redo.")
    if step.of == "tracks":
        document.edits.redo()
    else:
        document.editing.document().redo()
        document.editing.announce()


def go_to(document: Document, count: int) -> None:
    """So that the first ``count`` steps are in effect, and no others. Raises InputError if there are not so many."""
    known = steps(document)
    if not 0 <= count <= len(known):
        raise InputError(f"There are {len(known)} edits, {count} cannot be in effect.")
    scene = sum(step.of == "scene" for step in known[:count])
    tracks = count - scene
    while document.edits.log.position > tracks:
        document.edits.undo()
    while document.edits.log.position < tracks:
        document.edits.redo()
    current = document.editing.current()
    if current is not None and current.history.position != scene:
        current.go_to(scene)
        document.editing.announce()


def named(document: Document, entry: Entry) -> str:
    """Its label, with the names by which the page calls the tracks."""
    tracks, label = document.tracks(), entry.label
    if tracks is None:
        return label
    identities = entry.edit.named_tracks[1]
    row = tracks.row_of.get(identities[0]) if len(identities) == 1 else None  # labels of several say how many
    if row is not None:
        label = re.sub(rf"(?<!\d){identities[0]}(?!\d)", tracks.names[row], label, count=1)  # other numbers may be the same
    return label


def _time(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo is not None else found.astimezone()
