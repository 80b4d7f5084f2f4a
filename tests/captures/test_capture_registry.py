from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from trackersplat.captures.layout import Layout
from trackersplat.captures.registry import LAYOUTS, LayoutFacts, open_capture
from trackersplat.errors import InputError

FLAT_IMAGES = '''
"""A layout as another package may have it: one camera, one frame, ``flat.png``."""

import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import Capture
from trackersplat.captures.layout import Layout
from trackersplat.captures.media.decode import ImageFileSource, image_size


def detects(folder):
    return (folder / "flat.png").is_file()


def read(folder):
    width, height = image_size(folder / "flat.png")
    camera = Camera("only", width, height, np.diag((10.0, 10.0, 1.0)), np.eye(4))
    source = ImageFileSource([[folder / "flat.png"]], [(width, height)])
    return Capture("flat", folder, "flat_images", (camera,), 1, 30.0, source)


LAYOUT = Layout(detects, read)
'''


def test_a_missing_folder_is_named(tmp_path: Path):
    with pytest.raises(InputError, match=r"nowhere does not exist: give the folder of a capture, or 'demo'"):
        open_capture(tmp_path / "nowhere")


def test_a_file_is_no_folder(tmp_path: Path):
    (tmp_path / "a.mp4").touch()
    with pytest.raises(InputError, match=r"a\.mp4 is a file"):
        open_capture(tmp_path / "a.mp4")


def test_an_empty_folder_is_named(tmp_path: Path):
    with pytest.raises(InputError, match=r"is empty: give the folder of a capture, or 'demo'"):
        open_capture(tmp_path)


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (["holiday.jpg", "cam00.mp4"], r"there are 2 images or videos \(cam00\.mp4, holiday\.jpg\), but no poses"),
        (["poses_bounds.npy", "notes.txt"], r"there are poses \(poses_bounds\.npy\), but no videos or folders of images"),
        (["sparse_3/0/cameras.bin"], r"there are poses \(sparse_3/\), but no videos"),
        (["a.txt", "b.txt"], r"there are no poses and no images or videos in it, only a\.txt, b\.txt"),
        ([".hidden"], "there is nothing in it"),
    ],
)
def test_a_folder_of_no_known_layout_is_told_briefly_what_it_has_and_what_is_missing(tmp_path: Path, files: list[str], found: str):
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    with pytest.raises(InputError, match=f"is no capture of a known layout: {found}") as error:
        open_capture(str(tmp_path))
    assert all(layout.name in str(error.value) for layout in LAYOUTS)
    assert len(str(error.value)) < 600


def test_a_user_whom_nobody_knows_is_one_sentence():
    with pytest.raises(InputError, match="~nouser names a user whom this machine does not know"):
        open_capture("~nouser")


def test_demo_is_the_bundled_capture_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "demo").mkdir()
    monkeypatch.chdir(tmp_path)
    assert open_capture("demo").frame_count == 30


def test_listing_the_layouts_imports_none_of_them_and_nothing_heavy():
    script = (
        "import sys; from trackersplat.captures.registry import LAYOUTS; print(len(list(LAYOUTS)));"
        "heavy = ('cv2', 'torch', 'scipy', 'trimesh', 'pycolmap');"
        "print([name for name in sys.modules if name in heavy or name.startswith('trackersplat.captures.layout')])"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == [str(len(LAYOUTS.names())), "['trackersplat.captures.layout']"]


@pytest.mark.parametrize("name", LAYOUTS.names())
def test_every_layout_can_be_loaded(name: str):
    assert isinstance(LAYOUTS.load(name), Layout)


def test_a_layout_of_another_package_is_added_with_one_line_and_opens_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    package = tmp_path / "site" / "more_layouts"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "flat_images.py").write_text(FLAT_IMAGES)
    monkeypatch.syspath_prepend(str(package.parent))
    monkeypatch.setattr(LAYOUTS, "_entries", dict(LAYOUTS._entries))  # so that the entry is gone after the test
    LAYOUTS.add(LayoutFacts(name="flat_images", title="one image", files="flat.png", load="more_layouts.flat_images:LAYOUT"))
    folder = tmp_path / "scene"
    folder.mkdir()
    cv2.imwrite(str(folder / "flat.png"), np.full((6, 8, 3), (10, 20, 30), np.uint8))
    capture = open_capture(folder)
    assert (capture.layout, capture.cameras[0].name, capture.image(0, 0)[5, 7].tolist()) == ("flat_images", "only", [30, 20, 10])
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a.txt").touch()
    with pytest.raises(InputError, match=r"one of the layouts .*, flat_images"):
        open_capture(tmp_path / "other")
