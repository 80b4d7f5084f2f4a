"""The kinds of edits of the scene by name. Listing them imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from trackersplat.document.facts import SceneEditFacts
from trackersplat.registry import Registry

if TYPE_CHECKING:
    from trackersplat.document.scene_edit import ReadSelection, SceneEdit

_WHAT, _FRAMES = '"selection": {...} or "group": NAME', '["frames": "A:B"]'
_KINDS = "trackersplat.document.kinds"

SCENE_EDITS: Registry[SceneEditFacts] = Registry(
    "edit of the scene",
    (
        SceneEditFacts("hide", "not drawn, not exported", f"{_KINDS}.hide:Hide", arguments=f"{_WHAT} {_FRAMES}"),
        SceneEditFacts("show", "shown again after hiding", f"{_KINDS}.hide:Show", arguments=f"{_WHAT} {_FRAMES}"),
        SceneEditFacts(
            "delete", "hidden, and left out of what is reconstructed later", f"{_KINDS}.delete:Delete", arguments=f"{_WHAT} {_FRAMES}"
        ),
        SceneEditFacts("restore", "there again after deletion", f"{_KINDS}.delete:Restore", arguments=f"{_WHAT} {_FRAMES}"),
        SceneEditFacts(
            "create_group", "gives Gaussians a name", f"{_KINDS}.groups:CreateGroup", arguments='"name": NAME "selection": {...}'
        ),
        SceneEditFacts(
            "rename_group", "gives a group another name", f"{_KINDS}.groups:RenameGroup", arguments='"group": NAME "name": NAME'
        ),
        SceneEditFacts("dissolve_group", "takes the name away", f"{_KINDS}.groups:DissolveGroup", arguments='"group": NAME'),
        SceneEditFacts("trim", "keeps a range of frames", f"{_KINDS}.clip:Trim", arguments='"frames": "A:B"'),
        SceneEditFacts("retime", "plays faster or slower", f"{_KINDS}.clip:Retime", arguments='"speed": X ["backwards": true]'),
    ),
)


def make_scene_edit(kind: str, values: Mapping[str, Any], read_selection: ReadSelection) -> SceneEdit:
    """Raises InputError if the kind is unknown, or an argument is missing, wrong or unknown."""
    from trackersplat.document.scene_edit import SceneArguments

    edit_type: type[SceneEdit] = SCENE_EDITS.load(kind)
    arguments = SceneArguments(kind, values, read_selection)
    edit = edit_type.parse(arguments)
    arguments.finish()
    return edit
