"""A miniature with exactly the layout of the published coffee_martini: 18 videos with gaps in their numbers, 18 poses."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_capture
from colmap_files import write_text_model
from filmed_point import FRAMES, HEIGHT, WIDTH, Filming, assert_the_point_lights_up, write_video

from trackersplat.captures.camera import Camera
from trackersplat.captures.layouts import n3dv
from trackersplat.captures.layouts.n3dv import SceneFacts, published_scenes
from trackersplat.captures.registry import open_capture
from trackersplat.cli import main
from trackersplat.errors import InputError

NUMBERS = (0, 1, 2, *range(4, 17), 18, 20)  # no cam03, as in the download


def views() -> list[Filming]:
    """On an arc, all with centred principal points, as the format demands."""
    made = []
    for index, number in enumerate(NUMBERS):
        angle = (index - 8.5) * 0.07
        pose = tiny_capture.look_at((3 * np.sin(angle), 0.3 * np.cos(3 * index), -3 * np.cos(angle)))
        f = 140.0 + index
        K = np.array([[f, 0, WIDTH / 2], [0, f, HEIGHT / 2], [0, 0, 1]])
        made.append(Filming(Camera(f"cam{number:02d}", WIDTH, HEIGHT, K, pose)))
    return made


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("download") / "coffee_martini"
    for filming in views():
        late = range(2, FRAMES + 2) if filming.camera.name == "cam13" else range(FRAMES)
        write_video(folder / f"{filming.camera.name}.mp4", filming, late)
    np.save(folder / "poses_bounds.npy", np.stack([tiny_capture.poses_bounds_row(filming.camera) for filming in views()]))
    return folder


@pytest.fixture
def folder(valid: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(valid, tmp_path / "coffee_martini"))


def test_cam13_is_left_out_and_said_and_every_other_camera_keeps_its_pose(valid: Path):
    capture = open_capture(valid)
    assert [camera.name for camera in capture.cameras] == [f"cam{number:02d}" for number in NUMBERS if number != 13]
    assert capture.held_out == ("cam00",)
    assert [w for w in capture.warnings if w.startswith("cam13 is left out: its video is not synchronised with the others")]
    assert len(capture.warnings) == 1
    assert capture.depth_bounds is not None
    assert len(capture.depth_bounds) == 17
    assert_the_point_lights_up(capture)


def test_info_says_that_cam13_is_left_out_and_why_and_that_cam00_is_held_out(
    valid: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    assert sorted(path.name for path in valid.iterdir()) == [*(f"cam{number:02d}.mp4" for number in NUMBERS), "poses_bounds.npy"]
    assert "cam03.mp4" not in os.listdir(valid)
    assert np.load(valid / "poses_bounds.npy").shape == (18, 17)
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit) as stop:
        main(["info", str(valid)])
    printed = capsys.readouterr().out
    assert stop.value.code == 0
    for fact in ("coffee_martini", "layout    n3dv", "cameras   17", f"frames    {FRAMES}", "held out  cam00"):
        assert fact in printed
    assert "warning: cam13 is left out: its video is not synchronised with the others" in printed


def test_a_deleted_cam13_takes_its_pose_with_it(folder: Path):
    (folder / "cam13.mp4").unlink()
    capture = open_capture(folder)
    assert capture.warnings == ()
    assert_the_point_lights_up(capture)
    rows = np.load(folder / "poses_bounds.npy")
    np.save(folder / "poses_bounds.npy", np.delete(rows, 12, axis=0))
    assert_the_point_lights_up(open_capture(folder))


def test_another_deleted_video_is_not_guessed_at(folder: Path):
    (folder / "cam16.mp4").unlink()
    with pytest.raises(InputError, match=r"poses_bounds\.npy has 18 rows, but there are 17 videos"):
        open_capture(folder)


def test_the_scene_is_known_by_its_folder_or_its_given_name(folder: Path):
    other = Path(shutil.move(folder, folder.parent / "cafe"))
    assert len(open_capture(other).cameras) == 18
    (other / "capture.json").write_text('{"name": "Coffee_Martini"}')
    assert len(open_capture(other).cameras) == 17


def test_every_published_scene_is_measured_at_1352_pixels_on_cam00():
    scenes = published_scenes()
    assert set(scenes) == {"coffee_martini", "cook_spinach", "cut_roasted_beef", "flame_salmon_1", "flame_steak", "sear_steak"}
    assert {(facts.width, facts.held_out) for facts in scenes.values()} == {(1352, ("cam00",))}
    assert scenes["coffee_martini"].left_out["cam13"][0] == 12


def test_videos_larger_than_the_published_tables_are_scaled_down_to_them(valid: Path, folder: Path, monkeypatch: pytest.MonkeyPatch):
    scenes = {"coffee_martini": replace(published_scenes()["coffee_martini"], width=WIDTH // 2)}
    monkeypatch.setattr(n3dv, "published_scenes", lambda: scenes)
    capture = open_capture(valid)
    assert {(camera.width, camera.height) for camera in capture.cameras} == {(WIDTH // 2, HEIGHT // 2)}
    assert [w for w in capture.warnings if "scaled by 0.5 to 80 pixels in width, as in the published tables" in w]
    assert_the_point_lights_up(capture)
    (folder / "capture.json").write_text('{"scale": 1}')
    full = open_capture(folder)
    assert full.cameras[0].width == WIDTH
    assert not [w for w in full.warnings if "scaled" in w]


def test_videos_as_small_as_the_tables_are_not_scaled(valid: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(n3dv, "published_scenes", lambda: {"coffee_martini": SceneFacts(WIDTH, ("cam00",), {})})
    assert open_capture(valid).cameras[0].width == WIDTH


def test_a_colmap_model_beside_the_videos_replaces_the_poses(folder: Path):
    cameras = [filming.camera for filming in views() if filming.camera.name not in ("cam13", "cam18")]
    write_text_model(folder / "sparse" / "0", cameras)
    rows = np.load(folder / "poses_bounds.npy")
    rows[:, 3] += 7  # of no consequence
    np.save(folder / "poses_bounds.npy", rows)
    capture = open_capture(folder)
    assert [camera.name for camera in capture.cameras] == [camera.name for camera in cameras]
    assert capture.points is not None
    assert capture.depth_bounds is None
    assert [w for w in capture.warnings if "COLMAP model in sparse/0, not those of poses_bounds.npy" in w]
    assert [w for w in capture.warnings if w.startswith("cam18 is left out")]
    assert_the_point_lights_up(capture)
