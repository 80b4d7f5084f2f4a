from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trackersplat.captures.formats.colmap_model import MODELS, has_model, read_model, read_model_points
from trackersplat.errors import InputError

NUMBERS = st.floats(-1e6, 1e6)
NAMES = st.from_regex(r"\A[A-Za-z0-9_]([A-Za-z0-9_. \-]{0,20}[A-Za-z0-9_])?\Z")
LENSES = st.sampled_from([name for name, _ in MODELS])


@st.composite
def models(draw: st.DrawFn) -> tuple[dict, list, list]:
    cameras = {}
    for camera_id in draw(st.sets(st.integers(1, 2**31), min_size=1, max_size=3)):
        lens = draw(LENSES)
        params = draw(st.lists(NUMBERS, min_size=dict(MODELS)[lens], max_size=dict(MODELS)[lens]))
        params[:2] = [abs(value) + 1.0 for value in params[:2]]  # focal lengths are positive
        cameras[camera_id] = (lens, draw(st.integers(1, 16384)), draw(st.integers(1, 16384)), params)
    images = []
    for name in draw(st.sets(NAMES, min_size=1, max_size=4)):
        quaternion = draw(st.lists(st.floats(-1, 1), min_size=4, max_size=4).filter(lambda q: np.linalg.norm(q) > 0.1))
        translation = draw(st.lists(NUMBERS, min_size=3, max_size=3))
        observations = draw(st.lists(st.tuples(NUMBERS, NUMBERS, st.integers(-1, 9)), max_size=3))
        images.append((name, quaternion, translation, draw(st.sampled_from(sorted(cameras))), observations))
    points = draw(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS, *[st.integers(0, 255)] * 3, st.integers(0, 3)), max_size=4))
    return cameras, images, points


def write_text(folder: Path, cameras: dict, images: list, points: list) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"{i} {lens} {w} {h} {' '.join(map(repr, params))}" for i, (lens, w, h, params) in cameras.items()]
    (folder / "cameras.txt").write_text("# comment\n\n" + "\n".join(lines) + "\n")
    lines = []
    for number, (name, q, t, camera_id, observations) in enumerate(images, start=1):
        lines.append(f"{number} {' '.join(map(repr, [*q, *t]))} {camera_id} {name}")
        lines.append(" ".join(f"{x!r} {y!r} {i}" for x, y, i in observations))
    (folder / "images.txt").write_text("# comment\n" + "\n".join(lines) + "\n")
    lines = [f"{i} {x!r} {y!r} {z!r} {r} {g} {b} 0.5{' 1 0' * track}" for i, (x, y, z, r, g, b, track) in enumerate(points)]
    (folder / "points3D.txt").write_text("# comment\n" + "\n".join(lines) + "\n")


def write_binary(folder: Path, cameras: dict, images: list, points: list) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    ids = [name for name, _ in MODELS]
    data = struct.pack("<Q", len(cameras))
    for camera_id, (lens, w, h, params) in cameras.items():
        data += struct.pack(f"<IiQQ{len(params)}d", camera_id, ids.index(lens), w, h, *params)
    (folder / "cameras.bin").write_bytes(data)
    data = struct.pack("<Q", len(images))
    for number, (name, q, t, camera_id, observations) in enumerate(images, start=1):
        data += struct.pack("<I7dI", number, *q, *t, camera_id) + name.encode() + b"\0" + struct.pack("<Q", len(observations))
        data += b"".join(struct.pack("<ddq", *observation) for observation in observations)
    (folder / "images.bin").write_bytes(data)
    data = struct.pack("<Q", len(points))
    for i, (x, y, z, r, g, b, track) in enumerate(points):
        data += struct.pack("<Q3d3BdQ", i, x, y, z, r, g, b, 0.5, track) + bytes(8 * track)
    (folder / "points3D.bin").write_bytes(data)


@settings(max_examples=60, deadline=None)
@given(model=models())
def test_text_and_binary_models_give_what_was_written(tmp_path_factory: pytest.TempPathFactory, model: tuple[dict, list, list]):
    cameras, images, points = model
    for write in (write_text, write_binary):
        folder = tmp_path_factory.mktemp("model")
        write(folder, *model)
        read = read_model(folder)
        assert {i: (c.model, c.width, c.height, list(c.params)) for i, c in read.cameras.items()} == cameras
        assert [image.name for image in read.images] == sorted(image[0] for image in images)
        by_name = {image[0]: image for image in images}
        for image in read.images:
            _, quaternion, translation, camera_id, _ = by_name[image.name]
            assert (image.camera_id, list(image.translation)) == (camera_id, translation)
            np.testing.assert_allclose(image.quaternion, np.array(quaternion) / np.linalg.norm(quaternion), rtol=1e-12)
        cloud = read_model_points(folder)
        assert (cloud is None) == (len(points) == 0)
        if cloud is not None:
            np.testing.assert_array_equal(cloud.xyz, np.array([p[:3] for p in points]))
            np.testing.assert_array_equal(cloud.rgb, [p[3:6] for p in points])


