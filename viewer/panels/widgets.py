"""Setting widgets from the program."""

from __future__ import annotations

from typing import Any


def assign(handle: Any, value: object) -> None:
    """Sets a widget's value only if it differs, because assigning calls the widget's own callbacks."""
    if handle.value != value:
        handle.value = value
