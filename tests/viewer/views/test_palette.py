"""Finding commands, and that every command can be found."""

from __future__ import annotations

import pytest

from viewer.commands.command import Command
from viewer.commands.registry import COMMANDS, by_hotkey
from viewer.panels.parts import keys
from viewer.views.palette import find, sheet, takes_no_arguments


def command(name: str, title: str, group: str = "Time", **more: object) -> Command:
    return Command(name, title, group, lambda tab: None, **more)  # type: ignore[arg-type]


SOME = (
    command("time.next", "Next frame"),
    command("camera.next", "Next camera", "Cameras"),
    command("job.frame", "Reconstruct this frame"),
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["time.next", "camera.next", "job.frame"]),
        ("next", ["time.next", "camera.next"]),
        ("NEXT cam", ["camera.next"]),
        ("frame", ["time.next", "job.frame"]),
        ("rcnst", ["job.frame"]),
        ("cameras next", ["camera.next"]),
        ("zzz", []),
    ],
)
def test_letters_find_commands_the_closest_first(text: str, expected: list[str]) -> None:
    assert [found.name for found in find(SOME, text)] == expected


def test_every_key_is_that_of_one_command() -> None:
    with_key = [command for command in COMMANDS.values() if command.hotkey]
    assert len(by_hotkey()) == len(with_key)
    for found in with_key:
        assert takes_no_arguments(found), f"{found.name} has a key but cannot be run by it"
        assert keys(found.hotkey)


def test_the_sheet_has_every_key_and_the_palette_every_command_that_needs_no_more() -> None:
    shown = [command.name for commands in sheet(COMMANDS).values() for command in commands]
    assert sorted(shown) == sorted(command.name for command in COMMANDS.values() if command.hotkey)
    reachable = {command.name for command in find(COMMANDS.values(), "")}
    needs_more = {name for name, command in COMMANDS.items() if not takes_no_arguments(command)}
    assert reachable | needs_more == set(COMMANDS)
    for name in reachable:
        assert COMMANDS[name] in find(COMMANDS.values(), COMMANDS[name].title)


def test_keys_are_shown_as_they_are_printed_on_a_keyboard() -> None:
    assert keys("ctrl+k") == ["Ctrl", "K"]
    assert keys("shift+arrowright") == ["Shift", "→"]
    assert keys("?") == ["?"]
    assert keys(".") == ["."]
    assert keys("") == []
