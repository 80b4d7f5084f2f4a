from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from trackersplat.captures.registry import LAYOUTS, open_capture
from trackersplat.errors import InputError


def test_a_missing_folder_is_named(tmp_path: Path):
    with pytest.raises(InputError, match=r"nowhere does not exist: give the folder of a capture, or 'demo'"):
        open_capture(tmp_path / "nowhere")


def test_a_file_is_no_folder(tmp_path: Path):
    (tmp_path / "a.mp4").touch()
    with pytest.raises(InputError, match=r"a\.mp4 is a file"):
        open_capture(tmp_path / "a.mp4")


def test_an_empty_folder_is_named_with_what_could_be_in_it(tmp_path: Path):
    with pytest.raises(InputError, match=r"is empty: give a folder with camNN\.mp4 videos and poses_bounds\.npy \(n3dv\)"):
        open_capture(tmp_path)


def test_a_folder_of_no_known_layout_is_named_with_every_layout(tmp_path: Path):
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(InputError, match="is no capture of a known layout") as error:
        open_capture(str(tmp_path))
    assert all(layout.name in str(error.value) and layout.files in str(error.value) for layout in LAYOUTS)


def test_videos_without_poses_are_told_what_is_missing(tmp_path: Path):
    (tmp_path / "cam00.mp4").touch()
    with pytest.raises(InputError, match=r"poses_bounds\.npy"):
        open_capture(tmp_path)


def test_demo_is_the_bundled_capture_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "demo").mkdir()
    monkeypatch.chdir(tmp_path)
    assert open_capture("demo").frame_count == 30


def test_the_registry_does_not_import_pycolmap():
    script = "import sys, trackersplat.captures.registry; sys.exit('pycolmap' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[2]).returncode == 0
