"""Videos and images of several cameras without calibration."""

from __future__ import annotations

from pathlib import Path

import pytest
from filmed_point import FRAMES, HEIGHT, WIDTH, brightest, rig, write_image, write_video

from trackersplat.captures.layouts.footage import is_footage, read_footage
from trackersplat.captures.registry import open_capture
from trackersplat.errors import InputError

FILMED = rig(3)


def _images(folder: Path, names: tuple[str, ...] = ("a", "b", "c"), pattern: str = "shot2_{:03d}.png") -> Path:
    for name, filming in zip(names, FILMED, strict=True):
        for frame in range(FRAMES):
            write_image(folder / name / pattern.format(frame + 8), filming, frame)
    return folder


def test_images_are_in_the_order_of_their_last_number(tmp_path: Path):
    _images(tmp_path / "images", pattern="shot2_{}.png")  # 8, 9, 10, 11: not the order of the names
    found = read_footage(tmp_path)
    assert found.cameras == ("a", "b", "c")
    assert found.sizes == ((WIDTH, HEIGHT),) * 3
    assert found.frame_count == FRAMES
    for camera, filming in enumerate(FILMED):
        for frame in range(FRAMES):
            spot = brightest(found.source.read(camera, frame))
            truth = brightest(filming.film(frame))
            assert spot == pytest.approx(truth)


@pytest.mark.parametrize("place", ["videos", "."])
def test_videos_are_cameras_named_after_their_files(tmp_path: Path, place: str):
    for filming in FILMED:
        write_video(tmp_path / place / f"{filming.camera.name}.mp4", filming, fps=24.0)
    found = read_footage(tmp_path)
    assert found.cameras == tuple(filming.camera.name for filming in FILMED)
    assert (found.frame_count, found.fps, found.warnings) == (FRAMES, 24.0, ())
    assert brightest(found.source.read(2, 1)) == pytest.approx(brightest(FILMED[2].film(1)), abs=0.1)


def test_opening_it_as_a_capture_says_that_it_can_be_prepared(tmp_path: Path):
    _images(tmp_path)
    with pytest.raises(InputError, match=r"without any calibration: `trackersplat prepare .*` finds their poses, or add cameras\.json"):
        open_capture(tmp_path)


def test_one_camera_is_not_enough(tmp_path: Path):
    write_image(tmp_path / "a" / "1.png", FILMED[0], 0)
    assert not is_footage(tmp_path)
    with pytest.raises(InputError, match=r"videos or images of 1 cameras: expected .* of at least 2 cameras"):
        read_footage(tmp_path)


def test_capture_json_gives_name_rate_and_held_out_cameras(tmp_path: Path):
    _images(tmp_path)
    (tmp_path / "capture.json").write_text('{"name": "yard", "fps": 12, "held_out": ["b"]}')
    found = read_footage(tmp_path)
    assert (found.name, found.fps, found.held_out, found.warnings) == ("yard", 12.0, ("b",), ())


def test_a_lost_frame_is_left_out_of_all_cameras_and_shifts_none(tmp_path: Path):
    _images(tmp_path)
    (tmp_path / "b" / "shot2_009.png").unlink()
    found = read_footage(tmp_path)
    assert found.frame_count == FRAMES - 1
    assert "1 frame is left out because a camera has no image of it; the first has the number 9 (b lacks it)." in found.warnings
    for camera, filming in enumerate(FILMED):
        assert brightest(found.source.read(camera, 1)) == pytest.approx(brightest(filming.film(2)))


def test_counters_of_separate_cameras_are_matched_in_order_and_said(tmp_path: Path):
    for start, filming in zip((0, 100, 200), FILMED, strict=True):
        for frame in range(FRAMES):
            write_image(tmp_path / filming.camera.name / f"DSC{start + frame:05d}.png", filming, frame)
    found = read_footage(tmp_path)
    assert found.frame_count == FRAMES
    assert any("matched in order" in warning for warning in found.warnings)
    next((tmp_path / FILMED[1].camera.name).iterdir()).unlink()
    with pytest.raises(InputError, match=r"has 3 images, but .* has 4, and no number is in the names of all cameras' images"):
        read_footage(tmp_path)


def test_images_may_lie_in_a_folder_of_their_own_in_that_of_the_camera(tmp_path: Path):
    for filming in FILMED:
        write_image(tmp_path / filming.camera.name / "images" / "0000.png", filming, 0)
    assert read_footage(tmp_path).cameras == tuple(filming.camera.name for filming in FILMED)


@pytest.mark.parametrize(
    ("extra", "message"),
    [("a/cover.png", "has no number in its name"), ("a/other008.png", r"has the number of other008|has the number of")],
)
def test_images_that_cannot_be_put_in_order_are_named(tmp_path: Path, extra: str, message: str):
    _images(tmp_path)
    write_image(tmp_path / extra, FILMED[0], 0)
    with pytest.raises(InputError, match=message):
        read_footage(tmp_path)


def test_names_that_are_not_plain_are_named(tmp_path: Path):
    _images(tmp_path, ("a", "b", "c\n"))
    with pytest.raises(InputError, match="must be a plain name"):
        read_footage(tmp_path)
