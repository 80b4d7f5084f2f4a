"""The arguments of an edit, as a file or a command line gives them, checked where they are read."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from trackersplat.edits.frame_range import LAST_FRAME, FrameRange
from trackersplat.errors import InputError

if TYPE_CHECKING:
    from typing_extensions import Self

LONGEST_TEXT = 300  # characters
MOST_ITEMS = 10_000  # ids or pixels of one edit
LARGEST_ID = (1 << 53) - 1  # what JSON and JavaScript hold exactly
FARTHEST_PX = float(1 << 17)  # to either side of 0: positions in files reach as far

V = TypeVar("V")


class Arguments:
    """The named values of one edit. Numbers may be given as text, lists as text with commas: ``"12,15"``, pixels ``"10.5,20;30,40"``.

    Every method raises InputError if its value is missing and has no default, or is not what was expected.
    """

    def __init__(self, kind: str, values: Mapping[str, Any]) -> None:
        self._kind = kind
        self._values = dict(values)
        self._read: set[str] = set()

    def parsed(self, parse: Callable[[Self], V]) -> V:
        """What ``parse`` makes of the values. Raises InputError if it does not read one: the kind does not know it."""
        found = parse(self)
        unknown = sorted(str(name) for name in set(self._values) - self._read)
        if unknown:
            known = ", ".join(sorted(self._read))
            raise InputError(f"{self._kind} has no argument {unknown[0][:40]!r}; expected {known}.")
        return found

    def has(self, name: str) -> bool:
        self._read.add(name)
        return self._values.get(name) is not None

    def is_word(self, name: str, word: str) -> bool:
        """Whether the value is this word, in place of what else it may be."""
        return self.has(name) and self._values[name] == word

    def text(self, name: str) -> str:
        """Printable, not empty."""
        return self._value(name, "a name", _text)

    def choice(self, name: str, choices: tuple[str, ...], default: str) -> str:
        expected = " or ".join(choices)
        found = self._value(name, expected, _text) if self.has(name) else default
        if found not in choices:
            raise self._wrong(name, expected)
        return found

    def whole(self, name: str, low: int, high: int) -> int:
        return self._value(name, f"a whole number from {low} to {high}", lambda value: _whole(value, low, high))

    def number(self, name: str, low: float, high: float) -> float:
        return self._value(name, f"a number from {low:g} to {high:g}", lambda value: _number(value, low, high))

    def numbers(self, name: str, count: int, low: float, high: float) -> tuple[float, ...]:
        """Exactly ``count`` numbers."""
        expected = f"{count} numbers from {low:g} to {high:g}"

        def read(value: Any) -> tuple[float, ...]:
            found = tuple(_number(item, low, high) for item in _items(value, ","))
            if len(found) != count:
                raise ValueError
            return found

        return self._value(name, expected, read)

    def flag(self, name: str, default: bool) -> bool:
        """true or false, as JSON or as text."""

        def read(value: Any) -> bool:
            if not isinstance(value, (bool, str)) or value not in (True, False, "true", "false"):
                raise ValueError
            return value in (True, "true")

        return self._value(name, "true or false", read) if self.has(name) else default

    def frame(self, name: str = "frame") -> int:
        """The index of a frame, which is given counted from 1."""
        return self.whole(name, 1, LAST_FRAME + 1) - 1

    def frames(self, name: str = "frames") -> FrameRange:
        return self._value(name, "frames as A:B, one number, A: or all", lambda value: FrameRange.parse(str(value)))

    def ids(self, name: str) -> tuple[int, ...]:
        """At least one id of a track, each once, in the order given."""
        expected = f"ids of tracks, at most {MOST_ITEMS:,}"
        found = self._value(name, expected, lambda value: tuple(_whole(item, 0, LARGEST_ID) for item in _items(value, ",")))
        return tuple(dict.fromkeys(found))

    def pixels(self, name: str) -> tuple[tuple[float, float], ...]:
        """At least one pixel position."""
        return self._value(name, f"pixels as X,Y;X,Y, at most {MOST_ITEMS:,}", lambda value: tuple(map(_pixel, _items(value, ";"))))

    def _value(self, name: str, expected: str, read: Callable[[Any], V]) -> V:
        if not self.has(name):
            raise InputError(f"{self._kind} needs the argument {name}: expected {expected}.")
        try:
            return read(self._values[name])
        except (TypeError, ValueError, OverflowError) as error:
            raise self._wrong(name, expected) from error

    def _wrong(self, name: str, expected: str) -> InputError:
        return InputError(f"{self._kind}: {name} is {str(self._values[name])[:40]!r}, expected {expected}.")


def _text(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_TEXT or not value.isprintable():
        raise ValueError
    return value


def _whole(value: Any, low: int, high: int) -> int:
    if isinstance(value, str) and re.fullmatch(r"\d{1,16}", value, re.ASCII):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError
    return value


def _number(value: Any, low: float, high: float) -> float:
    if isinstance(value, str) and len(value) <= LONGEST_TEXT:
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or not low <= value <= high:
        raise ValueError
    return float(value)


def _items(value: Any, separator: str) -> list[Any]:
    items = value.split(separator) if isinstance(value, str) else [value] if isinstance(value, int) else value
    if not isinstance(items, (list, tuple)) or not 0 < len(items) <= MOST_ITEMS:
        raise ValueError
    return list(items)


def _pixel(value: Any) -> tuple[float, float]:
    x, y = value.split(",") if isinstance(value, str) else value
    return _number(x, -FARTHEST_PX, FARTHEST_PX), _number(y, -FARTHEST_PX, FARTHEST_PX)
