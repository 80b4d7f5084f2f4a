"""Edits, selections and ways of selecting from JSON, as a file of edits or a page gives them. All of it is checked here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trackersplat.document.registry import make_scene_edit
from trackersplat.document.scene_edit import SceneArguments, SceneEdit
from trackersplat.document.seen_scene import SeenScene
from trackersplat.document.selecting.registry import WAYS
from trackersplat.document.selecting.way import Way
from trackersplat.document.selection import MOST_GAUSSIANS, Selection
from trackersplat.errors import InputError

_DEEPEST = 20  # selections within selections
_EXPECTED = '{"way": NAME, ...}, {"ids": [...]}, {"group": NAME} or {"stored": KEY}'

ReadStored = Callable[[str], Selection]


def read_edit(data: Any, scene: SeenScene, read_stored: ReadStored) -> SceneEdit:
    """``{"edit": KIND, ...}``. Raises InputError if it is none."""
    if not isinstance(data, dict) or not isinstance(data.get("edit"), str):
        raise InputError(f'{str(data)[:60]!r} is no edit: expected {{"edit": KIND, ...}}.')
    values = {name: value for name, value in data.items() if name != "edit"}
    return make_scene_edit(data["edit"], values, lambda inner: read_selection(inner, scene, read_stored))


def read_selection(data: Any, scene: SeenScene, read_stored: ReadStored, depth: int = 0) -> Selection:
    """A `Selection`, as code gives it, is taken as it is. Raises InputError if it is not understood or does not fit the scene."""
    if isinstance(data, Selection):
        return data
    if not isinstance(data, dict):
        raise InputError(f"{str(data)[:60]!r} is no selection: expected {_EXPECTED}.")
    if "way" in data:
        return read_way(data, scene, read_stored, depth).select(scene)
    keys = set(data)
    if keys == {"ids"} and isinstance(data["ids"], list) and len(data["ids"]) <= MOST_GAUSSIANS:
        if not all(isinstance(item, int) and not isinstance(item, bool) and 0 <= item < 1 << 62 for item in data["ids"]):
            raise InputError("The ids of a selection must be whole numbers from 0.")
        return Selection.of(data["ids"])
    if keys == {"group"} and isinstance(data["group"], str):
        return scene.edited.clip.group(data["group"]).selection
    if "stored" in keys <= {"stored", "count"} and isinstance(data["stored"], str):
        return read_stored(data["stored"])
    raise InputError(f"{str(data)[:60]!r} is no selection: expected {_EXPECTED}.")


def read_way(data: Any, scene: SeenScene, read_stored: ReadStored, depth: int = 0) -> Way:
    """``{"way": NAME, ...}``. Raises InputError if it is none."""
    if depth > _DEEPEST:
        raise InputError(f"Selections within selections go deeper than {_DEEPEST}: simplify them.")
    if not isinstance(data, dict) or not isinstance(data.get("way"), str):
        raise InputError(f'{str(data)[:60]!r} is no way of selecting: expected {{"way": NAME, ...}}.')
    name = data["way"]
    way_type: type[Way] = WAYS.load(name)
    values = {key: value for key, value in data.items() if key != "way"}
    return SceneArguments(name, values, lambda inner: read_selection(inner, scene, read_stored, depth + 1)).parsed(way_type.parse)
