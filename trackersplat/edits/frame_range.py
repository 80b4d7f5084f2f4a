"""Frames from one to another, as an edit names them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from trackersplat.errors import InputError

LAST_FRAME = (1 << 20) - 1  # largest index of a frame: the ids of tracks have 20 bits for it
_TEXT = re.compile(r"(\d{1,9})(?:(:)(\d{1,9})?)?")


@dataclass(frozen=True)
class FrameRange:
    """Indices ``first`` to ``last``, both included; ``last`` None: to the end of the capture."""

    first: int = 0
    last: int | None = None

    def __post_init__(self) -> None:
        """Raises InputError if no frame is in it."""
        if not 0 <= self.first <= LAST_FRAME or (self.last is not None and not self.first <= self.last <= LAST_FRAME):
            end = "" if self.last is None else self.last + 1
            raise InputError(f"Frames {self.first + 1}:{end} are no range: expected A:B with 1 <= A <= B <= {LAST_FRAME + 1}.")

    def __contains__(self, frame: int) -> bool:
        return self.first <= frame and (self.last is None or frame <= self.last)

    def __str__(self) -> str:
        """As `parse` reads it, counted from 1."""
        if self.last is None:
            return "all" if self.first == 0 else f"{self.first + 1}:"
        return str(self.first + 1) if self.first == self.last else f"{self.first + 1}:{self.last + 1}"

    @property
    def words(self) -> str:
        """ "frame 3", "frames 3-7", "all frames", "frames from 3 on"."""
        if self.last is None:
            return "all frames" if self.first == 0 else f"frames from {self.first + 1} on"
        return f"frame {self.first + 1}" if self.first == self.last else f"frames {self.first + 1}-{self.last + 1}"

    @staticmethod
    def parse(text: str) -> FrameRange:
        """``"A:B"``, ``"A"``, ``"A:"`` (from A on) or ``"all"``, counted from 1. Raises InputError if it is none of these."""
        if text == "all":
            return FrameRange()
        match = _TEXT.fullmatch(text)
        if match is None or int(match[1]) < 1:
            raise InputError(f"Frames {text[:40]!r} are not understood: expected A:B (counted from 1), one number, A: or all.")
        first = int(match[1]) - 1
        return FrameRange(first, int(match[3]) - 1 if match[3] else None if match[2] else first)


ALL_FRAMES = FrameRange()
