"""Words for the labels of edits."""

from __future__ import annotations

from collections.abc import Sequence


def track_words(ids: Sequence[int]) -> str:
    """ "track 12", "3 tracks"."""
    return f"track {ids[0]}" if len(ids) == 1 else f"{len(ids):,} tracks"
