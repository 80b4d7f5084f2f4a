"""Folders that refer to data and add poses, points and settings; written by hand here, so that pycolmap is not needed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from filmed_point import FRAMES, HEIGHT, WIDTH, Filming, assert_the_point_lights_up, rig, write_image
from making_captures import write_image_folder

from trackersplat.captures.capture import PointCloud
from trackersplat.captures.formats.cameras_json import RigCamera
from trackersplat.captures.layouts.prepared import Record, SourceCamera, write_prepared
from trackersplat.captures.media.lens import OpenCVLens, Remap
from trackersplat.captures.media.remapped import RemappedFrames, RemappedMasks
from trackersplat.captures.pose_readings import PREFIX
from trackersplat.captures.registry import open_capture
from trackersplat.captures.settings import CaptureSettings
from trackersplat.errors import InputError

DISTORTED = rig(3, ((-0.3, 0.05, 0.003, -0.002), (), (0.15, -0.05, -0.002, 0.001)))
POINTS = PointCloud(np.array([[0.5, -1.0, 2.0], [0, 0, 1]], np.float32), np.array([[255, 128, 0], [1, 2, 3]], np.uint8))


def _record(source: Path | str, filmed: list[Filming], poses: str, points_from: tuple[str, ...] = ()) -> Record:
    cameras = tuple(SourceCamera(f.camera.name, WIDTH, HEIGHT) for f in filmed)
    return Record(str(source), cameras, poses, points_from, {}, {"seconds": 1.0})


def _rig_cameras(filmed: list[Filming]) -> list[RigCamera]:
    return [
        RigCamera(
            f.camera.name,
            OpenCVLens(WIDTH, HEIGHT, f.camera.fx, f.camera.fy, f.camera.cx, f.camera.cy, f.distortion),
            f.camera.world_to_camera,
        )
        for f in filmed
    ]


def _write(folder: Path, record: Record, cameras: list[RigCamera] | None, **settings: Any) -> Path:
    folder.mkdir()
    write_prepared(folder, record, CaptureSettings(**settings), POINTS, cameras)
    return folder


@pytest.fixture
def footage(tmp_path: Path) -> Path:
    """The distorted rig's images without its calibration."""
    for filming in DISTORTED:
        for frame in range(FRAMES):
            write_image(tmp_path / "yard" / filming.camera.name / f"{frame}.png", filming, frame)
    return tmp_path / "yard"


@pytest.fixture
def prepared(footage: Path) -> Path:
    return _write(footage.parent / "ready", _record(footage, DISTORTED, "estimate"), _rig_cameras(DISTORTED), held_out=("cam01",))


@pytest.mark.parametrize("scale", [None, 0.5])
def test_lenses_that_were_found_are_undone(footage: Path, tmp_path: Path, scale: float | None):
    folder = _write(tmp_path / "ready", _record(footage, DISTORTED, "estimate"), _rig_cameras(DISTORTED), scale=scale)
    capture = open_capture(folder)
    assert_the_point_lights_up(capture)
    assert capture.cameras[0].width == WIDTH * (scale or 1)


def test_what_was_written_reads_back(prepared: Path):
    capture = open_capture(prepared)
    assert (capture.name, capture.layout, capture.held_out, capture.root) == ("yard", "prepared", ("cam01",), prepared)
    assert capture.points is not None
    np.testing.assert_array_equal(capture.points.xyz, POINTS.xyz)
    np.testing.assert_array_equal(capture.points.rgb, POINTS.rgb)
    assert capture.points.sparse
    np.testing.assert_allclose(capture.cameras[1].world_to_camera, DISTORTED[1].camera.world_to_camera, rtol=0, atol=0)
    assert any("estimated from the images of frame 1" in warning for warning in capture.warnings)


def test_poses_that_are_kept_come_from_the_data_with_their_source_as_it_is(tmp_path: Path):
    filmed = rig(3)
    source = write_image_folder(tmp_path / "yard", filmed, held_out=["cam01"])
    capture = open_capture(_write(tmp_path / "ready", _record(source, filmed, "keep", ("cam00", "cam02")), None))
    assert_the_point_lights_up(capture)
    assert (capture.held_out, capture.fps, capture.warnings) == (("cam01",), 25.0, ())


