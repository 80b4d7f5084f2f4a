"""Real features and real structure from motion on the demo's first frame."""

from __future__ import annotations

import json
import shutil
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import tiny_capture
from demo_photos import CAMERAS, HEIGHT, WIDTH, demo_cameras, turned, write_capture, write_footage

from trackersplat.captures.registry import open_capture
from trackersplat.commands.prepare import default_folder
from trackersplat.errors import InputError
from trackersplat.sfm.align import align_poses, change
from trackersplat.sfm.events import Step
from trackersplat.sfm.prepare import Prepared, prepare
from trackersplat.sfm.settings import FeatureSettings, PrepareSettings

pytest.importorskip("pycolmap", reason="pycolmap is not installed (the sfm extra)")

KEEP = PrepareSettings()


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_footage(tmp_path_factory.mktemp("data") / "kitchen")


@pytest.fixture(scope="module")
def true_poses() -> dict[str, np.ndarray]:
    return {name: camera.world_to_camera for name, camera in demo_cameras().items()}


@pytest.fixture(scope="module")
def captured(footage: Path, true_poses: dict[str, np.ndarray]) -> Path:
    return write_capture(footage.parent / "posed", footage, true_poses)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A capture with few pixels, for what does not depend on its features: an image folder, as `captured`."""
    folder = tmp_path_factory.mktemp("data") / "small"
    views = tiny_capture.cameras()
    for camera in views:
        (folder / "images" / camera.name).mkdir(parents=True)
        for frame in range(2):
            image = np.ascontiguousarray(tiny_capture.render(camera, frame)[..., ::-1])
            cv2.imwrite(str(folder / "images" / camera.name / f"{frame + 1:04d}.png"), image)
    entries = [{"name": camera.name, "K": camera.K.tolist(), "w2c": camera.world_to_camera.tolist()} for camera in views]
    size = {"width": tiny_capture.WIDTH, "height": tiny_capture.HEIGHT}
    (folder / "cameras.json").write_text(json.dumps({"cameras": entries, **size, "fps": 30, "frames": 2, "held_out": ["cam00"]}))
    return folder


@pytest.fixture(scope="module")
def kept(captured: Path, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return run(captured, tmp_path_factory.mktemp("out") / "kept", KEEP)


def run(source: Path, out: Path, settings: PrepareSettings = KEEP) -> Prepared:
    *steps, last = prepare(str(source), out, settings)
    assert all(isinstance(step, Step) for step in steps)
    assert isinstance(last, Prepared)
    return last


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_footage_without_calibration_opens_with_the_true_poses_up_to_a_similarity(
    footage: Path, true_poses: dict[str, np.ndarray], tmp_path: Path
):
    before = contents(footage)
    done = run(footage, tmp_path / "out", PrepareSettings(held_out=("cam08",)))
    assert contents(footage) == before
    capture = open_capture(tmp_path / "out")
    assert (capture.name, capture.layout, capture.held_out, capture.frame_count) == ("kitchen", "prepared", ("cam08",), 2)
    assert [camera.name for camera in capture.cameras] == list(CAMERAS)
    wanted = [true_poses[camera.name] for camera in capture.cameras]
    frame = align_poses([camera.world_to_camera for camera in capture.cameras], wanted)
    off = [change(frame.pose(camera.world_to_camera), pose) for camera, pose in zip(capture.cameras, wanted, strict=True)]
    depth = 4.0  # scene units, about what lies between the cameras and the scene
    assert max(one.degrees for one in off) < 0.3
    assert max(one.distance for one in off) < 0.02 * depth
    focal = [camera.fx / demo_cameras()[camera.name].fx for camera in capture.cameras]
    assert np.abs(np.array(focal) - 1).max() < 0.03
    down = np.sum([camera.rotation[1] for camera in capture.cameras], axis=0)
    assert down[1] / np.linalg.norm(down) == pytest.approx(1.0)
    assert capture.points is not None
    assert capture.points.sparse
    assert len(capture.points.xyz) == done.record.report["points"] > 500
    assert done.record.report["error_px"] < 0.3
    assert capture.image(4, 1).shape == (HEIGHT, WIDTH, 3)


def test_the_given_poses_are_kept_and_points_lie_where_the_cameras_see_the_same(kept: Prepared, captured: Path):
    capture, given = open_capture(kept.folder), open_capture(captured)
    for one, two in zip(capture.cameras, given.cameras, strict=True):
        np.testing.assert_array_equal(one.world_to_camera, two.world_to_camera)
        np.testing.assert_array_equal(one.K, two.K)
    assert capture.points is not None
    assert len(capture.points.xyz) > 800
    # What two cameras show where a point projects has the point's colour, more than where its mirror image does.
    here, there = [], []
    for index in capture.training_cameras[:2]:
        for xyz, off in ((capture.points.xyz, here), (capture.points.xyz * (-1, 1, 1), there)):
            uv, depth = capture.cameras[index].project(xyz.astype(np.float64))
            inside = (depth > 0) & (uv > 1).all(axis=1) & (uv < (WIDTH - 1, HEIGHT - 1)).all(axis=1)
            column, row = uv[inside].astype(int).T
            shown = capture.image(index, 0)[row, column].astype(float)
            off.append(np.abs(shown - capture.points.rgb[inside]).mean())
    assert np.mean(here) < 0.5 * np.mean(there)


def test_the_same_again_is_kept_and_other_settings_are_refused(kept: Prepared, captured: Path, tmp_path: Path):
    older = tmp_path / "older"
    before = contents(kept.folder)
    again = run(captured, kept.folder)
    assert again.reused
    assert again.record == kept.record
    assert contents(kept.folder) == before
    record = json.loads(before["prepared.json"])
    record["settings"] = {
        key: record["settings"][key] for key in ("poses", "intrinsics", "held_out", "scale")
    }  # as older versions wrote it
    shutil.copytree(kept.folder, older)
    (older / "prepared.json").write_text(json.dumps(record))
    assert run(captured, older).reused
    with pytest.raises(InputError, match=r"was prepared in another way \(now asked: poses refine\): choose another folder with --out"):
        run(captured, kept.folder, PrepareSettings(poses="refine"))
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(captured, elsewhere)
    with pytest.raises(InputError, match=r"was prepared from .*posed: choose another folder"):
        run(elsewhere, kept.folder)


@pytest.fixture
def blinded(captured: Path, footage: Path, tmp_path: Path) -> Path:
    """The capture, its held-out camera showing nothing."""
    folder = tmp_path / "blinded"
    (folder / "images" / "cam08").mkdir(parents=True)
    for frame in (1, 2):
        cv2.imwrite(str(folder / "images" / "cam08" / f"{frame:04d}.png"), np.full((HEIGHT, WIDTH, 3), 200, np.uint8))
    for name in CAMERAS:
        if name != "cam08":
            (folder / "images" / name).symlink_to(footage / "images" / name)
    (folder / "cameras.json").write_bytes((captured / "cameras.json").read_bytes())
    return folder


def test_the_same_images_give_the_same_points_whatever_a_held_out_camera_shows(kept: Prepared, blinded: Path, tmp_path: Path):
    done = run(blinded, tmp_path / "out")
    assert (done.folder / "points3D.ply").read_bytes() == (kept.folder / "points3D.ply").read_bytes()
    assert "cam08" not in done.record.points_from


def test_a_camera_that_shows_nothing_keeps_its_pose_when_the_others_are_refined(
    blinded: Path, true_poses: dict[str, np.ndarray], tmp_path: Path
):
    done = run(blinded, tmp_path / "out", PrepareSettings(poses="refine"))
    assert done.record.report["unrefined"] == ["cam08"]
    capture = open_capture(done.folder)
    assert [camera.name for camera in capture.cameras] == list(CAMERAS)
    np.testing.assert_allclose(capture.cameras[capture.camera_index("cam08")].world_to_camera, true_poses["cam08"], atol=1e-12)
    assert not np.allclose(capture.cameras[0].world_to_camera, true_poses["cam01"], atol=1e-12)
    assert max(change(camera.world_to_camera, true_poses[camera.name]).degrees for camera in capture.cameras) < 0.3


def test_poor_poses_are_refined_to_the_true_ones_in_the_given_frame_and_scale(true_poses: dict[str, np.ndarray], tmp_path: Path):
    rng = np.random.default_rng(1)
    poor = {name: turned(pose, 3 * rng.normal()) for name, pose in true_poses.items()}
    for pose in poor.values():
        pose[:3, 3] += 0.03 * rng.normal(size=3)
    footage = write_footage(tmp_path / "footage", factor=2)  # as sharp as the demo is, which decides how exact poses become
    settings = PrepareSettings(poses="refine", features=FeatureSettings(small_side=0))  # not enlarged, which costs four times as much
    done = run(write_capture(tmp_path / "poor", footage, poor, factor=2), tmp_path / "out", settings)
    capture = open_capture(done.folder)
    found = [camera.world_to_camera for camera in capture.cameras]
    frame = align_poses(found, list(true_poses.values()))
    assert frame.scale == pytest.approx(1.0, abs=0.05)
    assert np.degrees(np.arccos((np.trace(frame.rotation) - 1) / 2)) < 3.0
    off = [change(frame.pose(pose), true) for pose, true in zip(found, true_poses.values(), strict=True)]
    started = max(change(poor[name], true_poses[name]).degrees for name in CAMERAS)
    assert started > 2
    assert max(one.degrees for one in off) < 0.15
    assert max(one.distance for one in off) < 0.02
    said = [camera["turned_deg"] for camera in done.record.report["cameras"]]
    assert max(said) > 1  # against what was given


def test_the_report_points_at_the_camera_whose_pose_is_wrong(
    footage: Path, true_poses: dict[str, np.ndarray], kept: Prepared, tmp_path: Path
):
    wrong = {**true_poses, "cam03": turned(true_poses["cam03"], 4)}
    done = run(write_capture(tmp_path / "wrong", footage, wrong), tmp_path / "out")
    points = {camera["name"]: camera.get("points", 0) for camera in done.record.report["cameras"]}
    before = {camera["name"]: camera.get("points", 0) for camera in kept.record.report["cameras"]}
    assert points["cam03"] < 0.3 * before["cam03"]
    assert points["cam02"] > 0.6 * before["cam02"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (PrepareSettings(poses="refine"), "has no poses to refine: use --poses estimate"),
        (PrepareSettings(poses="keep"), "has no poses to keep"),
        (PrepareSettings(intrinsics="given"), "has no intrinsics: use --intrinsics each or shared"),
        (PrepareSettings(held_out=("cam99",)), "holds out the camera 'cam99', but the cameras are cam01"),
        (PrepareSettings(held_out=CAMERAS), "holds out all 6 cameras"),
        (PrepareSettings(held_out=CAMERAS[1:]), "has fewer than 2 training cameras, which points need"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_written(footage: Path, tmp_path: Path, settings: PrepareSettings, message: str):
    with pytest.raises(InputError, match=message):
        run(footage, tmp_path / "out", settings)
    assert list(tmp_path.iterdir()) == []


def test_lenses_do_not_change_where_poses_are_kept(captured: Path, tmp_path: Path):
    with pytest.raises(InputError, match="--intrinsics each changes the lenses, which --poses keep does not"):
        run(captured, tmp_path / "out", PrepareSettings(intrinsics="each"))


def test_images_without_anything_in_common_are_said(tmp_path: Path):
    for name in ("a", "b", "c"):
        (tmp_path / "blank" / name).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "blank" / name / "1.png"), np.full((60, 80, 3), 90, np.uint8))
    with pytest.raises(InputError, match="The images of 0 of 3 cameras fit together, expected at least 3"):
        run(tmp_path / "blank", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_posed_capture_without_any_feature_is_prepared_without_points(true_poses: dict[str, np.ndarray], tmp_path: Path):
    for name in CAMERAS:
        (tmp_path / "flat" / "images" / name).mkdir(parents=True)
        for frame in (1, 2):
            cv2.imwrite(str(tmp_path / "flat" / "images" / name / f"{frame}.png"), np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
    source = write_capture(tmp_path / "posed", tmp_path / "flat", true_poses)
    done = run(source, tmp_path / "out")
    assert done.record.report["points"] == 0
    assert open_capture(done.folder).points is None


def test_folders_that_are_in_use_or_belong_to_the_data_are_refused(captured: Path, tmp_path: Path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match="holds something else already"):
        run(captured, tmp_path)
    with pytest.raises(InputError, match=r"lies inside of .*, where nothing is written"):
        run(captured, captured / "prepared")
    assert not (captured / "prepared").exists()


def test_what_is_prepared_is_not_prepared_again(kept: Prepared, tmp_path: Path):
    with pytest.raises(InputError, match="which is prepared itself"):
        run(kept.folder, tmp_path / "out")


def test_a_missing_pycolmap_is_named_with_the_way_to_install_it(captured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pycolmap", None)
    with pytest.raises(InputError, match=r"needs pycolmap, which cannot be imported .*: pip install '\.\[sfm\]' in the clone\.$"):
        run(captured, tmp_path / "out")
    monkeypatch.setitem(sys.modules, "pycolmap", SimpleNamespace(__version__="3.12.6"))
    with pytest.raises(InputError, match=r"needs pycolmap 4\.2 or newer, found 3\.12\.6"):
        run(captured, tmp_path / "out")


def test_holding_out_a_camera_that_points_were_made_from_is_said(kept: Prepared, tmp_path: Path):
    folder = tmp_path / "edited"
    folder.mkdir()
    for path in kept.folder.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "capture.json").write_text(json.dumps({"held_out": ["cam02"]}))
    assert any("The points were made from the images of cam02 too" in warning for warning in open_capture(folder).warnings)


def test_a_download_is_unpacked_once_and_prepared(small: Path, tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "kitchen.zip", "w") as archive:
        for path in (small / "cameras.json", *sorted((small / "images").rglob("*.png"))):
            archive.write(path, Path("the kitchen") / path.relative_to(small))
    done = run(tmp_path / "kitchen.zip", tmp_path / "ready" / "kitchen")
    assert done.record.source == str(tmp_path / "ready" / "kitchen-data" / "the kitchen")
    capture = open_capture(done.folder)
    assert (capture.name, len(capture.cameras), capture.image(0, 1).shape) == ("the kitchen", 4, (48, 64, 3))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "kitchen.zip").rename(tmp_path / "elsewhere" / "kitchen.zip")
    assert run(tmp_path / "elsewhere", done.folder).reused


def test_data_that_have_changed_since_they_were_prepared_are_not_taken_for_the_same(small: Path, tmp_path: Path):
    source = tmp_path / "posed"
    shutil.copytree(small, source)
    done = run(source, tmp_path / "out")
    assert run(source, done.folder).reused
    image = next((source / "images" / "cam02").iterdir())
    before = image.read_bytes()
    cv2.imwrite(str(image), 255 - cv2.imread(str(image)))
    with pytest.raises(
        InputError, match=r"out was prepared from other data in .*posed \(the image of cam02 in frame 1 is another one now\)"
    ):
        run(source, done.folder)
    image.write_bytes(before)
    rig = json.loads((source / "cameras.json").read_text())
    rig["cameras"][0]["K"][0][0] += 1.0
    (source / "cameras.json").write_text(json.dumps(rig))
    with pytest.raises(InputError, match=r"\(the calibration has changed\): choose another folder with --out, or remove that one"):
        run(source, done.folder)


def zipped(path: Path, small: Path, brighter: int = 0) -> Path:
    """An archive of the capture; ``brighter`` makes another capture of it, of the same size."""
    path.parent.mkdir(parents=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(small / "cameras.json", "cameras.json")
        for image in sorted((small / "images").rglob("*.png")):
            pixels = cv2.imread(str(image)) // 2 * 2 + np.uint8(brighter)
            archive.writestr(str(image.relative_to(small)), cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 0])[1].tobytes())
    return path


def test_two_archives_of_one_name_are_not_taken_for_one_another(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    first, second = (zipped(tmp_path / name / "kitchen.zip", small, brighter) for name, brighter in (("a", 0), ("b", 1)))
    assert first.stat().st_size == second.stat().st_size
    assert default_folder(str(first)) == default_folder(str(second)) == Path("prepared/kitchen.zip")
    out = default_folder(str(first))
    run(first, out)
    with pytest.raises(
        InputError, match=r"kitchen\.zip-data holds what was unpacked from .*a/kitchen\.zip, whose content is not that of .*b/kitchen\.zip"
    ):
        run(second, out)
    other = default_folder(str(second))
    assert other.parent == out.parent
    assert other.name.startswith("kitchen.zip-")
    assert default_folder(str(first)) == out
    assert run(first, out).reused


def test_an_archive_that_cannot_be_unpacked_leaves_nothing(tmp_path: Path):
    (tmp_path / "a.zip").write_bytes(b"no archive")
    with pytest.raises(InputError, match="is no ZIP archive"):
        list(prepare(str(tmp_path / "a.zip"), tmp_path / "out", PrepareSettings()))
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


@pytest.mark.parametrize("name", ["a.tar", "a.7z"])
def test_a_file_that_is_no_archive_we_read_is_called_a_file(tmp_path: Path, name: str):
    (tmp_path / name).write_bytes(b"something")
    with pytest.raises(InputError, match=f"{name}', a file that is no ZIP archive: unpack it"):
        list(prepare(str(tmp_path / name), tmp_path / "out", PrepareSettings()))


def test_what_was_unpacked_from_an_archive_that_nobody_knows_is_not_taken_for_it(small: Path, tmp_path: Path):
    archive = zipped(tmp_path / "a" / "kitchen.zip", small)
    (tmp_path / "out-data").mkdir()
    with pytest.raises(InputError, match="unpacked from an archive that is not known"):
        run(archive, tmp_path / "out")


def test_folders_of_one_name_are_prepared_in_different_ones(kept: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    plain = Path("prepared/posed")
    assert default_folder("a/posed") == plain
    shutil.copytree(kept.folder, plain)
    record = json.loads((plain / "prepared.json").read_text())
    (plain / "prepared.json").write_text(json.dumps({**record, "source": str(tmp_path / "a" / "posed")}))
    assert default_folder("a/posed") == plain
    other = default_folder("b/posed")
    assert other.parent == plain.parent
    assert other.name.startswith("posed-")
    assert other != default_folder("c/posed")


def test_a_killed_preparation_leaves_nothing_after_the_next_one(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    scratch = tmp_path / "scratch"
    (scratch / "trackersplat-prepare.0123456789ab.work" / "features").mkdir(parents=True)
    (scratch / "trackersplat-prepare.0123456789ab.work.lock").write_text("of a killed process")
    (tmp_path / ".out.0123456789ab.tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    run(small, tmp_path / "out")
    assert list(scratch.iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "scratch"]
