"""``trackersplat edit``: the document of a run, edits of the scene over its frames."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from trackersplat.errors import InputError

_LARGEST_FILE = 64 << 20  # bytes of a list of edits


@dataclass(frozen=True)
class EditScene:
    """Edit the scene of a run through time: select, hide, delete, crop, group, move, trim. The run's frames are not changed.

    To mend its tracks instead, see `trackersplat edits`.
    """

    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """A run folder made by `trackersplat reconstruct`."""
    apply: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Do the edits of a JSON file, a list, all or none: [{"edit": "delete", "selection": {...}}, ...]. docs/editing.md has examples."""
    undo: Annotated[int, tyro.conf.arg(metavar="N")] = 0
    """Take the last N edits back."""
    redo: Annotated[int, tyro.conf.arg(metavar="N")] = 0
    """Put N edits that were undone into effect again."""
    list: bool = False
    """List the edits; without another option this is done, too."""
    kinds: bool = False
    """List the kinds of edits, the ways of selecting and the attributes, with their arguments."""
    capture: str | None = None
    """The capture of the run, where a selection needs photographs (error), or the run does not name its cameras."""

    def run(self) -> None:
        from trackersplat.captures.registry import open_capture
        from trackersplat.commands.edit_report import print_document, print_scene_kinds
        from trackersplat.document.document import Document

        if self.undo < 0 or self.redo < 0:
            raise InputError("--undo and --redo take a number of edits, 1 or more.")
        if (self.apply is not None) + bool(self.undo) + bool(self.redo) + self.kinds > 1:
            raise InputError("--apply, --undo, --redo and --kinds exclude each other: give one at a time.")
        if self.kinds:
            print_scene_kinds()
            return
        capture = None if self.capture is None else open_capture(self.capture)
        document = Document.open(self.folder, capture=capture)
        if self.apply is not None:
            document.apply(_read_list(self.apply))
        elif self.undo:
            document.undo(self.undo)
        elif self.redo:
            document.redo(self.redo)
        print_document(document)


def _read_list(path: Path) -> list[object]:
    import json

    from trackersplat.files import read_text

    text = read_text(path, _LARGEST_FILE)
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not valid JSON ({error}): expected a list of edits.") from error
    if not isinstance(data, list) or not data:
        raise InputError(f"{path} must hold a JSON list of edits, at least one; docs/editing.md has examples.")
    return data