def test_what_the_data_warn_of_is_still_said_but_for_the_held_out_cameras_that_are_now_named(tmp_path: Path):
    filmed = rig(3)
    source = write_image_folder(tmp_path / "yard", filmed)
    assert len(open_capture(source).warnings) == 1  # none is held out
    record = _record(source, filmed, "keep")
    assert open_capture(_write(tmp_path / "ready", record, None, held_out=("cam02",))).warnings == ()
    assert len(open_capture(_write(tmp_path / "again", record, None)).warnings) == 1


def test_a_camera_without_a_pose_is_left_out_and_the_others_keep_their_images(footage: Path, tmp_path: Path):
    folder = _write(tmp_path / "ready", _record(footage, DISTORTED, "estimate"), _rig_cameras(DISTORTED)[1:])
    capture = open_capture(folder)
    assert [camera.name for camera in capture.cameras] == ["cam01", "cam02"]
    assert_the_point_lights_up(capture)
    assert any("cam00 is left out: no pose of it was found" in warning for warning in capture.warnings)


def test_masks_are_treated_as_the_images_are():
    class Half:
        """Camera 1 has a mask of its left half."""

        def has(self, camera: int) -> bool:
            return camera == 1

        def read(self, camera: int, frame: int) -> np.ndarray | None:
            return (np.arange(20) < 10)[None].repeat(10, axis=0) if camera == 1 else None

        def close(self) -> None:
            return None

    masks = RemappedMasks(Half(), [1, 0], [Remap((10, 5)), None])
    assert (masks.has(0), masks.has(1)) == (True, False)
    found = masks.read(0, 0)
    assert found is not None
    np.testing.assert_array_equal(found, (np.arange(10) < 5)[None].repeat(5, axis=0))
    assert masks.read(1, 0) is None


def test_a_pixel_of_a_smaller_mask_is_foreground_if_most_of_it_is_and_sources_are_closed_with_what_remaps_them():
    class Blocks:
        """A mask, and an image, of 2x2 blocks of which 0 to 4 pixels are set."""

        closed = 0
        blocks = np.concatenate([np.array([[n > 0, n > 2], [n > 3, n > 1]]) for n in (0, 1, 3, 4)], axis=1)

        def has(self, camera: int) -> bool:
            return True

        def read(self, camera: int, frame: int) -> np.ndarray:
            return self.blocks

        def close(self) -> None:
            self.closed += 1

    class Images(Blocks):
        def read(self, camera: int, frame: int) -> np.ndarray:
            return np.repeat(self.blocks[..., None], 3, axis=2).astype(np.uint8) * 200

        def prefetch(self, wanted: object) -> None:
            return None

    inner = Blocks()
    masks = RemappedMasks(inner, [0], [Remap((4, 1))])
    found = masks.read(0, 0)
    assert found is not None
    assert found.tolist() == [[False, False, True, True]]
    assert not found.flags.writeable
    masks.close()
    assert inner.closed == 1
    images = Images()
    frames = RemappedFrames(images, [0], [Remap((4, 1))])
    assert frames.read(0, 0)[0, :, 0].tolist() == [0, 50, 150, 200]
    frames.close()
    assert images.closed == 1


def test_data_that_changed_or_moved_are_said(footage: Path, prepared: Path):
    image = cv2.imread(str(next((footage / "cam02").iterdir())))
    for path in (footage / "cam02").iterdir():
        cv2.imwrite(str(path), cv2.resize(image, (80, 60)))
    with pytest.raises(
        InputError, match=r"no longer has the cameras that .*cam02 of 80x60 pixels instead of cam02 of 160x120\): prepare again"
    ):
        open_capture(prepared)
    footage.rename(footage.with_name("elsewhere"))
    with pytest.raises(InputError, match=r"yard', but there is no such folder: bring the data back there, or prepare again"):
        open_capture(prepared)


