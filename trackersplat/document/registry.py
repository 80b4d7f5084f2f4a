"""The kinds of edits of the scene by name. Listing them imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from trackersplat.document.facts import REGION, KindFacts
from trackersplat.registry import Registry

if TYPE_CHECKING:
    from trackersplat.document.scene_edit import ReadSelection, SceneEdit


def _of(name: str, title: str, place: str, *arguments: str) -> KindFacts:
    return KindFacts(name, title, f"trackersplat.document.kinds.{place}", arguments=" ".join(arguments))


_WHAT, _FRAMES = '"selection": {...} or "group": NAME', '["frames": "A:B"]'
_MOTION = '["translation": [X, Y, Z]] ["rotation": [W, X, Y, Z]] ["scale": X] ["center": [X, Y, Z]]'

SCENE_EDITS: Registry[KindFacts] = Registry(
    "edit of the scene",
    (
        _of("hide", "neither drawn nor exported", "hide:Hide", _WHAT, _FRAMES),
        _of("show", "shown again after hiding", "hide:Show", _WHAT, _FRAMES),
        _of("delete", "neither drawn nor exported, and left out of what is reconstructed later", "delete:Delete", _WHAT, _FRAMES),
        _of("restore", "there again after deletion", "delete:Restore", _WHAT, _FRAMES),
        _of("crop", "deletes what is outside a box or a sphere in each frame", "crop:Crop", REGION, '["keep": "outside"]', _FRAMES),
        _of("create_group", "gives Gaussians a name", "groups:CreateGroup", '"name": NAME "selection": {...}'),
        _of("rename_group", "gives a group another name", "groups:RenameGroup", '"group": NAME "name": NAME'),
        _of("dissolve_group", "takes the name away; the Gaussians stay", "groups:DissolveGroup", '"group": NAME'),
        _of("freeze", "as in one frame", "freeze:Freeze", _WHAT, '"at": N', _FRAMES),
        _of("tint", "mixes colours with another one", "look:Tint", _WHAT, '"colour": [R, G, B] ["strength": X]', _FRAMES),
        _of("opacity", "multiplies opacities", "look:Opacity", _WHAT, '"factor": X', _FRAMES),
        _of("transform", "moves, rotates and scales", "transform:Transform", _WHAT, _MOTION, _FRAMES),
        _of("trim", "keeps a range of frames", "clip:Trim", '"frames": "A:B"'),
        _of("retime", "plays faster, slower or backwards", "clip:Retime", '"speed": X ["backwards": true]'),
    ),
)


def make_scene_edit(kind: str, values: Mapping[str, Any], read_selection: ReadSelection) -> SceneEdit:
    """Raises InputError if the kind is unknown, or an argument is missing, wrong or unknown."""
    from trackersplat.document.scene_edit import SceneArguments

    edit_type: type[SceneEdit] = SCENE_EDITS.load(kind)
    return SceneArguments(kind, values, read_selection).parsed(edit_type.parse)
