"""``cameras.json`` of a run: what is written is read back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from trackersplat.captures.capture import Capture
from trackersplat.store.tables import camera_entries, read_camera_entries


def test_cameras_are_read_back_as_they_were(small_capture: Capture, tmp_path: Path) -> None:
    path = tmp_path / "cameras.json"
    path.write_text(json.dumps(camera_entries(small_capture)))
    found = read_camera_entries(path)
    assert [camera.name for camera in found] == [camera.name for camera in small_capture.cameras]
    for read, camera in zip(found, small_capture.cameras, strict=True):
        assert (read.width, read.height) == (camera.width, camera.height)
        np.testing.assert_allclose(read.K, camera.K, atol=1e-12)
        np.testing.assert_allclose(read.world_to_camera, camera.world_to_camera, atol=1e-12)


def test_cameras_of_other_programs_look_through_the_middle_of_their_image(tmp_path: Path) -> None:
    turned = [[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]  # camera to world: the camera's x is the world's y
    entry = {"id": 0, "img_name": "a", "width": 8, "height": 6, "position": [1, 2, 3], "rotation": turned, "fx": 5, "fy": 4}
    (tmp_path / "cameras.json").write_text(json.dumps([entry]))
    (camera,) = read_camera_entries(tmp_path / "cameras.json")
    np.testing.assert_array_equal(camera.K, [[5, 0, 4], [0, 4, 3], [0, 0, 1]])
    np.testing.assert_allclose(camera.center, [1, 2, 3])
    np.testing.assert_allclose(camera.rotation @ np.array([0, 1, 0]), [1, 0, 0])
