from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from colmap_files import write_text_model
from filmed_point import Filming, assert_the_point_lights_up
from making_captures import meet_room_views, write_meet_room

from trackersplat.captures.registry import open_capture
from trackersplat.errors import InputError

COUNT = 13
LENS = (-0.2, 0.03, 0.002, -0.001)


def views(distortion: tuple[float, ...] = ()) -> list[Filming]:
    """cam_0 to cam_12, so that the order of the names is not that of the numbers."""
    return meet_room_views(COUNT, distortion)


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_meet_room(tmp_path_factory.mktemp("meetroom") / "discussion", views())


@pytest.fixture(scope="module")
def distorted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_meet_room(tmp_path_factory.mktemp("meetroom") / "discussion", views(LENS))


def test_poses_belong_to_the_videos_in_the_order_of_their_numbers(valid: Path):
    capture = open_capture(valid)
    assert (capture.layout, capture.held_out) == ("meet_room", ("cam_0",))
    assert [camera.name for camera in capture.cameras] == [f"cam_{i}" for i in range(COUNT)]
    assert_the_point_lights_up(capture)


def test_without_a_model_of_the_lenses_the_distortion_is_warned_about(valid: Path):
    assert [w for w in open_capture(valid).warnings if "lens distortion" in w and "sparse/0" in w]


@pytest.mark.parametrize("naming", ["cam_{}", "cam{:02d}"])
def test_a_colmap_model_of_the_first_frame_undistorts_the_videos(distorted: Path, tmp_path: Path, naming: str):
    folder = Path(shutil.copytree(distorted, tmp_path / "discussion"))
    cameras = [replace(filming.camera, name=naming.format(i)) for i, filming in enumerate(views())]
    # Made from images of half the size, as such models sometimes are.
    write_text_model(folder / "sparse" / "0", cameras, lens=f"OPENCV 80 60 75 75 40 30 {' '.join(map(str, LENS))}")
    capture = open_capture(folder)
    assert [camera.name for camera in capture.cameras] == [f"cam_{i}" for i in range(COUNT)]
    assert_the_point_lights_up(capture)
    assert capture.points is not None
    assert not [w for w in capture.warnings if "lens distortion" in w]


def test_without_undistortion_the_point_would_be_elsewhere(distorted: Path):
    with pytest.raises(AssertionError):
        assert_the_point_lights_up(open_capture(distorted))


def test_a_model_of_other_images_is_refused(valid: Path, tmp_path: Path):
    folder = Path(shutil.copytree(valid, tmp_path / "discussion"))
    write_text_model(folder / "sparse" / "0", [replace(filming.camera, name="left") for filming in views()[:1]])
    with pytest.raises(InputError, match=r"sparse/0 has no image that is named after a camera \(cam_0"):
        open_capture(folder)
    write_text_model(folder / "sparse" / "0", [replace(filming.camera, name=f"cam_1.{i}") for i, filming in enumerate(views()[:2])])
    text = (folder / "sparse" / "0" / "images.txt").read_text().replace("cam_1.0.png", "a/cam_1.png").replace("cam_1.1.png", "b/cam_1.png")
    (folder / "sparse" / "0" / "images.txt").write_text(text)
    with pytest.raises(InputError, match="two images of cam_1"):
        open_capture(folder)
    write_text_model(folder / "sparse" / "0", [filming.camera for filming in views()], lens="PINHOLE 120 120 150 150 60 60")
    with pytest.raises(InputError, match="calibrates cam_0 at 120x120, but its images have 160x120 pixels"):
        open_capture(folder)


def test_a_missing_row_is_named(valid: Path, tmp_path: Path):
    folder = Path(shutil.copytree(valid, tmp_path / "discussion"))
    np.save(folder / "poses_bounds.npy", np.load(folder / "poses_bounds.npy")[:-1])
    with pytest.raises(InputError, match=r"poses_bounds\.npy has 12 rows, but there are 13 videos"):
        open_capture(folder)
