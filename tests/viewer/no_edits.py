"""In place of `viewer.editing.Editing`, for stand-in documents whose scene is not edited."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from viewer.editing import SceneFrame


def no_edits() -> SimpleNamespace:
    return SimpleNamespace(current=lambda: None, is_edited=False, busy=False, highlight=lambda shown, selected: None)


def unedited(shown: Callable[[int], Any]) -> Callable[[int], SceneFrame | None]:
    """`Document.scene` where ``shown`` is `Document.shown`."""

    def scene(frame: int) -> SceneFrame | None:
        found = shown(frame)
        return None if found is None else SceneFrame(found)

    return scene
