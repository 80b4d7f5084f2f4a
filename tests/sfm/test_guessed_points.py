"""Points by a network, from a stand-in package that answers in a frame of its own."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
import pytest
import torch
from demo_photos import demo_cameras, write_footage
from instantsplat_stand_in import SOURCE, installed, write_answer

from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import Capture
from trackersplat.captures.registry import open_capture
from trackersplat.errors import InputError
from trackersplat.sfm.align import Similarity
from trackersplat.sfm.guessed_points import align_guess
from trackersplat.sfm.initialisers import check_available, initialiser_info, known_initialisers
from trackersplat.sfm.instantsplat import GuessedScene
from trackersplat.sfm.prepare import Prepared, prepare
from trackersplat.sfm.settings import GuessSettings, Points, PrepareSettings

AWAY = Similarity(0.37, cv2.Rodrigues(np.array([0.4, -1.1, 0.7]))[0], np.array([3.0, -1.0, 0.5]))  # from the capture's frame
VGGT = initialiser_info("vggt")
RNG = np.random.default_rng(0)
XYZ = RNG.uniform((-0.6, -0.6, 0.2), (0.6, 0.6, 1.2), (400, 3))  # in the middle of the demo
RGB = RNG.integers(0, 256, XYZ.shape, dtype=np.uint8)


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An importable stand-in, and a GPU; the folder is free for weights."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with installed(tmp_path / "site"):
        yield tmp_path / "weights"


@pytest.fixture(scope="module")
def demo() -> Iterator[Capture]:
    capture = open_capture("demo")
    yield capture
    capture.close()


def training(capture: Capture) -> list[Camera]:
    return [capture.cameras[index] for index in capture.training_cameras]


def away(camera: Camera, degrees: float = 0.0, shift: float = 0.0, rng: np.random.Generator = RNG) -> Camera:
    """The camera in the network's frame, turned and moved a little there."""
    error = np.eye(4)
    error[:3, :3] = cv2.Rodrigues(np.radians(degrees) * rng.normal(size=3))[0]
    error[:3, 3] = AWAY.scale * shift * rng.normal(size=3)
    return replace(camera, world_to_camera=error @ AWAY.pose(camera.world_to_camera))


def run(out: Path, settings: PrepareSettings, source: str = "demo") -> Prepared:
    result = list(prepare(source, out, settings))[-1]
    assert isinstance(result, Prepared)
    return result


@pytest.mark.parametrize("info", known_initialisers(), ids=lambda info: info.name)
def test_points_come_back_into_the_frame_of_the_capture(info, there: Path, demo: Capture, tmp_path: Path):
    write_answer(there, info, AWAY.points(XYZ), RGB, [away(camera) for camera in training(demo)])
    done = run(tmp_path / "out", PrepareSettings(points=info.name, weights=there))
    capture = open_capture(done.folder)
    assert capture.points is not None
    np.testing.assert_allclose(capture.points.xyz, XYZ, atol=1e-4)
    np.testing.assert_array_equal(capture.points.rgb, RGB)
    np.testing.assert_array_equal(capture.cameras[0].world_to_camera, demo.cameras[0].world_to_camera)
    report = done.record.report
    assert report["error_px"] < 0.02
    assert report["points"] == report["initialiser"]["found"] == len(XYZ)
    assert (report["initialiser"]["weights"], report["initialiser"]["licence"]) == (info.weights, info.licence)
    assert done.record.points_from == tuple(camera.name for camera in training(demo))


def test_the_network_sees_the_images_of_the_training_cameras_as_the_capture_hands_them_out(there: Path, demo: Capture, tmp_path: Path):
    write_answer(there, VGGT, AWAY.points(XYZ), RGB, [away(camera) for camera in training(demo)])
    run(tmp_path / "out", PrepareSettings(points="vggt", weights=there))
    seen = sorted((there / "seen").iterdir())
    assert len(seen) == len(demo.training_cameras) == len(demo.cameras) - 1
    for path, index in zip(seen, demo.training_cameras, strict=True):
        image = cv2.imread(str(path))
        assert image is not None
        np.testing.assert_array_equal(image[..., ::-1], demo.image(index, 0))


