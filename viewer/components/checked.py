"""What pages send is checked before it is used: anything may come over a socket."""

from __future__ import annotations

from typing import Any


def whole(arguments: Any, name: str, below: int) -> int | None:
    """The whole number of that name if it is in [0, below), else None."""
    value = arguments.get(name) if isinstance(arguments, dict) else None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < below:
        return None
    return value


def whole_numbers(arguments: Any, name: str, most: int) -> list[int] | None:
    """The list of whole numbers of that name, at most ``most`` of them, else None."""
    values = arguments.get(name) if isinstance(arguments, dict) else None
    if not isinstance(values, list) or len(values) > most:
        return None
    if any(isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 63 for value in values):
        return None
    return values
