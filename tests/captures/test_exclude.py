"""Cameras that capture.json leaves out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_capture
from filmed_point import rig
from making_captures import WHOLE, write_image_folder

from trackersplat.captures.layouts.footage import Footage
from trackersplat.captures.layouts.prepared import open_source
from trackersplat.captures.registry import open_capture
from trackersplat.captures.units import NEAR, rig_size
from trackersplat.errors import InputError


def say(folder: Path, **settings: Any) -> None:
    path = folder / "capture.json"
    known = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps({**known, **settings}))


@pytest.mark.parametrize("layout", WHOLE)
def test_in_every_layout_the_other_cameras_are_as_before(layout: str, copy_of: Callable[[str], Path]):
    folder = copy_of(layout)
    whole = open_capture(folder)
    names = [camera.name for camera in whole.cameras]
    index = next(i for i, name in enumerate(names) if name in whole.held_out or len(names) > 2 or not whole.held_out)
    say(folder, exclude=[names[index]])
    capture = open_capture(folder)
    kept = [i for i in range(len(names)) if i != index]
    assert [camera.name for camera in capture.cameras] == [names[i] for i in kept]
    assert capture.held_out == tuple(name for name in whole.held_out if name != names[index])
    assert capture.frame_count == whole.frame_count
    for here, there in enumerate(kept):
        assert np.array_equal(capture.cameras[here].world_to_camera, whole.cameras[there].world_to_camera)
        assert np.array_equal(capture.image(here, 1), whole.image(there, 1))
        assert capture.has_masks(here) == whole.has_masks(there)
        if whole.has_masks(there):
            assert np.array_equal(capture.mask(here, 0), whole.mask(there, 0))
        if whole.depth_bounds is not None:
            assert np.array_equal(capture.depth_bounds[here], whole.depth_bounds[there])


def test_footage_without_calibration_leaves_them_out_too(tmp_path: Path):
    filmed = rig(4)
    folder = write_image_folder(tmp_path / "scene", filmed)
    (folder / "cameras.json").unlink()
    names = [filming.camera.name for filming in filmed]
    say(folder, exclude=[names[2]], held_out=[names[0], names[2]])
    footage = open_source(str(folder), "it")
    assert isinstance(footage, Footage)
    assert footage.cameras == (names[0], names[1], names[3])
    assert footage.held_out == (names[0],)
    assert len(footage.sizes) == 3
    everything = open_capture(write_image_folder(tmp_path / "all", filmed))
    assert np.array_equal(footage.source.read(2, 1), everything.image(3, 1))
    say(folder, exclude=["cam99"])
    with pytest.raises(InputError, match=r"capture\.json excludes the camera 'cam99', but the cameras are "):
        open_source(str(folder), "it")


@pytest.mark.parametrize("offset", [(3000.0, 0, 0), (0, 3e6, 0)])
def test_a_camera_far_away_is_named_with_what_to_do_and_spoils_neither_units_nor_others(
    offset: tuple[float, float, float], small_capture_folder: Path, tmp_path: Path
):
    plain = open_capture(small_capture_folder)
    rows = np.load(small_capture_folder / "poses_bounds.npy")
    rows[3, :15].reshape(3, 5)[:, 3] += offset
    for video in small_capture_folder.glob("*.mp4"):
        (tmp_path / video.name).symlink_to(video)
    np.save(tmp_path / "poses_bounds.npy", rows)
    far = open_capture(tmp_path)
    (remark,) = (warning for warning in far.warnings if "cam03" in warning)
    assert remark.endswith('check the units, or leave it out by {"exclude": ["cam03"]} in capture.json.')
    assert far.origin is None
    assert {camera.near for camera in far.cameras} == {NEAR * rig_size(plain.cameras[:3])}
    say(tmp_path, exclude=["cam03"])
    without = open_capture(tmp_path)
    assert [camera.name for camera in without.cameras] == ["cam00", "cam01", "cam02"]
    assert without.warnings == plain.warnings


def test_a_camera_of_another_rate_with_as_many_frames_is_named_until_it_is_left_out(small_capture_folder: Path, tmp_path: Path):
    folder = tmp_path / "scene"
    folder.mkdir()
    for file in small_capture_folder.iterdir():
        (folder / file.name).symlink_to(file)
    for name in ("cam00", "cam02"):
        (folder / f"{name}.mp4").unlink()
    images = np.zeros((tiny_capture.FRAMES, tiny_capture.HEIGHT, tiny_capture.WIDTH, 3), np.uint8)
    tiny_capture.encode(folder / "cam00.mp4", images, fps=60.0)  # the first camera is not the usual one because it is the first
    tiny_capture.encode(folder / "cam02.mp4", images, fps=29.97)  # nearly the same is the same
    capture = open_capture(folder)
    (remark,) = (warning for warning in capture.warnings if warning.startswith("cam"))
    assert remark == (
        "cam00 has 60 frames per second and the others 30, but as many frames, so the frames are matched by their numbers: if that is "
        'wrong, cut the video to the same time, or leave it out by {"exclude": ["cam00"]} in capture.json.'
    )
    assert capture.fps == 30.0
    say(folder, fps=30)  # says how fast to play it, and not which frames belong together
    assert remark in open_capture(folder).warnings
    say(folder, exclude=["cam00"])
    assert not any("cam00" in warning for warning in open_capture(folder).warnings)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"exclude": ["cam09"]}, r"capture\.json excludes the camera 'cam09', but the cameras are cam00, cam01, cam02, cam03\."),
        ({"exclude": ["cam00", "cam01", "cam02", "cam03"]}, "excludes all 4 cameras: exclude fewer"),
        ({"exclude": ["cam00", "cam01"], "held_out": ["cam02", "cam03"]}, "excludes all cameras that are not held out"),
    ],
)
def test_what_cannot_be_left_out_is_one_sentence(settings: dict[str, list[str]], words: str, small_capture_folder: Path, tmp_path: Path):
    for file in small_capture_folder.iterdir():
        (tmp_path / file.name).symlink_to(file)
    say(tmp_path, **settings)
    with pytest.raises(InputError, match=words):
        open_capture(tmp_path)


def test_where_the_held_out_camera_is_left_out_another_one_is_proposed(small_capture_folder: Path, tmp_path: Path):
    for file in small_capture_folder.iterdir():
        (tmp_path / file.name).symlink_to(file)
    say(tmp_path, exclude=["cam00"])
    capture = open_capture(tmp_path)
    assert capture.held_out == ()
    assert capture.warnings[-1].endswith('a file capture.json with {"held_out": ["cam01"]} would hold one out.')