def test_noise_and_a_camera_that_is_far_off_leave_the_points_where_they_belong(there: Path, demo: Capture, tmp_path: Path):
    rng = np.random.default_rng(3)
    cameras = [away(camera, 0.2, 0.005, rng) for camera in training(demo)]
    cameras[4] = away(training(demo)[4], 60.0, 2.0, rng)
    guessed = AWAY.points(XYZ + rng.normal(scale=0.002, size=XYZ.shape))
    done = run(tmp_path / "out", PrepareSettings(points="vggt", weights=write_answer(there, VGGT, guessed, RGB, cameras)))
    capture = open_capture(done.folder)
    assert capture.points is not None
    off = np.linalg.norm(capture.points.xyz - XYZ, axis=1)
    assert np.median(off) < 0.01  # 0.003 of it is the noise of the points, the rig's radius is 2.7
    report = done.record.report
    assert report["initialiser"]["disagreeing"] == [training(demo)[4].name]
    assert 0.05 < report["initialiser"]["off_deg"] < 1.0
    assert 0.002 < report["initialiser"]["off"] < 0.02
    errors = {camera["name"]: camera.get("error_px") for camera in report["cameras"]}
    assert errors[training(demo)[4].name] > 50
    assert report["error_px"] == np.median([error for error in errors.values() if error is not None]) < 4


def test_points_that_no_camera_sees_are_left_out(there: Path, demo: Capture, tmp_path: Path):
    cameras = training(demo)
    outwards = np.stack([2 * camera.center - XYZ.mean(axis=0) for camera in cameras])  # behind the cameras, on all sides
    broken = np.array([[0.0, 0.0, np.nan]])
    seen = [any(_shows(camera, point) for camera in cameras) for point in outwards]
    guessed = AWAY.points(np.concatenate([broken, XYZ[:50], outwards]))
    colours = np.resize(RGB, (len(guessed), 3))
    write_answer(there, VGGT, guessed, colours, [away(camera) for camera in cameras])
    done = run(tmp_path / "out", PrepareSettings(points="vggt", weights=there))
    points = open_capture(done.folder).points
    assert points is not None
    assert not all(seen)
    np.testing.assert_allclose(points.xyz, np.concatenate([XYZ[:50], outwards[seen]]), atol=1e-4)
    np.testing.assert_array_equal(points.rgb, colours[1:][[*range(50), *(50 + np.flatnonzero(seen))]])


