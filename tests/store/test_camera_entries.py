"""``cameras.json`` of a run: what is written is read back."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from trackersplat.captures.camera import DEFAULT_NEAR
from trackersplat.captures.capture import Capture
from trackersplat.store.tables import camera_entries, read_camera_entries


def test_cameras_are_read_back_as_they_were(small_capture: Capture, tmp_path: Path) -> None:
    path = tmp_path / "cameras.json"
    capture = replace(small_capture, cameras=tuple(replace(camera, near=0.8) for camera in small_capture.cameras))  # in the wall of a dome
    path.write_text(json.dumps(camera_entries(capture)))
    found = read_camera_entries(path)
    assert [camera.name for camera in found] == [camera.name for camera in capture.cameras]
    for read, camera in zip(found, capture.cameras, strict=True):
        assert read.near == camera.near
        assert (read.width, read.height) == (camera.width, camera.height)
        np.testing.assert_allclose(read.K, camera.K, atol=1e-12)
        np.testing.assert_allclose(read.world_to_camera, camera.world_to_camera, atol=1e-12)


def test_cameras_of_other_programs_look_through_the_middle_of_their_image(tmp_path: Path) -> None:
    turned = [[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]  # camera to world: the camera's x is the world's y
    entry = {"id": 0, "img_name": "a", "width": 8, "height": 6, "position": [1, 2, 3], "rotation": turned, "fx": 5, "fy": 4}
    (tmp_path / "cameras.json").write_text(json.dumps([entry]))
    (camera,) = read_camera_entries(tmp_path / "cameras.json")
    assert camera.near == DEFAULT_NEAR
    np.testing.assert_array_equal(camera.K, [[5, 0, 4], [0, 4, 3], [0, 0, 1]])
    np.testing.assert_allclose(camera.center, [1, 2, 3])
    np.testing.assert_allclose(camera.rotation @ np.array([0, 1, 0]), [1, 0, 0])
