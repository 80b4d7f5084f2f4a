"""Fixtures of the tests that damage captures."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from making_captures import WHOLE


@pytest.fixture(scope="session")
def whole_captures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = {}
    for layout, write in WHOLE.items():
        made[layout] = write(tmp_path_factory.mktemp(layout) / "scene")
    return made


@pytest.fixture
def copy_of(whole_captures: dict[str, Path], tmp_path: Path) -> Callable[[str], Path]:
    """A copy of a whole capture that a test may damage; in a folder of its own, with all that lies beside it."""

    def make(layout: str) -> Path:
        shutil.copytree(whole_captures[layout].parent, tmp_path / "data")
        return tmp_path / "data" / whole_captures[layout].name

    return make
