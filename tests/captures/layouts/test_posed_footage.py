"""Footage beside poses, as other tools leave it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_capture
from colmap_files import write_text_model
from filmed_point import FRAMES, Filming, assert_the_point_lights_up, rig, write_image, write_video
from making_captures import meet_room_views

from trackersplat.captures.registry import open_capture
from trackersplat.errors import InputError


def as_4dgaussians(folder: Path, filmed: list[Filming]) -> Path:
    """``cam01/frame_00001.png`` and a model of the first frame, whose images are numbered."""
    for index, filming in enumerate(filmed, start=1):
        for frame in range(FRAMES):
            write_image(folder / f"cam{index:02d}" / f"frame_{frame + 1:05d}.png", filming, frame)
    write_text_model(folder / "sparse_", [replace(f.camera, name=f"image{index}") for index, f in enumerate(filmed, start=1)])
    return folder


def test_a_folder_of_4dgaussians_opens_with_its_model(tmp_path: Path):
    capture = open_capture(as_4dgaussians(tmp_path / "scene", rig(4)))
    assert capture.layout == "posed_footage"
    assert [camera.name for camera in capture.cameras] == ["cam01", "cam02", "cam03", "cam04"]
    assert "Cameras and points are those of the COLMAP model in sparse_." in capture.warnings
    assert capture.points is not None
    assert_the_point_lights_up(capture)


def test_a_camera_that_the_model_lacks_is_left_out_and_said(tmp_path: Path):
    folder = as_4dgaussians(tmp_path / "scene", rig(4))
    write_text_model(folder / "sparse_", [replace(f.camera, name=f"image{i}") for i, f in enumerate(rig(4), start=1) if i != 2])
    capture = open_capture(folder)
    assert [camera.name for camera in capture.cameras] == ["cam01", "cam03", "cam04"]
    assert "cam02 is left out: the COLMAP model in sparse_ has no pose of it." in capture.warnings
    assert_the_point_lights_up(capture)


@pytest.mark.parametrize("video", [False, True])
def test_extracted_frames_and_videos_of_any_name_take_poses_bounds(tmp_path: Path, video: bool):
    folder = tmp_path / "scene"
    filmed = meet_room_views(3)
    for name, filming in zip(("left", "middle", "right"), filmed, strict=True):
        if video:
            write_video(folder / f"{name}.mp4", filming)
        else:
            for frame in range(FRAMES):
                write_image(folder / name / "images" / f"{frame:04d}.png", filming, frame)
    np.save(folder / "poses_bounds.npy", np.stack([tiny_capture.poses_bounds_row(filming.camera) for filming in filmed]))
    capture = open_capture(folder)
    assert (capture.layout, [camera.name for camera in capture.cameras]) == ("posed_footage", ["left", "middle", "right"])
    assert_the_point_lights_up(capture)
    np.save(folder / "poses_bounds.npy", np.load(folder / "poses_bounds.npy")[:2])
    with pytest.raises(InputError, match="has 2 rows, but there are 3 cameras"):
        open_capture(folder)
