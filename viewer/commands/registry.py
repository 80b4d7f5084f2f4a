"""All commands by name. A new one is an entry of one of these modules; a new module is a line here."""

from __future__ import annotations

from importlib import import_module

from viewer.commands.command import Command

MODULES = (
    "time",
    "cameras",
    "selection",
    "act",
    "tools",
    "gaussians",
    "looks",
    "groups",
    "clean_up",
    "stage",
    "camera_path",
    "compare",
    "jobs",
    "export",
    "notes",
    "help",
)


def _all() -> dict[str, Command]:
    found: dict[str, Command] = {}
    for module in MODULES:
        for command in import_module(f"viewer.commands.{module}").COMMANDS:
            if command.name in found:
                raise ValueError(f"two commands are called {command.name}")
            found[command.name] = command
    return found


COMMANDS: dict[str, Command] = _all()


def by_hotkey() -> dict[str, Command]:
    """Raises ValueError if two commands have the same key."""
    found: dict[str, Command] = {}
    for command in COMMANDS.values():
        if command.hotkey:
            if command.hotkey in found:
                raise ValueError(f"{command.name} and {found[command.hotkey].name} have the same key: {command.hotkey}")
            found[command.hotkey] = command
    return found
