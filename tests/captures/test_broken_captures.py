"""Whatever is wrong with a capture: one sentence, exit code 2, no traceback, and nothing written."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from damage import (
    Damage,
    blank_frames,
    both,
    colmap_bytes,
    cut,
    delete,
    edited,
    empty,
    image_of_another_size,
    linked,
    malicious_pickle,
    npy_header,
    ply,
    ply_at,
    png,
    poses,
    put,
    replaced,
    sheared,
    tree,
    video_of,
    with_nan,
    without_index,
    zip_bomb,
)
from making_captures import CALISCOPE_NUMBERS, RH20T_SERIALS, WHOLE, save_object

from trackersplat.captures.registry import LAYOUTS
from trackersplat.cli import main

ADVICE = re.compile(
    r"expected|must|needs?\b|again|give |open |install|unpacked|export|calibrate|check |write |copy |encode|remove|rename|cut |hold out"
    r"|keep|promises|supported"
)
ROOT_USER = hasattr(os, "geteuid") and os.geteuid() == 0
CALIB = Path("..") / "calib" / "1689000000000"  # of the RH20T scene
TOML, CSV = "camera_array.toml", "calibration/extrinsic/timestamps.csv"


def renumbered(folder: Path) -> None:
    """The videos of a caliscope session have numbers that no camera has."""
    place = folder / "calibration" / "extrinsic"
    for number in CALISCOPE_NUMBERS:
        (place / f"cam_{number}.mp4").rename(place / f"cam_{number + 50}.mp4")


def too_few_times(folder: Path) -> None:
    save_object(folder / f"cam_{RH20T_SERIALS[0]}" / "timestamps.npy", {"color": [1, 2]})


def far_away(rows: np.ndarray) -> np.ndarray:
    rows[1, [3, 8, 13]] = 1.7e308
    return rows


def mirrored(data: dict[str, Any]) -> None:
    """The world of all cameras is seen in a mirror: rows of unit length at right angles, but no rotation."""
    for poses_of_frame in data["w2c"]:
        for pose in poses_of_frame:
            for row in pose[:3]:
                row[0] *= -1


def scaled(data: dict[str, Any]) -> None:
    for frame in data["frames"]:
        frame["transform_matrix"] = [[2 * value for value in row] for row in frame["transform_matrix"][:3]] + [[0, 0, 0, 1]]


def link(file: str, target: str) -> Damage:
    return lambda folder: (folder / file).symlink_to(target)


def overflowing(folder: Path) -> None:
    np.savez(folder / "init_pt_cld.npz", data=np.random.default_rng(0).random((50, 7)))
    edited("train_meta.json", lambda d: [frame[0][0].__setitem__(3, 1e300) for frame in d["w2c"]])(folder)


def flat_lens(folder: Path) -> None:
    K = np.array([[0.0, 0, 640, 0], [0, 900, 360, 0], [0, 0, 1, 0]])
    save_object(folder / CALIB / "intrinsics.npy", dict.fromkeys(RH20T_SERIALS, K))


def scaled_pose(folder: Path) -> None:
    save_object(folder / CALIB / "extrinsics.npy", {serial: [np.diag((2.0, 2.0, 2.0, 1.0))] for serial in RH20T_SERIALS})


def negative_camera() -> bytes:
    """A COLMAP camera file with one PINHOLE camera whose fx is below 0."""
    return struct.pack("<QIiQQ4d", 1, 11, 1, 64, 48, -50.0, 50.0, 32.0, 24.0)


# -- cases ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Broken:
    what: str
    layout: str
    damage: Damage
    says: str  # a pattern that names the file or the camera
    decoding: bool = False  # it shows only when images are read


CAM = "frame1/sparse/0"
CASES = (
    # Neural 3D Video
    Broken("a video of no bytes", "n3dv", empty("cam02.mp4"), r"cam02\.mp4 is empty"),
    Broken("a video cut in half", "n3dv", cut("cam02.mp4"), r"cam02\.mp4 is cut off"),
    Broken("a video cut before its index", "n3dv", without_index("cam01.mp4"), r"cam01\.mp4 has no index"),
    Broken("text called a video", "n3dv", put("cam02.mp4", "hello" * 99), r"cam02\.mp4 is not a video"),
    Broken("a box longer than any disk", "n3dv", put("cam02.mp4", struct.pack(">I4sQ", 1, b"ftyp", 1 << 62)), r"cam02\.mp4 is cut off"),
    Broken("a shorter video", "n3dv", video_of("cam01.mp4", 4, 48, 64), r"cam01\.mp4 has 4 frames"),
    Broken("frames that are all zeros", "n3dv", blank_frames("cam01.mp4"), r"Frame 1 of .*cam01\.mp4", decoding=True),
    Broken("a row too few", "n3dv", poses(lambda rows: rows[:-1]), r"poses_bounds\.npy has 3 rows"),
    Broken("a pose that is not a number", "n3dv", poses(with_nan), r"Row 2 of .*poses_bounds\.npy"),
    Broken("axes that are no rotation", "n3dv", poses(sheared), r"poses_bounds\.npy gives cam01"),
    Broken("poses of no bytes", "n3dv", empty("poses_bounds.npy"), r"poses_bounds\.npy"),
    Broken("poses cut off", "n3dv", cut("poses_bounds.npy", 0.9), r"poses_bounds\.npy"),
    Broken("poses that claim terabytes", "n3dv", put("poses_bounds.npy", npy_header("(99999999999, 17)")), r"poses_bounds\.npy"),
    Broken("a link to nowhere", "n3dv", linked("cam02.mp4", "/nowhere/cam02.mp4"), r"cam02\.mp4 is a link"),
    Broken("a link to itself", "n3dv", linked("cam02.mp4", "cam02.mp4"), r"cam02\.mp4 is a link"),
    Broken("a link to a device", "n3dv", linked("cam02.mp4", "/dev/zero"), r"cam02\.mp4"),
    Broken("settings with an unknown key", "n3dv", put("capture.json", '{"heldout": []}'), r"capture\.json has the unknown key"),
    Broken("every camera held out", "n3dv", put("capture.json", '{"held_out": ["cam00", "cam01", "cam02", "cam03"]}'), r"capture\.json"),
    Broken("a position that overflows", "n3dv", poses(far_away), r"poses_bounds\.npy: a number is larger"),
    Broken("points beyond single precision", "n3dv", put("points3D.ply", ply_at("1e300 0 0")), r"points3D\.ply"),
    Broken("settings that are a link to nowhere", "n3dv", link("capture.json", "gone"), r"capture\.json is a link to gone"),
    Broken("settings that never end", "n3dv", link("capture.json", "/dev/zero"), r"capture\.json is a device"),
    Broken("settings that are a pipe", "n3dv", lambda f: os.mkfifo(f / "capture.json"), r"capture\.json is a device or a pipe"),
    Broken("points that are a link to nowhere", "n3dv", link("points3D.ply", "gone"), r"points3D\.ply is a link to gone"),
    # Meet Room
    Broken("one row too many", "meet_room", poses(lambda rows: np.concatenate([rows, rows[:1]])), r"poses_bounds\.npy has 3 rows"),
    Broken("pickled poses", "meet_room", malicious_pickle("poses_bounds.npy"), r"poses_bounds\.npy"),
    Broken("a camera folder called a video", "meet_room", both(delete("cam_1.mp4"), lambda f: (f / "cam_1.mp4").mkdir()), r"cam_1\.mp4"),
    # ST-NeRF
    Broken("a focal length that is not a number", "st_nerf", replaced("pose/K.txt", r"^\S+", "nan"), r"K\.txt"),
    Broken("poses of two cameras for three", "st_nerf", replaced("pose/RT_c2w.txt", r"[^\n]+\n$", ""), r"RT_c2w\.txt has 2 lines"),
    Broken("a position that overflows", "st_nerf", replaced("pose/RT_c2w.txt", r"\S+\n", "1e308\n"), r"RT_c2w\.txt: a number is larger"),
    Broken("an image of no bytes at first", "st_nerf", empty("frame1/images/9.png"), r"frame1/images/9\.png"),
    Broken("a PNG cut off", "st_nerf", cut("frame1/images/9.png", 0.7), r"frame1/images/9\.png", decoding=True),
    # Dynamic 3D Gaussians
    Broken("cut JSON", "dynamic3dgs", cut("train_meta.json"), r"train_meta\.json"),
    Broken("JSON of no bytes", "dynamic3dgs", empty("test_meta.json"), r"test_meta\.json"),
    Broken("a path out of the capture", "dynamic3dgs", replaced("train_meta.json", "0/000000.jpg", "../../a.jpg"), r"train_meta\.json"),
    Broken("a matrix too few", "dynamic3dgs", edited("train_meta.json", lambda d: d["k"][0].pop()), r"train_meta\.json: 'k'"),
    Broken(
        "a pose that is infinite",
        "dynamic3dgs",
        replaced("train_meta.json", r'("w2c": \[\[\[\[)[^,]+', r"\1Infinity"),
        r"train_meta\.json: 'w2c'",
    ),
    Broken("mirrored poses", "dynamic3dgs", edited("train_meta.json", mirrored), r"train_meta\.json: cam\d+: .* is not a rotation"),
    Broken(
        "a focal length of 0",
        "dynamic3dgs",
        edited("train_meta.json", lambda d: [k[0][0].__setitem__(0, 0) for k in d["k"]]),
        r"train_meta\.json: cam\d+: focal lengths must be positive",
    ),
    Broken(
        "an image of another size", "dynamic3dgs", image_of_another_size("ims/7/000000.jpg"), r"ims/7/000000\.jpg has 40x30", decoding=True
    ),
    Broken("a JPEG cut off", "dynamic3dgs", cut("ims/7/000000.jpg", 0.8), r"ims/7/000000\.jpg", decoding=True),
    Broken("a mask of no bytes", "dynamic3dgs", empty("seg/7/000000.png"), r"seg/7/000000\.png", decoding=True),
    Broken("points that claim 4 GB", "dynamic3dgs", zip_bomb("init_pt_cld.npz", "data"), r"init_pt_cld\.npz"),
    Broken("points that are no archive", "dynamic3dgs", put("init_pt_cld.npz", b"PK\x03\x04" + bytes(99)), r"init_pt_cld\.npz"),
    # COLMAP
    Broken("a binary model cut off", "colmap", colmap_bytes("cameras.bin", struct.pack("<QIiQQ", 1, 1, 1, 64, 48)), r"cameras\.bin"),
    Broken("a count of 2^60 images", "colmap", colmap_bytes("images.bin", struct.pack("<Q", 1 << 60)), r"images\.bin"),
    Broken("an image name out of the capture", "colmap", replaced(f"{CAM}/images.txt", r"cam01\.png", "../../../a.png"), "plain name"),
    Broken("a camera model from the future", "colmap", replaced(f"{CAM}/cameras.txt", "PINHOLE", "HOLOGRAM"), r"cameras\.txt"),
    Broken(
        "a translation that is not a number", "colmap", replaced(f"{CAM}/images.txt", r"(?m)^(1 .*) \S+ (\d+ cam)", r"\1 nan \2"), r"cam0"
    ),
    Broken("a focal length of 0", "colmap", replaced(f"{CAM}/cameras.txt", r"48 \S+", "48 0"), r"cameras\.txt has a camera with a focal"),
    Broken("fy below 0", "colmap", replaced(f"{CAM}/cameras.txt", r"(48 \S+) \S+", r"\1 -9"), r"cameras\.txt has a camera with a focal"),
    Broken(
        "a binary focal length below 0", "colmap", colmap_bytes("cameras.bin", negative_camera()), r"cameras\.bin has a camera with a focal"
    ),
    Broken(
        "a translation that overflows",
        "colmap",
        replaced(f"{CAM}/images.txt", r"(?m)^(1 .*) \S+ (\d+ cam)", r"\1 1e308 \2"),
        r"images\.txt",
    ),
    Broken("points that claim 10^11 vertices", "colmap", put(f"{CAM}/points3D.ply", ply("element vertex 99999999999")), r"points3D\.ply"),
    Broken("a picture of text", "colmap", put("frame1/images/cam01.png", "no image"), r"frame1/images/cam01\.png", decoding=True),
    # nerfstudio
    Broken("a test file that is a link to nowhere", "dynamic3dgs", linked("test_meta.json", "gone"), r"test_meta\.json is a link to gone"),
    Broken("a position that overflows, with points", "dynamic3dgs", overflowing, r"train_meta\.json: 'w2c': a number is larger"),
    Broken("brackets without end", "nerfstudio", put("transforms.json", "[" * 200_000), r"transforms\.json"),
    Broken("nested objects", "nerfstudio", put("transforms.json", '{"a":' * 100_000 + "1" + "}" * 100_000), r"transforms\.json"),
    Broken(
        "a matrix with NaN",
        "nerfstudio",
        edited("transforms.json", lambda d: d["frames"][0]["transform_matrix"][0].__setitem__(3, float("nan"))),
        r"transforms\.json",
    ),
    Broken(
        "a focal length of 0",
        "nerfstudio",
        edited("transforms.json", lambda d: [f.update(fl_x=0) for f in d["frames"]]),
        r"transforms\.json",
    ),
    Broken("poses with a scale", "nerfstudio", edited("transforms.json", scaled), r"transforms\.json: the pose of cam"),
    Broken("images that are not there", "nerfstudio", delete("images/cam01"), r"images/cam01/0002\.png is missing"),
    # RH20T
    Broken("fewer times than frames", "rh20t", too_few_times, r"timestamps\.npy has 2 times"),
    Broken("code in the times", "rh20t", malicious_pickle(f"cam_{RH20T_SERIALS[0]}/timestamps.npy"), r"timestamps\.npy"),
    Broken("a calibration that is gone", "rh20t", delete("../calib"), r"calib.1689000000000 is missing"),
    Broken("a calibration cut off", "rh20t", cut(f"{CALIB}/extrinsics.npy"), r"extrinsics\.npy"),
    Broken("a calibration with a focal length of 0", "rh20t", flat_lens, r"1689000000000: camera \w+: focal lengths must be positive"),
    Broken("a calibration with a scaled pose", "rh20t", scaled_pose, r"1689000000000: camera \w+: .* is not a rotation"),
    Broken("metadata in another encoding", "rh20t", put("metadata.json", '{"calib": "\xe9"}'.encode("latin1")), r"metadata\.json"),
    # Footage beside poses
    Broken("a row too few", "posed_footage", poses(lambda rows: rows[:-1]), r"poses_bounds\.npy has 2 rows, but there are 3 cameras"),
    Broken("points that are a pipe", "posed_footage", lambda f: os.mkfifo(f / "points3D.ply"), r"points3D\.ply is a device or a pipe"),
    # Folders of images
    Broken("a folder of images missing", "image_folder", delete("images/cam01"), r"images/cam01 is missing"),
    Broken(
        "an image of a billion pixels",
        "image_folder",
        put("images/cam01/0000.png", png(40_000, 40_000, bytes(99))),
        r"cam01/0000\.png",
        decoding=True,
    ),
    Broken(
        "an image larger than it is",
        "image_folder",
        put("images/cam01/0000.png", png(160, 120, bytes(99))),
        r"cam01/0000\.png",
        decoding=True,
    ),
    Broken("a camera named ..", "image_folder", edited("cameras.json", lambda d: d["cameras"][0].update(name="..")), r"cameras\.json"),
    Broken(
        "a focal length of 0",
        "image_folder",
        edited("cameras.json", lambda d: d["cameras"][1]["K"][0].__setitem__(0, 0)),
        r"cameras\.json: cam01",
    ),
    Broken(
        "a pose that is no rotation",
        "image_folder",
        edited("cameras.json", lambda d: d["cameras"][1]["w2c"][0].__setitem__(0, 2)),
        r"cameras\.json: cam01: .* is not a rotation",
    ),
    Broken(
        "a camera of 10^9 pixels a side", "image_folder", edited("cameras.json", lambda d: d.update(width=10**9)), r"cameras\.json: 'width'"
    ),
    Broken(
        "a lens that folds the image",
        "image_folder",
        edited("cameras.json", lambda d: d["cameras"][0].update(dist=[-30, 0, 0, 0])),
        r"cam00",
    ),
    # Folders of videos
    Broken("a video that is missing", "video_folder", delete("videos/cam01.mp4"), r"cam01\.mp4 is missing"),
    Broken(
        "a number that overflows",
        "video_folder",
        edited("cameras.json", lambda d: d["cameras"][1]["w2c"][0].__setitem__(3, 1e308)),
        r"cameras\.json: 'w2c' of cam01: a number is larger",
    ),
    Broken("a video of another shape", "video_folder", video_of("videos/cam01.mp4", 4, 120, 120), r"cam01\.mp4 has 120x120"),
    Broken("a list instead of an object", "video_folder", put("cameras.json", "[]"), r"cameras\.json"),
    Broken("more JSON than any camera needs", "video_folder", put("cameras.json", " " * (17 << 20)), r"cameras\.json"),
    # Caliscope
    Broken("TOML cut off", "caliscope", cut("camera_array.toml", 0.6), r"camera_array\.toml"),
    Broken("TOML that is binary", "caliscope", put("camera_array.toml", bytes(range(256))), r"camera_array\.toml"),
    Broken("a matrix with inf", "caliscope", replaced(TOML, r"matrix = \[\[[^,]+", "matrix = [[inf"), r"camera_array\.toml"),
    Broken(
        "a rotation of zeros",
        "caliscope",
        replaced(TOML, r"rotation = .*", "rotation = " + str([[0, 0, 0]] * 3)),
        r"camera_array\.toml: camera 0",
    ),
    Broken("a time that is not a number", "caliscope", replaced(CSV, r",3[\d.]+", ",nan"), r"timestamps\.csv"),
    Broken("no video of a calibrated camera", "caliscope", renumbered, r"extrinsic has no video"),
    # Qualisys
    Broken("XML cut off", "qualisys", cut("Walk.qca.txt"), r"Walk\.qca\.txt"),
    Broken(
        "entities that explode",
        "qualisys",
        replaced("Walk.qca.txt", r"<calibration>", '<!DOCTYPE a [<!ENTITY b "bbbbbbbb">]><calibration>'),
        r"Walk\.qca\.txt",
    ),
    Broken("XML nested a million deep", "qualisys", put("Walk.qca.txt", "<a>" * 1_000_000), r"Walk\.qca\.txt"),
    Broken(
        "a lens that is not a number",
        "qualisys",
        replaced("Walk.qca.txt", r'focalLengthU="[^"]*"', 'focalLengthU="nan"'),
        r"Walk\.qca\.txt: camera 21001",
    ),
    Broken(
        "a matrix that is no rotation",
        "qualisys",
        replaced("Walk.qca.txt", r'r11="[^"]*"', 'r11="5"'),
        r"Walk\.qca\.txt: camera 21001: .* is not a rotation",
    ),
    Broken("a video of no bytes there", "qualisys", empty("Walk_Miqus_1_21002.mp4"), r"21002\.mp4 is empty"),
)


def refused(arguments: list[str], working: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> str:
    """The sentence with which a command refuses its input."""
    working.mkdir(exist_ok=True)
    monkeypatch.chdir(working)
    capfd.readouterr()
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    printed = capfd.readouterr()
    assert stop.value.code == 2, printed.err
    assert "Traceback" not in printed.out + printed.err
    lines = [line for line in printed.err.splitlines() if not line.startswith("libpng error")]  # which libpng prints by itself
    assert len(lines) == 1, printed.err
    sentence = lines[0]
    assert re.match(r"error: \S", sentence), sentence
    assert 20 < len(sentence) < 1200, sentence
    assert ADVICE.search(sentence), f"says neither what was expected nor what to do: {sentence}"
    assert list(working.iterdir()) == [], "the working folder is left as it was"
    return sentence


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.layout}: {case.what}")
def test_a_broken_capture_gives_one_sentence_and_writes_nothing(
    case: Broken, copy_of: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    folder = copy_of(case.layout)
    case.damage(folder)
    before = tree(tmp_path / "data")
    arguments = ["reconstruct", str(folder), "--frames", "1", "--out", str(tmp_path / "run")] if case.decoding else ["info", str(folder)]
    sentence = refused(arguments, tmp_path / "working", monkeypatch, capfd)
    assert re.search(case.says, sentence), sentence
    assert tree(tmp_path / "data") == before
    assert not (tmp_path / "run").exists()


def test_a_file_that_may_not_be_read_is_named(copy_of: Callable[[str], Path], tmp_path: Path, monkeypatch, capfd):
    if ROOT_USER:
        pytest.skip("root may read everything")
    folder = copy_of("n3dv")
    for file in ("cam01.mp4", "poses_bounds.npy"):
        (folder / file).chmod(0)
        assert f"{file} cannot be read" in refused(["info", str(folder)], tmp_path / "working", monkeypatch, capfd)
        (folder / file).chmod(0o644)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda place: place / "nothing", "nothing does not exist"),
        (lambda place: place / ("x" * 300), "x cannot be read"),
        (lambda place: place / "a\nb\x1b[31m", "does not exist"),
        (lambda place: (place / "empty").mkdir() or place / "empty", "empty is empty"),
        (lambda place: ((place / "note.txt").write_text("") and None) or place / "note.txt", "is a file"),
        (lambda place: (place / "scene.zip").write_bytes(b"PK") and place / "scene.zip", "unzip scene.zip"),
        (lambda place: (place / "text.txt").write_text("hello") and place, "is no capture of a known layout"),
        (lambda place: (place / "loop").symlink_to("loop") or place / "loop", "loop does not exist"),
    ],
)
def test_a_path_that_is_no_capture_gives_one_sentence(make: Callable[[Path], Path], says: str, tmp_path: Path, monkeypatch, capfd):
    (tmp_path / "data").mkdir()
    path = make(tmp_path / "data")
    before = tree(tmp_path / "data")
    assert says in refused(["info", str(path)], tmp_path / "working", monkeypatch, capfd)
    assert tree(tmp_path / "data") == before


def test_there_are_broken_captures_of_every_layout():
    assert len(CASES) >= 40
    assert {case.layout for case in CASES} == set(WHOLE)
    assert set(WHOLE) <= {layout.name for layout in LAYOUTS}
    assert len({(case.layout, case.what) for case in CASES}) == len(CASES)