def _set(key: str, value: object) -> Callable[[dict[str, Any]], None]:
    return lambda record: record.__setitem__(key, value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda record: record.clear(), "has format 'None', this version reads 1"),
        (_set("format", 2), "has format '2'"),
        (_set("source", "yard"), "'source' must be the absolute path"),
        (_set("source", "/tmp/\0"), "'source' must be the absolute path"),
        (_set("source", "/" + "x" * 5000), "'source' must be the absolute path"),
        (_set("source", ["/"]), "'source' must be the absolute path"),
        (_set("source", "/proc/self/no/such"), "no such folder"),
        (_set("source", "/proc/self/fdinfo"), "no capture of a known layout"),
        (_set("cameras", []), "'cameras' must be a list of 1 to"),
        (_set("cameras", ["cam00"]), "'cameras' must be a list of 1 to"),
        (_set("cameras", [{"name": "../../etc", "width": 4, "height": 4}]), "must be a plain name"),
        (_set("cameras", [{"name": "a", "width": 1e400, "height": 4}]), "'width' must be an integer"),
        (_set("cameras", [{"name": "a", "width": True, "height": 4}]), "'width' must be an integer"),
        (_set("poses", "__import__('os')"), "'poses' must be keep, refine or estimate"),
        (_set("poses", ["keep"]), "'poses' must be keep, refine or estimate"),
        (_set("poses", "keep"), "keeps the given poses, but .* has none"),
        (_set("points_from", "cam00"), "'points_from' must be a list of camera names"),
        (_set("report", 3), "'report' must be an object"),
        (_set("settings", None), "'settings' must be an object"),
    ],
)
def test_a_hostile_record_is_one_sentence(prepared: Path, change: Callable[[dict[str, Any]], None], message: str):
    path = prepared / "prepared.json"
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))
    with pytest.raises(InputError, match=message) as error:
        open_capture(prepared)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", "[]", "nul", "{" * 100_000, '{"format": NaN}', "\x80"])
def test_a_damaged_record_is_one_sentence(prepared: Path, text: str):
    (prepared / "prepared.json").write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match=r"prepared\.json"):
        open_capture(prepared)


def test_a_folder_cannot_refer_to_itself_or_to_another_prepared_one(prepared: Path, tmp_path: Path):
    for source in (prepared, _write(tmp_path / "other", _record(prepared, DISTORTED, "keep"), None)):
        record = json.loads((prepared / "prepared.json").read_text())
        (prepared / "prepared.json").write_text(json.dumps({**record, "source": str(source)}))
        with pytest.raises(InputError, match="is prepared itself"):
            open_capture(prepared)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("name", "cam07", r"cameras\.json has a camera cam07 that is not of this name and shape in the data"),
        ("name", "../cam00", "must be a plain name"),
        ("width", 300, "cam00 that is not of this name and shape"),
        ("w2c", [[float("nan")] * 4] * 4, "not finite"),
        ("K", [[100, 0, 80], [0, 0, 60], [0, 0, 1]], "focal lengths must be positive"),
        ("dist", [-30.0, 0, 0, 0], "cam00 has a lens distortion that no pinhole image"),
    ],
)
def test_hostile_cameras_are_one_sentence(prepared: Path, key: str, value: object, message: str):
    data = json.loads((prepared / "cameras.json").read_text())
    data["cameras"][0][key] = value
    (prepared / "cameras.json").write_text(json.dumps(data))
    with pytest.raises(InputError, match=message):
        open_capture(prepared)


def test_cameras_that_are_gone_are_named(prepared: Path):
    (prepared / "cameras.json").unlink()
    with pytest.raises(InputError, match=r"cameras\.json"):
        open_capture(prepared)


def test_doubts_about_poses_that_were_replaced_are_not_repeated(tmp_path: Path):
    filmed = rig(4)
    upside = [replace(f, camera=replace(f.camera, world_to_camera=np.diag((1.0, -1, -1, 1)) @ f.camera.world_to_camera)) for f in filmed]
    write_image_folder(tmp_path / "data", upside)
    doubts = [warning for warning in open_capture(tmp_path / "data").warnings if warning.startswith(PREFIX)]
    assert doubts
    kept = open_capture(_write(tmp_path / "kept", _record(tmp_path / "data", filmed, "keep"), None))
    assert [warning for warning in kept.warnings if warning.startswith(PREFIX)] == doubts
    estimated = open_capture(_write(tmp_path / "estimated", _record(tmp_path / "data", filmed, "estimate"), _rig_cameras(filmed)))
    assert not any(warning.startswith(PREFIX) for warning in estimated.warnings)
