from __future__ import annotations

from pathlib import Path

import pytest
from stand_in_places import make_places


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the folders ``code``, ``weights`` and ``cache`` of learned trackers, all empty."""
    return make_places(tmp_path, monkeypatch)