def test_points_before_the_near_planes_of_all_cameras_are_none(there: Path, demo: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    walled = replace(open_capture("demo"), cameras=tuple(replace(camera, near=50.0) for camera in demo.cameras))
    monkeypatch.setattr("trackersplat.sfm.prepare.open_source", lambda *_: walled)
    write_answer(there, VGGT, AWAY.points(XYZ), RGB, [away(camera) for camera in training(demo)])
    with pytest.raises(InputError, match="VGGT found no point that a training camera sees"):
        run(tmp_path / "out", PrepareSettings(points="vggt", weights=there))


def test_a_camera_that_looks_away_from_the_points_disagrees_even_where_they_project_to_the_same_place(demo: Capture):
    known = training(demo)
    ahead = known[2].center + known[2].rotation[2] * (3.0 + 0.1 * np.arange(20)[:, None])  # on its axis
    turned = replace(known[2], world_to_camera=np.diag((1.0, -1.0, -1.0, 1.0)) @ known[2].world_to_camera)
    guess = GuessedScene(ahead, np.zeros((20, 3), np.uint8), tuple(known))
    found = align_guess(guess, [turned if camera is known[2] else camera for camera in known], "VGGT", GuessSettings())
    assert found.alignment.disagreeing == (known[2].name,)
    assert {fit.camera: fit.points for fit in found.points.fits}[known[2].name] == 0


def _shows(camera: Camera, point: np.ndarray) -> bool:
    x, y, depth = camera.K @ (camera.rotation @ point + camera.translation)
    return bool(depth > 0 and 0 <= x / depth < camera.width and 0 <= y / depth < camera.height)


def test_no_more_points_are_kept_than_the_settings_allow(there: Path, demo: Capture, tmp_path: Path):
    write_answer(there, VGGT, AWAY.points(XYZ), RGB, [away(camera) for camera in training(demo)])
    done = run(tmp_path / "out", PrepareSettings(points="vggt", weights=there, guess=GuessSettings(max_points=100)))
    points = open_capture(done.folder).points
    assert points is not None
    assert (len(points.xyz), done.record.report["initialiser"]["found"]) == (100, 400)
    kept = [int(np.argmin(np.linalg.norm(XYZ - xyz, axis=1))) for xyz in points.xyz]
    assert sorted(set(kept)) == kept
    np.testing.assert_array_equal(points.rgb, RGB[kept])


@pytest.mark.parametrize("how", ["mixed up", "all at one spot", "another focal length", "mirrored"])
def test_cameras_that_do_not_fit_are_refused_and_nothing_is_written(how: str, there: Path, demo: Capture, tmp_path: Path):
    cameras = [away(camera) for camera in training(demo)]
    guessed = AWAY.points(XYZ)
    if how == "mixed up":
        cameras = [cameras[i] for i in np.random.default_rng(1).permutation(len(cameras))]
    elif how == "all at one spot":
        spot = AWAY.points(np.zeros((1, 3)))[0]
        for i, camera in enumerate(cameras):
            pose = camera.world_to_camera.copy()
            pose[:3, 3] = -pose[:3, :3] @ spot
            cameras[i] = replace(camera, world_to_camera=pose)
    elif how == "another focal length":
        cameras = [replace(camera, K=np.diag((2.5, 2.5, 1.0)) @ camera.K) for camera in cameras]
    else:
        guessed = guessed * (-1, 1, 1)
        cameras = [replace(c, world_to_camera=np.diag((-1.0, 1, 1, 1)) @ c.world_to_camera @ np.diag((-1.0, 1, 1, 1))) for c in cameras]
    write_answer(there, VGGT, guessed, RGB, cameras)
    with pytest.raises(
        InputError,
        match=r"^VGGT's cameras do not fit the known poses: projections of its points differ by \d+ pixels.* at most 16;",
    ):
        run(tmp_path / "out", PrepareSettings(points="vggt", weights=there))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["site", "weights"]


def test_poses_that_are_estimated_anyway_are_those_that_the_points_are_brought_to(there: Path, tmp_path: Path):
    pytest.importorskip("pycolmap", reason="pycolmap is not installed (the sfm extra)")
    true = demo_cameras()
    del true["cam08"]
    write_answer(there, VGGT, AWAY.points(XYZ), RGB, [away(camera) for camera in true.values()])
    settings = PrepareSettings(held_out=("cam08",), points="vggt", weights=there)
    done = run(tmp_path / "out", settings, str(write_footage(tmp_path / "kitchen")))
    assert (done.record.poses, done.record.report["initialiser"]["disagreeing"]) == ("estimate", [])
    capture = open_capture(done.folder)
    assert capture.points is not None
    for name, camera in true.items():
        index = capture.camera_index(name)
        here, there_ = capture.cameras[index].project(capture.points.xyz.astype(np.float64))[0], camera.project(XYZ)[0]
        assert np.median(np.linalg.norm(here - there_, axis=1)) < 3  # pixels; focal lengths and distortion were found, too
        seen = cv2.imread(str(there / "seen" / f"{capture.training_cameras.index(index):05d}.png"))
        assert seen is not None
        np.testing.assert_array_equal(seen[..., ::-1], capture.image(index, 0))  # without the distortion that was found


def test_the_same_again_is_kept_and_a_change_of_source_is_refused(there: Path, demo: Capture, tmp_path: Path):
    write_answer(there, VGGT, AWAY.points(XYZ), RGB, [away(camera) for camera in training(demo)])
    settings = PrepareSettings(points="vggt", weights=there)
    run(tmp_path / "out", settings)
    assert run(tmp_path / "out", replace(settings, weights=Path(there.parent, "weights"))).reused
    with pytest.raises(InputError, match=r"prepared in another way \(now asked: points features\)"):
        run(tmp_path / "out", PrepareSettings())
    record = json.loads((tmp_path / "out" / "prepared.json").read_text())
    del record["settings"]["points"]  # as it was written when there were only features
    (tmp_path / "out" / "prepared.json").write_text(json.dumps(record))
    assert run(tmp_path / "out", PrepareSettings()).reused


def test_what_is_missing_is_named_all_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "instantsplat", None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError) as error:
        run(tmp_path / "out", PrepareSettings(points="mast3r", weights=tmp_path / "weights"))
    said = str(error.value)
    assert said.startswith(
        "MASt3R does not work here: the package instantsplat is not installed (pip install instantsplat); its weights are "
    )
    assert str(tmp_path / "weights" / "MASt3R_ViTLarge_BaseDecoder_512_catmlpdpt_metric.pth") in said
    assert "torch sees no CUDA GPU" in said
    assert list(tmp_path.iterdir()) == []


