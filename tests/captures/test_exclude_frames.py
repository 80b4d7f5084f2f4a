"""Frames that only a camera lacks which ``capture.json`` leaves out: the others keep them."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import tiny_capture
from filmed_point import rig
from making_captures import WHOLE, save_object, write_image_folder
from test_exclude import say

from trackersplat.captures.capture import Capture
from trackersplat.captures.layouts.footage import Footage
from trackersplat.captures.layouts.prepared import open_source
from trackersplat.captures.media.decode import ImageFileSource, VideoSource
from trackersplat.captures.registry import LAYOUTS, open_capture
from trackersplat.errors import InputError

WITHOUT_FOOTAGE = ("imported", "prepared")  # the first has no images, the second those of another folder
OF_ONE_LENGTH = ("n3dv", "meet_room", "video_folder", "qualisys")  # videos without times
LOST = 1  # the frame that the camera lacks


def files(capture: Capture | Footage) -> VideoSource | ImageFileSource:
    source = capture.source
    while not isinstance(source, (VideoSource, ImageFileSource)):
        source = source._source
    return source


def lose(capture: Capture, camera: int) -> None:
    """Takes a frame from the files of a camera."""
    source = files(capture)
    if isinstance(source, ImageFileSource):
        source._paths[camera][LOST].unlink()
        return
    video = source._videos[camera]
    images = np.stack([video.read(frame) for frame in range(video.info.frame_count) if frame != LOST])
    tiny_capture.encode(video.path, images, fps=video.info.fps)
    folder = video.path.parent
    if capture.layout == "rh20t":
        times = np.load(folder / "timestamps.npy", allow_pickle=True).item()
        del times["color"][LOST]
        save_object(folder / "timestamps.npy", times)
    if capture.layout == "caliscope":
        number = video.path.stem.removeprefix("cam_")
        with (folder / "timestamps.csv").open(newline="") as file:
            head, *rows = csv.reader(file)
        lost = [row for row in rows if row[1] == number][LOST]
        with (folder / "timestamps.csv").open("w", newline="") as file:
            csv.writer(file).writerows([head, *(row for row in rows if row != lost)])


def test_every_layout_with_footage_is_tried() -> None:
    assert set(WHOLE) | set(WITHOUT_FOOTAGE) == set(LAYOUTS.names())


@pytest.mark.parametrize("layout", WHOLE)
def test_a_camera_that_is_left_out_takes_no_frame_from_the_others(layout: str, copy_of: Callable[[str], Path]) -> None:
    folder = copy_of(layout)
    whole = open_capture(folder)
    names = [camera.name for camera in whole.cameras]
    camera = next(i for i, name in enumerate(names) if name not in whole.held_out or len(names) > len(whole.held_out) + 1)
    kept = [i for i in range(len(names)) if i != camera]
    if all(names[i] in whole.held_out for i in kept):
        say(folder, held_out=[])
        whole = open_capture(folder)
    images = [[whole.image(i, frame).copy() for frame in range(whole.frame_count)] for i in kept]
    remarks = [remark for remark in whole.warnings if names[camera] not in remark]
    lose(whole, camera)
    whole.close()

    if layout in OF_ONE_LENGTH:
        with pytest.raises(InputError, match="frames, .* or leave it out by .*" + re.escape(json.dumps({"exclude": [names[camera]]}))):
            open_capture(folder)
    else:
        with closing(open_capture(folder)) as damaged:
            assert damaged.frame_count < whole.frame_count
            assert any(remark not in whole.warnings for remark in damaged.warnings)  # which says so
    say(folder, exclude=[names[camera]])
    capture = open_capture(folder)
    assert capture.frame_count == whole.frame_count
    for here in range(len(kept)):
        for frame in range(whole.frame_count):
            assert np.array_equal(capture.image(here, frame), images[here][frame])
    assert [remark for remark in capture.warnings if not remark.startswith("No camera is held out")] == [
        remark for remark in remarks if not remark.startswith("No camera is held out")
    ]


def test_footage_without_calibration_keeps_them_too(tmp_path: Path) -> None:
    folder = write_image_folder(tmp_path / "scene", rig(3))
    (folder / "cameras.json").unlink()
    whole = open_source(str(folder), "it")
    assert isinstance(whole, Footage)
    files(whole)._paths[1][LOST].unlink()  # type: ignore[union-attr]
    damaged = open_source(str(folder), "it")
    assert isinstance(damaged, Footage)
    assert damaged.frame_count == whole.frame_count - 1
    say(folder, exclude=[whole.cameras[1]])
    footage = open_source(str(folder), "it")
    assert isinstance(footage, Footage)
    assert footage.frame_count == whole.frame_count
    assert np.array_equal(footage.source.read(1, LOST), whole.source.read(2, LOST))
    assert not footage.warnings or footage.warnings == whole.warnings


def test_a_folder_of_images_need_not_have_a_camera_that_is_left_out(tmp_path: Path) -> None:
    folder = write_image_folder(tmp_path / "scene", rig(3))
    gone = json.loads((folder / "cameras.json").read_text())["cameras"][1]["name"]
    for image in (folder / "images" / gone).iterdir():
        image.unlink()
    (folder / "images" / gone).rmdir()
    with pytest.raises(InputError, match=f"{gone} is missing"):
        open_capture(folder)
    say(folder, exclude=[gone])
    assert len(open_capture(folder).cameras) == 2
