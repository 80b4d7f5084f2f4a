"""Commands about the camera path and videos, on a tab without a page."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tiny_capture import cameras

from trackersplat.camera_paths.path import CameraPath
from trackersplat.camera_paths.path_file import read_path, to_json
from trackersplat.captures.camera import Camera
from trackersplat.store.begin import DOCUMENT
from viewer.camera_paths import CameraPaths
from viewer.state import Shared, Store, View
from viewer.tab import Tab


class Video:
    def __init__(self) -> None:
        self.asked: list[Any] = []

    def start(self, *arguments: Any) -> None:
        self.asked.append(arguments)


@pytest.fixture
def tab(tmp_path: Path) -> Tab:
    store = Store(Shared(frame_count=30, run=tmp_path / "run", reconstructed=tuple(range(30))))
    store.open_tab("t", View(frame=2))
    capture = SimpleNamespace(cameras=tuple(cameras()), fps=30.0)
    document = SimpleNamespace(
        capture=capture, camera_paths=CameraPaths(store), viewpoints={}, video=Video(), shown=lambda frame: None,
        framing=SimpleNamespace(focus=np.zeros(3), extent=3.0),
    )  # fmt: skip
    return Tab("t", store, document)  # type: ignore[arg-type]


def path(tab: Tab) -> CameraPath:
    found = tab.document.camera_paths.get()
    assert found is not None
    return found


def look_from(tab: Tab, camera: Camera) -> None:
    tab.document.viewpoints["t"] = lambda: camera


def problems(tab: Tab) -> str:
    return " ".join(sentence for _, sentence in tab.shared.problems)


def test_keys_are_made_of_the_stages_view_and_of_cameras_in_the_frame_that_is_shown(tab: Tab) -> None:
    tab.do("path.add")
    assert "3D stage is not there yet" in problems(tab)
    look_from(tab, cameras()[2])
    tab.do("path.add")
    tab.set(frame=12)
    tab.do("path.add_camera", camera=1)
    tab.set(frame=20)
    tab.do("path.add_camera", camera=0)
    assert [key.frame for key in path(tab).keys] == [2, 12, 20]
    for key, index in zip(path(tab).keys, (2, 1, 0), strict=True):
        np.testing.assert_allclose(key.position, cameras()[index].center)
        assert key.fov == pytest.approx(cameras()[index].fov_y)
    assert [key.at for key in path(tab).keys] == [0, 2, 4]
    assert (tab.view.path_key, tab.view.inspector) == (2, "camera_path")
    tab.set(path_key=0)
    tab.do("path.add_camera", camera=3)
    np.testing.assert_allclose(path(tab).keys[1].position, cameras()[3].center)
    assert tab.view.path_key == 1
    assert not tab.shared.problems


def test_keys_are_changed_moved_and_deleted_and_every_step_is_undone(tab: Tab) -> None:
    for index in range(4):
        tab.do("path.add_camera", camera=index)
    before = path(tab)
    look_from(tab, cameras()[3])
    steps = [
        ("path.select", {"key": 1}), ("path.update", {}), ("path.time", {"seconds": 1.0}), ("path.frame", {"frame": None}),
        ("path.lens", {"degrees": 30.0}), ("path.move", {"by": 1}), ("path.remove", {"key": 0}), ("path.length", {"seconds": 8.0}),
        ("path.loop", {}), ("path.constant_speed", {}), ("path.ready_made", {"move": "ring"}), ("path.clear", {}),
    ]  # fmt: skip
    seen = []
    for command, arguments in steps:
        tab.do(command, **arguments)
        assert not tab.shared.problems, command
        seen.append(tab.document.camera_paths.get())
    changed = seen[4]
    assert changed is not None
    np.testing.assert_allclose(changed.keys[1].position, cameras()[3].center)
    assert (changed.keys[1].at, changed.keys[1].frame) == (1.0, None)
    assert changed.keys[1].fov == pytest.approx(math.radians(30))
    assert (seen[8].loop, seen[9].constant_speed, len(seen[10].keys), seen[11]) == (True, True, 16, None)  # type: ignore[union-attr]
    for _ in range(len(steps) - 1):  # selecting changes nothing
        tab.do("path.undo")
    assert path(tab) == before
    for _ in range(4):
        tab.do("path.undo")
    assert tab.document.camera_paths.get() is None
    tab.do("path.undo")
    assert "Nothing was changed" in problems(tab)


def test_what_was_done_is_on_the_disk_and_is_that_of_its_run(tab: Tab, tmp_path: Path) -> None:
    tab.do("path.add_camera", camera=0)
    tab.do("path.add_camera", camera=1)
    assert read_path(tmp_path / "run" / DOCUMENT / "camera_path.json").seconds == path(tab).seconds
    tab.store.set(run=tmp_path / "other")
    assert tab.document.camera_paths.get() is None
    tab.store.set(run=tmp_path / "run")
    assert len(path(tab).keys) == 2
    again = CameraPaths(tab.store).get()
    assert again is not None
    assert again.keys == read_path(tmp_path / "run" / "document" / "camera_path.json").keys


def test_a_damaged_file_is_said_and_not_written_over(tab: Tab, tmp_path: Path) -> None:
    file = tmp_path / "run" / "document" / "camera_path.json"
    file.parent.mkdir(parents=True)
    file.write_text("{}")
    tab.do("path.add_camera", camera=0)
    assert "holds no camera path" in problems(tab)
    assert file.read_text() == "{}"


def test_following_keeps_moment_and_frame_together(tab: Tab) -> None:
    tab.do("path.ready_made", move="orbit")
    tab.do("path.seek", seconds=2.0)
    assert (tab.view.path_moment, tab.view.frame) == (2.0, 15)  # 29 frames in 4 s
    tab.do("path.follow")
    assert tab.view.path_moment is None
    tab.set(frame=29)
    tab.do("path.follow")
    assert tab.view.path_moment == pytest.approx(4.0)
    tab.do("path.play")
    assert (tab.view.path_moment, tab.view.path_playing) == (0.0, True)  # at the end it begins anew
    tab.do("path.play")
    assert not tab.view.path_playing


def test_selecting_a_key_goes_to_its_time_and_looking_from_it_follows_the_path(tab: Tab) -> None:
    tab.do("path.ready_made", move="orbit")
    tab.do("path.select", key=1)
    arrival = path(tab).keys[1].at
    assert (tab.view.path_key, tab.view.path_moment) == (1, None)
    assert (arrival, tab.view.frame) == (2.0, 15)  # 14.5 of 0 to 29
    tab.do("path.look")
    assert tab.view.path_moment == pytest.approx(arrival)
    tab.do("path.select", key=0)
    assert tab.view.path_moment == 0


def test_a_narrow_stage_that_follows_the_path_sees_more_than_the_key_that_is_set_to_its_view(tab: Tab) -> None:
    tab.do("path.ready_made", move="orbit")
    tab.do("path.look", key=1)
    narrow = replace(cameras()[0], width=48, height=96)
    look_from(tab, narrow)
    tab.do("path.update", key=1)
    assert math.tan(path(tab).keys[1].fov / 2) == pytest.approx(math.tan(narrow.fov_y / 2) / (16 / 9 / 0.5))
    tab.do("path.follow")
    tab.do("path.update", key=1)
    assert path(tab).keys[1].fov == pytest.approx(narrow.fov_y)


def test_a_video_is_of_the_path_or_of_a_camera(tab: Tab) -> None:
    tab.do("video.render")
    tab.do("path.add_camera", camera=0)
    tab.do("video.render", camera=2)
    assert [(asked[0] and to_json(asked[0]), asked[1]) for asked in tab.document.video.asked] == [  # type: ignore[attr-defined]
        (None, None),
        (to_json(path(tab)), "cam02"),
    ]


@pytest.mark.parametrize(
    ("command", "arguments", "words"),
    [
        ("path.remove", {}, "There is no camera path yet"),
        ("path.length", {"seconds": 3.0}, "There is no camera path yet"),
        ("path.seek", {"seconds": 3.0}, "There is no camera path yet"),
        ("path.ready_made", {"move": "spiral"}, "no ready-made camera path named 'spiral'"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(tab: Tab, command: str, arguments: dict[str, Any], words: str) -> None:
    tab.do(command, **arguments)
    assert words in problems(tab)
    tab.store.set(run=None)
    tab.do("path.add_camera", camera=0)
    assert "no run yet that a camera path could be kept with" in problems(tab)
