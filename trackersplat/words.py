"""Words for people."""

from __future__ import annotations


def counted(count: int, noun: str) -> str:
    """ "1 frame", "1,204 frames": of nouns whose plural ends in s."""
    return f"{count:,} {noun}{'s' * (count != 1)}"
