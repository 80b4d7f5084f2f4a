"""``trackersplat edits``: the edits of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from trackersplat.errors import InputError

if TYPE_CHECKING:
    from trackersplat.store.run import Run


@dataclass(frozen=True)
class Edits:
    """List the edits of a run, add one, undo or redo one. Frames that they make stale: `reconstruct --redo stale`."""

    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """A run folder made by `trackersplat reconstruct`."""
    add: Annotated[tuple[str, ...], tyro.conf.arg(metavar="KIND KEY=VALUE")] = ()
    """Add an edit, for example: --add drop_view camera=cam03 frames=5:9. Frames are counted from 1."""
    undo: bool = False
    """Take back the last edit that is in effect."""
    redo: bool = False
    """Put the edit that was undone last into effect again."""
    kinds: bool = False
    """List the kinds of edits and their arguments."""

    def run(self) -> None:
        from trackersplat.commands.terminal import print_edit_kinds, print_edits
        from trackersplat.edits.log import EditLog, change_log
        from trackersplat.store.run import Run

        if bool(self.add) + self.undo + self.redo + self.kinds > 1:
            raise InputError("--add, --undo, --redo and --kinds exclude each other: give one at a time.")
        run = Run.open(self.folder)
        if self.kinds:
            print_edit_kinds()
            return
        if self.add:
            self._add(run)
        elif self.undo or self.redo:
            change_log(run.path, EditLog.undone if self.undo else EditLog.redone)
        print_edits(run)

    def _add(self, run: Run) -> None:
        from trackersplat.jobs.edits import add_edit, edit_of

        kind, *pairs = self.add
        values = {}
        for pair in pairs:
            name, equals, value = pair.partition("=")
            if not equals or name in values:
                raise InputError(f"--add {kind}: {pair[:40]!r} is not understood, expected KEY=VALUE, each key once.")
            values[name] = value
        add_edit(run, edit_of(run, kind, values))
