"""Finding commands by a few letters, and the sheet of keys. Pure functions."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping

from viewer.commands.command import Command


def takes_no_arguments(command: Command) -> bool:
    """Whether it can be run by its name alone: the others belong to a control of the page that gives them what they need."""
    try:
        parameters = list(inspect.signature(command.run).parameters.values())[1:]
    except (TypeError, ValueError):
        return True
    return all(p.default is not p.empty or p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL) for p in parameters)


def find(commands: Iterable[Command], text: str) -> list[Command]:
    """Those whose title, group or name has the letters of ``text`` in this order, the closest first; all of them if it is empty."""
    runnable = [command for command in commands if takes_no_arguments(command)]
    words = text.lower().split()
    if not words:
        return runnable
    rated = [(rating, place, command) for place, command in enumerate(runnable) if (rating := _rate(command, words)) is not None]
    return [command for _, _, command in sorted(rated, key=lambda entry: entry[:2])]


def _rate(command: Command, words: list[str]) -> float | None:
    """Lower is closer; None if a word is not there."""
    title, rest = command.title.lower(), f"{command.group} {command.name}".lower()
    total = 0.0
    for word in words:
        here = _spread(title, word)
        there = _spread(rest, word)
        found = min((value for value in (here, None if there is None else there + 50) if value is not None), default=None)
        if found is None:
            return None
        total += found
    return total


def _spread(text: str, word: str) -> float | None:
    """0 for the beginning of the text, little for the beginning of a word, more the further the letters lie apart."""
    at = text.find(word)
    if at >= 0:
        return 0.0 if at == 0 else 1.0 if not text[at - 1].isalnum() else 5.0
    start, gaps = -1, 0
    for letter in word:
        found = text.find(letter, start + 1)
        if found < 0:
            return None
        gaps += found - start - 1 if start >= 0 else 0
        start = found
    return 10.0 + gaps if gaps <= 3 * len(word) else None


def sheet(commands: Mapping[str, Command]) -> dict[str, list[Command]]:
    """Every command with a key, by group."""
    groups: dict[str, list[Command]] = {}
    for command in commands.values():
        if command.hotkey:
            groups.setdefault(command.group, []).append(command)
    return groups