@pytest.mark.parametrize("suffix", [".bin", ".txt"])
def test_models_written_by_colmap_read_as_colmap_reads_them(tmp_path: Path, suffix: str):
    pycolmap = pytest.importorskip("pycolmap")
    options = pycolmap.SyntheticDatasetOptions()
    options.num_rigs, options.num_cameras_per_rig, options.num_frames_per_rig, options.num_points3D = 2, 2, 2, 20
    reconstruction = pycolmap.synthesize_dataset(options)
    (reconstruction.write_binary if suffix == ".bin" else reconstruction.write_text)(str(tmp_path))
    model = read_model(tmp_path)
    assert len(model.images) == reconstruction.num_images()
    for theirs in reconstruction.images.values():
        ours = next(image for image in model.images if image.name == theirs.name)
        np.testing.assert_allclose(ours.world_to_camera()[:3], theirs.cam_from_world().matrix(), atol=1e-12)
        camera = reconstruction.cameras[theirs.camera_id]
        assert model.cameras[ours.camera_id].model == camera.model.name
        np.testing.assert_allclose(model.cameras[ours.camera_id].params, camera.params, rtol=1e-12)
    cloud = read_model_points(tmp_path)
    assert cloud is not None
    theirs = sorted((tuple(p.xyz.astype(np.float32)), tuple(p.color)) for p in reconstruction.points3D.values())
    ours = sorted(zip(map(tuple, cloud.xyz), map(tuple, cloud.rgb), strict=True))
    for (xyz, rgb), (expected_xyz, expected_rgb) in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(xyz, expected_xyz, rtol=1e-6)
        assert rgb == expected_rgb


EXAMPLE = (
    {1: ("PINHOLE", 64, 48, [50.0, 51.0, 32.0, 24.0])},
    [("a.png", [1.0, 0.0, 0.0, 0.0], [0.1, 0.2, 0.3], 1, [(1.0, 2.0, -1)])],
    [(1.0, 2.0, 3.0, 4, 5, 6, 2)],
)


@pytest.mark.parametrize("name", ["cameras", "images", "points3D"])
def test_a_binary_file_that_is_cut_off_anywhere_is_named(tmp_path: Path, name: str):
    write_binary(tmp_path, *EXAMPLE)
    path = tmp_path / f"{name}.bin"
    data = path.read_bytes()
    for kept in range(len(data)):
        path.write_bytes(data[:kept])
        with pytest.raises(InputError, match=rf"{name}\.bin"):
            read_model_points(tmp_path) if name == "points3D" else read_model(tmp_path)


@pytest.mark.parametrize("name", ["cameras", "images", "points3D"])
def test_a_hostile_count_is_refused_without_taking_memory(tmp_path: Path, name: str):
    write_binary(tmp_path, *EXAMPLE)
    path = tmp_path / f"{name}.bin"
    path.write_bytes(struct.pack("<Q", 2**63) + path.read_bytes()[8:])
    with pytest.raises(InputError, match=rf"{name}\.bin is cut off or damaged"):
        read_model_points(tmp_path) if name == "points3D" else read_model(tmp_path)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(["cameras.bin", "images.bin", "cameras.txt", "images.txt"]), at=st.integers(0, 400), junk=st.binary(max_size=12)
)
def test_damage_gives_a_model_or_an_input_error(tmp_path: Path, name: str, at: int, junk: bytes):
    for path in tmp_path.iterdir():
        path.unlink()
    (write_binary if name.endswith(".bin") else write_text)(tmp_path, *EXAMPLE)
    data = (tmp_path / name).read_bytes()
    at %= len(data)
    (tmp_path / name).write_bytes(data[:at] + junk + data[at + len(junk) :])
    message = str(tmp_path)
    try:
        read_model(tmp_path)
    except InputError as error:
        message = str(error)
    assert str(tmp_path) in message


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("cameras.txt", "1 PINHOLE 64 48 50 51 32\n", r"Line 1 of .*cameras\.txt is not of the form 'CAMERA_ID MODEL"),
        ("cameras.txt", "1 PIN\n", r"Line 1 of .*cameras\.txt is not of the form 'CAMERA_ID MODEL"),
        ("cameras.txt", "1 MAGIC 64 48 50 51 32\n", "camera model 'MAGIC'"),
        ("cameras.txt", "1 PINHOLE 64 0 50 51 32 24\n", "64x0 pixels"),
        ("cameras.txt", "1 PINHOLE 64 48 nan 51 32 24\n", "not a finite number"),
        ("images.txt", "1 1 0 0 0 0 0 0 1\n\n", r"Line 1 of .*images\.txt is not of the form 'IMAGE_ID QW"),
        ("images.txt", "1 0 0 0 0 0 0 0 1 a.png\n\n", r"pose of a\.png is not a finite rotation"),
        ("images.txt", "1 1 0 0 0 0 0 0 5 a.png\n\n", r"a\.png uses camera 5, which the model does not have"),
        ("images.txt", "1 1 0 0 0 0 0 0 1 a.png\n\n2 1 0 0 0 0 0 0 1 a.png\n\n", "names an image twice"),
        ("images.txt", "# nothing\n", "has no image"),
    ],
)
def test_wrong_lines_are_named(tmp_path: Path, file: str, text: str, message: str):
    write_text(tmp_path, *EXAMPLE)
    (tmp_path / file).write_text(text)
    with pytest.raises(InputError, match=message):
        read_model(tmp_path)


def test_an_unknown_binary_camera_model_is_named(tmp_path: Path):
    write_binary(tmp_path, *EXAMPLE)
    (tmp_path / "cameras.bin").write_bytes(struct.pack("<QIiQQ4d", 1, 1, 99, 64, 48, 1, 2, 3, 4))
    with pytest.raises(InputError, match="camera model number 99"):
        read_model(tmp_path)


def test_both_files_make_a_model(tmp_path: Path):
    write_text(tmp_path, *EXAMPLE)
    assert has_model(tmp_path)
    (tmp_path / "images.txt").unlink()
    assert not has_model(tmp_path)
    with pytest.raises(InputError, match=r"neither images\.bin nor images\.txt"):
        read_model(tmp_path)
