from __future__ import annotations

import subprocess
import sys

import pytest

from trackersplat.errors import InputError
from trackersplat.tracking.registry import DEFAULT_TRACKER, create_tracker, known_trackers


def test_every_known_tracker_can_be_created_and_states_the_same_facts() -> None:
    for info in known_trackers():
        assert create_tracker(info.name).info == info
    assert DEFAULT_TRACKER in {info.name for info in known_trackers()}


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"no tracker named 'dsi'; choose one of dis"):
        create_tracker("dsi")


def test_listing_trackers_imports_no_image_library() -> None:
    code = "import sys; from trackersplat.tracking.registry import known_trackers; known_trackers(); print('cv2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "False"
