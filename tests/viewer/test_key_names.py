"""Keys of keyboards of different countries, and the commands that they run."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from nicegui.events import KeyboardKey, KeyboardModifiers

from viewer.commands.registry import by_hotkey
from viewer.workbench import key_name


def _pressed(key: str, code: str, *held: str) -> Any:
    modifiers = KeyboardModifiers(**{name: name in held for name in ("alt", "ctrl", "meta", "shift")})
    return SimpleNamespace(key=KeyboardKey(name=key, code=code, location=0), modifiers=modifiers)


@pytest.mark.parametrize(
    ("key", "code", "held", "command"),
    [
        ("?", "Slash", ("shift",), "help.keys"),  # American
        ("?", "Minus", ("shift",), "help.keys"),  # German
        ("?", "Slash", (), "help.keys"),  # a script, a remote desktop, a keyboard with a key of its own for it
        (">", "IntlBackslash", ("shift",), "select.grow"),
        ("<", "IntlBackslash", (), "select.shrink"),  # German
        ("<", "Comma", ("shift",), "select.shrink"),  # American
        ("1", "Digit1", (), "camera.channel_colour"),
        ("1", "Digit1", ("shift",), "camera.channel_colour"),  # French
        ("&", "Digit1", ("alt",), "panes.1"),
        ("é", "Digit2", (), "camera.channel_depth"),
        ("т", "KeyN", (), "selection.next"),  # Russian
        ("Т", "KeyN", ("shift",), "selection.previous"),
        ("z", "KeyY", ("ctrl",), "act.undo"),  # German: the letter that is printed on it
        ("Z", "KeyZ", ("meta", "shift"), "act.redo"),
        ("N", "KeyN", (), "selection.next"),  # Caps Lock
        (" ", "Space", (), "time.play"),
        (" ", "Space", ("shift",), "path.play"),
        ("ArrowRight", "ArrowRight", ("shift",), "time.next10"),
        ("[", "BracketLeft", (), "notes.previous"),
        ("[", "BracketLeft", ("alt",), "tool.smaller"),
    ],
)
def test_a_key_runs_its_command_on_keyboards_of_different_countries(key: str, code: str, held: tuple[str, ...], command: str) -> None:
    assert by_hotkey()[key_name(_pressed(key, code, *held))].name == command
