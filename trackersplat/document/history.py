"""What was done to a document, in order."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property

from trackersplat.document.scene_edit import SceneEdit
from trackersplat.edits import history


@dataclass(frozen=True)
class Entry:
    """One edit, when it was made, and what it is in words."""

    edit: SceneEdit
    time: str  # ISO 8601, with the offset to UTC
    label: str
    marks: int = 0  # how many birth marks of the log were written before it (`births.BirthMarks`)

    @cached_property
    def token(self) -> str:
        """A hash of what it does: the same for the same edit made twice."""
        return hashlib.sha256(json.dumps([self.edit.kind, self.edit.to_json(), self.marks], sort_keys=True).encode()).hexdigest()[:16]


History = history.History[Entry]
