"""Commands about groups of Gaussians and about the clip."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trackersplat.errors import InputError
from viewer.commands.command import Command
from viewer.commands.gaussians import change_all_frames, edit, frames_of, none_selected, select_way, target_of

if TYPE_CHECKING:
    from viewer.tab import Tab

GROUPS, CLIP = "Groups", "Clip"


def _create(tab: Tab, group: str) -> None:
    """Of what is selected."""
    if not group:
        raise InputError("A group needs a name: write one first.")

    def work() -> None:
        tab.document.editing.do({"edit": "create_group", "name": group, **target_of(tab)})

    tab.document.editing.run("Create a group", work, tab.refuse)


def _rename(tab: Tab, group: str, to: str) -> None:
    if not to.strip():
        raise InputError("Write the new name into the field above the groups first.")
    edit(tab, "Rename the group", {"edit": "rename_group", "group": group, "name": to.strip()})


def _trim(tab: Tab) -> None:
    edit(tab, "Trim the clip", {"edit": "trim", "frames": frames_of(tab, "range")})


def _no_range(tab: Tab) -> str | None:
    return None if tab.view.first is not None or tab.view.last is not None else "No range is set: I and O on the timeline set its ends."


COMMANDS = (
    Command("group.create", "Give what is selected a name", GROUPS, _create, enabled=none_selected),
    Command("group.select", "Select a group", GROUPS, lambda tab, group, mode="replace": select_way(tab, {"group": group}, mode)),
    Command("group.show", "Show a group again", GROUPS, lambda tab, group: change_all_frames(tab, "show", group)),
    Command("group.rename", "Rename a group", GROUPS, _rename),
    Command(
        "group.dissolve", "Dissolve a group", GROUPS,
        lambda tab, group: edit(tab, "Dissolve the group", {"edit": "dissolve_group", "group": group}),
    ),
    Command("clip.trim", "Trim the clip to the range from in to out point", CLIP, _trim, enabled=_no_range),
    Command(
        "clip.retime", "Play the clip faster, slower or backwards", CLIP,
        lambda tab, speed, backwards=False: edit(
            tab, "Retime the clip", {"edit": "retime", "speed": float(speed), "backwards": bool(backwards)}
        ),
    ),
)  # fmt: skip
