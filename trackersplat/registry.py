"""Named things that can be added with one file and one line: trackers, layouts, back ends, metrics and others.

A registry holds facts and the place of the code, not the code: listing what there is imports nothing heavy.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from trackersplat.errors import InputError


@dataclass(frozen=True)
class Facts:
    """What is known about an entry before its code is imported. Registries add fields of their own."""

    name: str  # as on the command line
    title: str  # one line, for people
    load: str  # "package.module:attribute", imported at first use
    packages: tuple[str, ...] = ()  # that must be importable
    extra: str = ""  # of this project that installs them, "" if they are dependencies
    licence: str = "Apache-2.0"


F = TypeVar("F", bound=Facts)


class Registry(Generic[F]):
    """Entries by name, in the order in which they should be offered."""

    def __init__(self, kind: str, entries: Iterable[F] = ()) -> None:
        """``kind`` names an entry in messages: "tracker", "back end"."""
        self.kind = kind
        self._entries: dict[str, F] = {}
        for entry in entries:
            self.add(entry)

    def add(self, entry: F) -> None:
        """Raises ValueError if the name is taken."""
        if entry.name in self._entries:
            raise ValueError(f"there is a {self.kind} named {entry.name!r} already")
        self._entries[entry.name] = entry

    def __iter__(self) -> Iterator[F]:
        return iter(tuple(self._entries.values()))

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def names(self) -> tuple[str, ...]:
        return tuple(self._entries)

    def facts(self, name: str) -> F:
        """Raises InputError if the name is unknown."""
        if name not in self._entries:
            raise InputError(f"There is no {self.kind} named {name!r}; choose one of {', '.join(self._entries)}.")
        return self._entries[name]

    def why_unavailable(self, name: str) -> str | None:
        """What is missing for an entry, in words, or None if it can be used. Imports nothing. Raises InputError if the name is unknown."""
        entry = self.facts(name)
        missing = [package for package in entry.packages if importlib.util.find_spec(package) is None]
        if not missing:
            return None
        how = f"pip install '.[{entry.extra}]' in the clone" if entry.extra else f"pip install {' '.join(missing)}"
        return f"{'packages' if len(missing) > 1 else 'package'} {', '.join(missing)} not installed: {how}"

    def load(self, name: str) -> Any:
        """What the entry's ``load`` names. Raises InputError if the name is unknown or a package is missing."""
        if (missing := self.why_unavailable(name)) is not None:
            raise InputError(f"The {self.kind} {name} cannot be used: {missing}.")
        return self.imported(name)

    def imported(self, name: str) -> Any:
        """What the entry's ``load`` names, whether or not it can be used. Raises InputError if the name is unknown."""
        entry = self.facts(name)
        module, _, attribute = entry.load.partition(":")
        return getattr(importlib.import_module(module), attribute)
