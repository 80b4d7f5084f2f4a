"""The bar that commands show while they work."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from trackersplat.terminal import StepBar


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
