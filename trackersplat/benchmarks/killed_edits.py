"""Processes that edit a document and are killed (SIGKILL): no confirmed edit may be lost, none half applied."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sys
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from trackersplat.document.document import Document
from trackersplat.document.kinds.hide import Hide
from trackersplat.document.log_file import read_lines
from trackersplat.document.scene_edit import Target
from trackersplat.document.selection import Selection

_OPERATIONS = {"open", "os.rename", "os.remove", "os.mkdir", "os.truncate"}  # Python's audit events before which a process kills itself
_MOST_EDITS = 8  # of a process that is not killed before


@dataclass
class KilledEdits:
    """What was found after kills."""

    kills: int = 0
    confirmed: int = 0  # edits
    incomplete: int = 0  # kills that left an incomplete line
    lost: list[str] = field(default_factory=list)
    half: list[str] = field(default_factory=list)

    def sentence(self) -> str:
        return (
            f"{self.kills} kills, {self.confirmed:,} confirmed edits, {self.incomplete} lines left incomplete: "
            f"{len(self.lost)} edits lost, {len(self.half)} half applied"
        )


def kill_editors(run: Path, kills: int, seed: int) -> KilledEdits:
    """Kills so many processes that edit the document of a run, one after the other, each at a random moment: before a random operation on
    files, or in the middle of writing a line. After each, the document must hold all edits that were confirmed, at most one more, and every
    edit whole: with all that it selects. Raises RuntimeError if such a process fails.
    """
    pick, found = random.Random(seed), KilledEdits()
    processes = multiprocessing.get_context("fork")
    while found.kills < kills:
        before = len(Document.open(run).history.entries)
        ours, theirs = processes.Pipe(duplex=False)
        moment = ("operation", pick.randint(1, 40)) if pick.random() < 0.7 else ("line", pick.randint(1, 6))
        process = processes.Process(target=_edit, args=(run, theirs, before, moment, pick.random()))
        process.start()
        theirs.close()
        said = _said(ours)
        process.join()
        confirmed = before + said
        found.confirmed += said
        if process.exitcode == 0:
            continue  # it was done before its moment came
        if process.exitcode != -signal.SIGKILL:
            raise RuntimeError(f"a process that edits ended with {process.exitcode} after {said} edits; its error is above")
        found.kills += 1
        _check(run, confirmed, found)
    return found


def _said(connection: Connection) -> int:
    """How many edits a process confirms until it ends."""
    count = 0
    try:
        while connection.recv():
            count += 1
    except EOFError:
        return count
    return count


def _check(run: Path, confirmed: int, found: KilledEdits) -> None:
    document = Document.open(run)
    found.incomplete += read_lines(run / "document" / "history.jsonl").broken
    count = len(document.history.entries)
    if not confirmed <= count <= confirmed + 1:
        found.lost.append(f"{confirmed} edits were confirmed, {count} are there")
    for index, entry in enumerate(document.history.entries):
        if entry.edit.selections != (_selection(index),):
            found.half.append(f"edit {index + 1} selects {[len(each) for each in entry.edit.selections]}")


def _selection(index: int) -> Selection:
    """What the edit of this number selects: large enough for a file of some size."""
    return Selection.of(np.flatnonzero(np.random.default_rng(index).random(4000) < 0.5))


def _edit(run: Path, confirm: Connection, number: int, moment: tuple[str, int], part: float) -> None:
    """Does edits until it is killed: before the n-th operation on files, or when ``part`` of the n-th line is written."""
    kind, left = moment
    document = Document.open(run)

    def before_operation(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        if event in _OPERATIONS:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def write_and_die(path: Path, end: int, entry: dict[str, object]) -> int:
        nonlocal left
        left -= 1
        if left:
            return whole(path, end, entry)
        after = whole(path, end, entry)  # the line, of which only a part gets to the disk
        os.truncate(path, end + max(int(part * (after - end)) - 1, 0))
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError

    if kind == "operation":
        sys.addaudithook(before_operation)
    else:
        from trackersplat.document import log

        whole = log.append_line
        log.append_line = write_and_die
    for index in range(number, number + _MOST_EDITS):
        document.do(Hide(Target.of(_selection(index))))
        confirm.send(True)
