"""The bar that commands show while they work."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from trackersplat.captures.registry import open_capture
from trackersplat.commands.shown import escape, printable
from trackersplat.commands.terminal import StepBar, TextProgress
from trackersplat.events import Stage, Started, StepDone


def _shown(*steps: tuple[str, int, int]) -> str:
    """What stands in the terminal after the last of the steps (what, done, total)."""
    console = Console(file=io.StringIO(), width=100)
    bar = StepBar(console)
    for step in steps:
        bar.show(*step)
    with console.capture() as capture:
        console.print(bar.get_renderable())
    return capture.get()


@pytest.mark.parametrize("before", [[], [("reading frames", 8, 8)]])
@pytest.mark.parametrize(("total", "count"), [(17, " 3/17 "), (8, " 3/8 "), (0, " 3/? ")])
def test_the_bar_says_what_is_done_and_how_far_it_is_whatever_was_before(
    before: list[tuple[str, int, int]], total: int, count: str
) -> None:
    shown = _shown(*before, ("matching points", 3, total))
    assert shown.startswith("matching points ")
    assert count in shown
    assert "reading" not in shown
    assert shown.count("\n") == 1


def test_the_clock_goes_on_after_a_step_that_is_complete() -> None:
    bar = StepBar(Console(file=io.StringIO()))
    bar.show("reading frames", 8, 8)
    assert bar.finished
    bar.show("measuring", 1, 8)
    assert not bar.finished  # what is finished keeps its time


def test_a_name_that_looks_like_markup_is_shown_as_it_is() -> None:
    assert _shown(("unpacking take[b].zip, MB", 1, 9)).startswith("unpacking take[b].zip, MB ")


def test_a_stage_after_steps_does_not_keep_their_number(small_capture_folder: Path) -> None:
    """Of a reconstruction: optimising takes 1000 steps, measuring an unknown number."""
    progress = TextProgress(open_capture(small_capture_folder))
    progress._console.file = io.StringIO()
    for event in (
        Started((0,), "CPU", "base-propagate", 1000, 100),
        Stage(0, "optimise"),
        StepDone(0, 1000, 1000, 0.01, 5000, None),
        Stage(0, "measure"),
    ):
        progress.show(event)
    with progress._console.capture() as capture:
        progress._console.print(progress._bars.get_renderable())
    assert "frame 1 measuring" in capture.get()
    assert "0/?" in capture.get()
    assert "1000" not in capture.get()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a b", "a b"),
        ("Küche 🎥", "Küche 🎥"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\x9b31m", "\\x9b31m"),
        ("two\nlines\r\x07", "two\\nlines\\r\\x07"),
        ("\u202egpj.exe\u2028", "\\u202egpj.exe\\u2028"),
        ("\udcff", "\\udcff"),
    ],
)
def test_what_a_terminal_could_obey_is_written_out(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert _shown((text, 1, 9)).startswith(shown)
    console = Console(file=io.StringIO(), width=100)
    console.print(escape(f"[red]{text}"))
    assert console.file.getvalue() == f"[red]{shown}\n"
