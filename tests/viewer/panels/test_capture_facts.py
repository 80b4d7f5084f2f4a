"""What the panel Capture says of a capture."""

from __future__ import annotations

import shutil
from pathlib import Path

from trackersplat.captures.demo import demo_capture
from trackersplat.captures.registry import open_capture
from viewer.panels.capture import facts


def test_the_bundled_capture_is_named_as_such_and_others_by_their_folder(tmp_path: Path) -> None:
    copy = tmp_path / "demo"
    shutil.copytree(demo_capture(), copy)
    assert dict(facts(open_capture("demo")))["Folder"] == "comes with TrackerSplat"
    assert dict(facts(open_capture(str(copy))))["Folder"] == str(copy)
