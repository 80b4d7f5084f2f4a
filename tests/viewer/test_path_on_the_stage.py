"""The camera path as it is drawn on the stage, and the stage as it follows the path."""

from __future__ import annotations

import contextlib
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tiny_capture import cameras

from trackersplat.camera_paths.path import Key, even_path
from trackersplat.camera_paths.trajectory import Trajectory
from viewer.camera_paths import CameraPaths
from viewer.stage.path_marks import COLOUR, SELECTED, frame_strokes, path_strokes
from viewer.stage.path_pilot import PathPilot
from viewer.state import Shared, Store, View
from viewer.tab import Tab

PATH = even_path([Key.of(camera) for camera in cameras()], 3.0)


def test_the_curve_passes_the_keys_and_the_selected_frustum_is_white_and_looks_ahead() -> None:
    strokes = path_strokes(Trajectory(PATH), selected=1, size=0.5, aspect=2.0)
    line: Any = strokes[1]
    for camera in cameras():
        assert np.linalg.norm(line.points.reshape(-1, 3) - camera.center, axis=1).min() < 1e-6
    frusta: Any = next(stroke for stroke in strokes if len(stroke.colours) == 9 * 4)
    assert {tuple(colour) for colour in frusta.colours[9:18].tolist()} == {SELECTED}
    assert {tuple(colour) for colour in frusta.colours[:9].tolist()} == {COLOUR}
    for index, camera in enumerate(cameras()):
        corners = frusta.points[9 * index : 9 * index + 4, 1]
        uv, depth = camera.project(corners.astype(np.float64))
        np.testing.assert_allclose(depth, 0.5, rtol=1e-5)
        np.testing.assert_allclose(np.abs(uv[:, 1] - 24), 24, atol=1e-3)  # the upper and lower edge of the picture
        tip = camera.project(frusta.points[9 * index + 8 : 9 * index + 9, 1].astype(np.float64))[0][0]
        assert tip[1] < 0  # above the picture


def test_the_edges_of_the_videos_picture_are_where_its_lens_has_them() -> None:
    trajectory = Trajectory(PATH)
    moments = trajectory.at([1.7])
    edges: Any = frame_strokes(trajectory, 1.7, 0.5, 2.0)[-1]
    uv, _ = moments.camera(0, 180, 90, near=0.1).project(edges.points.reshape(-1, 3).astype(np.float64))
    assert {tuple(corner) for corner in np.rint(uv).astype(int).tolist()} == {(0, 0), (180, 0), (180, 90), (0, 90)}


def test_the_stage_takes_the_pose_of_the_moment_and_gets_its_lens_back(tmp_path: Path) -> None:
    store = Store(Shared(frame_count=4, run=tmp_path, reconstructed=(0, 1, 2, 3)))
    store.open_tab("t", View())
    paths = CameraPaths(store)
    paths.set(PATH)
    framing = SimpleNamespace(focus=np.array([0.0, 0.0, 0.2]), extent=3.0)
    tab = Tab("t", store, SimpleNamespace(camera_paths=paths, framing=framing))  # type: ignore[arg-type]
    camera = SimpleNamespace(fov=1.25, up_direction=None, position=None, look_at=None, image_width=400, image_height=100)
    pilot = PathPilot(SimpleNamespace(camera=camera, atomic=contextlib.nullcontext), tab)  # type: ignore[arg-type]
    tab.set(path_moment=1.0)
    second = cameras()[1]
    np.testing.assert_allclose(camera.position, second.center, atol=1e-9)
    ahead = np.subtract(camera.look_at, camera.position)
    np.testing.assert_allclose(ahead / np.linalg.norm(ahead), second.rotation[2], atol=1e-9)
    np.testing.assert_allclose(camera.up_direction, -second.rotation[1], atol=1e-9)
    assert camera.fov == pytest.approx(second.fov_y)
    tab.set(canvas=(100, 100, 1.0))  # narrower than the video: its sides are seen all the same
    assert math.tan(camera.fov / 2) == pytest.approx(16 / 9 * math.tan(second.fov_y / 2))
    tab.set(frame=2)  # on the timeline
    assert tab.view.path_moment == pytest.approx(2.0, abs=1e-3)
    np.testing.assert_allclose(camera.position, cameras()[2].center, atol=5e-3)
    tab.set(path_moment=None)
    assert camera.fov == 1.25
    pilot.close()
    tab.set(path_moment=0.0)
    np.testing.assert_allclose(camera.position, cameras()[2].center, atol=5e-3)
