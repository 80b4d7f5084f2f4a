"""Commands that start and steer the work in other processes: reconstructions and the check of the capture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from trackersplat.errors import InputError
from viewer.commands.command import Command
from viewer.jobs import Options

if TYPE_CHECKING:
    from viewer.tab import Tab

GROUP = "Reconstruct"
PANEL = "reconstruct"


def _run(tab: Tab, first: int, last: int, sure: bool = False, into: Path | None = None, options: Options | None = None) -> None:
    """Starts frames first to last, or puts them in the queue. What is likely not meant is asked in the panel first, unless ``sure``."""
    work = tab.document.reconstruction
    if options is None:
        options = Options(tab.document.arguments.backend, tab.document.arguments.pipeline)
    plan = work.plan((int(first), int(last)), work.target(into), options)
    if plan.warning and not sure:
        tab.set(inspector=PANEL, first=plan.asked[0], last=plan.asked[1])
        raise InputError(f"{plan.warning} Choose in the panel Run.")
    work.add(plan)


def _again(tab: Tab) -> None:
    """All frames of the run on the screen that edits have made out of date."""
    work = tab.document.reconstruction
    work.add(work.plan_again())


def _none_stale(tab: Tab) -> str | None:
    return None if tab.shared.stale else "No frame is out of date."


def _this(tab: Tab) -> None:
    _run(tab, tab.view.frame, tab.view.frame)


def _range(tab: Tab) -> None:
    view = tab.view
    _run(tab, view.first or 0, tab.shared.frame_count - 1 if view.last is None else view.last)


def _halt(tab: Tab) -> None:
    """Pauses the job at work, or lets a halted one go on."""
    work = tab.document.reconstruction
    current = work.current
    if current is not None and current.state == "paused":
        work.resume()
    else:
        work.pause()


def _log(tab: Tab, number: int | None = None) -> None:
    tasks = tab.document.reconstruction.tasks
    if not tasks:
        raise InputError("No reconstruction was started yet.")
    tab.set(dialog=f"log {tasks[-1].number if number is None else int(number)}")


def _no_out(tab: Tab) -> str | None:
    return "The capture is still being opened." if tab.shared.out is None else None


def _no_range(tab: Tab) -> str | None:
    if tab.view.first is None and tab.view.last is None:
        return "No in or out point is set: I and O set them."
    return _no_out(tab)


def _watch(tab: Tab) -> None:
    """Its run, at the frame in work: other frames may not be there yet."""
    tab.document.reconstruction.watch()
    if tab.shared.working_on is not None:
        tab.set(frame=tab.shared.working_on)


def _no_job(tab: Tab) -> str | None:
    return None if tab.document.reconstruction.current is not None else "No reconstruction is at work."


def _never_started(tab: Tab) -> str | None:
    return None if tab.document.reconstruction.tasks else "No reconstruction was started yet."


def _not_held(tab: Tab) -> str | None:
    return None if tab.document.reconstruction.held else "Nothing waits after a failure."


def _checking(tab: Tab) -> str | None:
    return "A check is at work." if tab.document.check.state.running else None


def _not_checking(tab: Tab) -> str | None:
    return None if tab.document.check.state.running else "No check is at work."


def _all(tab: Tab) -> None:
    _run(tab, 0, tab.shared.frame_count - 1)


def _cancel(tab: Tab, number: int | None = None) -> None:
    tab.document.reconstruction.cancel(number)


COMMANDS = (
    Command("job.frame", "Reconstruct this frame", GROUP, _this, "shift+r", enabled=_no_out),
    Command("job.range", "Reconstruct from in to out point", GROUP, _range, enabled=_no_range),
    Command("job.all", "Reconstruct all frames", GROUP, _all, enabled=_no_out),
    Command("job.stale", "Reconstruct what edits have made out of date", GROUP, _again, "shift+s", enabled=_none_stale),
    Command("job.run", "Reconstruct some frames", GROUP, _run, enabled=_no_out),
    Command("job.pause", "Pause or resume the reconstruction", GROUP, _halt, "shift+p", enabled=_no_job),
    Command("job.cancel", "Cancel the reconstruction", GROUP, _cancel, enabled=_no_job),
    Command("job.watch", "Show the run that is being made", GROUP, _watch, enabled=_no_job),
    Command("job.go_on", "Start what waits after a failure", GROUP, lambda tab: tab.document.reconstruction.go_on(), enabled=_not_held),
    Command("job.log", "Log of the last reconstruction", GROUP, _log, enabled=_never_started),
    Command(
        "job.clear", "Clear ended jobs from the list", GROUP, lambda tab: tab.document.reconstruction.forget_ended(), enabled=_never_started
    ),
    Command("check.start", "Check the capture", GROUP, lambda tab: tab.document.check.start(), enabled=_checking),
    Command("check.cancel", "Cancel the check", GROUP, lambda tab: tab.document.check.cancel(), enabled=_not_checking),
)