def test_asking_what_is_there_imports_nothing(there: Path):
    there.mkdir()
    (there / VGGT.weights).write_bytes(b"weights")
    check_available(VGGT, there)
    assert "instantsplat" not in sys.modules


def test_a_package_that_cannot_be_imported_says_what_it_misses(there: Path, tmp_path: Path):
    (tmp_path / "site" / "instantsplat" / "initializer" / "__init__.py").write_text("import mapanything_of_old\n" + SOURCE)
    there.mkdir()
    (there / VGGT.weights).write_bytes(b"weights")
    with pytest.raises(InputError, match=r"cannot be imported \(ModuleNotFoundError: No module named 'mapanything_of_old'\): install what"):
        run(tmp_path / "out", PrepareSettings(points="vggt", weights=there))


def test_weights_that_are_cut_off_and_too_little_memory_are_one_sentence(there: Path, tmp_path: Path):
    there.mkdir()
    (there / VGGT.weights).write_bytes(b"PK cut off")
    with pytest.raises(
        InputError, match=r"VGGT cannot be loaded from .*vggt_1B_commercial\.pt \(RuntimeError: Pytorch.*\): download the file"
    ):
        run(tmp_path / "out", PrepareSettings(points="vggt", weights=there))
    with (there / VGGT.weights).open("wb") as file:
        np.savez(file, memory=np.zeros(1))
    with pytest.raises(InputError, match="VGGT needs more GPU memory than there is for 11 images: hold cameras out"):
        run(tmp_path / "out", PrepareSettings(points="vggt", weights=there))
    assert not (tmp_path / "out").exists()


def test_a_camera_that_is_no_number_is_refused(there: Path, demo: Capture, tmp_path: Path):
    write_answer(there, VGGT, AWAY.points(XYZ), RGB, [away(camera) for camera in training(demo)])
    with np.load(there / VGGT.weights) as answer:
        parts = dict(answer)
    parts["poses"][2, 0, 0] = np.nan
    with (there / VGGT.weights).open("wb") as file:
        np.savez(file, **parts)
    with pytest.raises(InputError, match="VGGT gives image 3 no usable camera"):
        run(tmp_path / "out", PrepareSettings(points="vggt", weights=there))


def test_the_options_name_the_initialisers_there_are():
    assert get_args(Points) == ("features", *(info.name for info in known_initialisers()))
