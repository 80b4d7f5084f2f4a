"""Commands that propose what is likely wrong: it is selected and shown, nothing is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trackersplat.errors import InputError
from viewer.commands.command import Command
from viewer.commands.gaussians import EDIT, nothing_there, source_of

if TYPE_CHECKING:
    from viewer.tab import Tab


def _propose(tab: Tab) -> None:
    """Of the frame on the screen; what is proposed is selected. Renders all cameras, which takes seconds."""
    source = source_of(tab)

    def work() -> None:
        from trackersplat.document.clean_up import propose_floaters

        try:
            found = propose_floaters(tab.document.editing.document().seen, source)
        finally:
            tab.set(judging=False)
        tab.set(proposal=found, selected=found.selection if len(found.selection) else None)

    tab.set(judging=True, proposal=None)
    tab.document.editing.run("Propose floaters", work, tab.refuse)


def _show(tab: Tab, reason: str = "") -> None:
    """Selects what was proposed, or the part of it for one reason."""
    proposal = tab.view.proposal
    if proposal is None or (reason and reason not in proposal.reasons):
        raise InputError("Nothing was proposed: find floaters first.")
    found = proposal.reasons[reason] if reason else proposal.selection
    tab.set(selected=found if len(found) else None)


COMMANDS = (
    Command("clean_up.propose", "Find floaters in this frame", EDIT, _propose, enabled=nothing_there),
    Command("clean_up.show", "Select what was proposed for a reason", EDIT, _show),
)
