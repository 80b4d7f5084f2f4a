"""One whole, small capture of each layout, mostly of the rig of ``filmed_point``; and the parts they are made of."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import dynamic3dgs_files
import numpy as np
import tiny_capture
from colmap_files import write_workspace
from filmed_point import FRAMES, HEIGHT, WIDTH, Filming, rig, write_image, write_video

from trackersplat.captures.camera import Camera
from trackersplat.captures.layouts.rh20t import CALIBRATED_SIZE, IN_HAND

# -- videos with poses_bounds.npy ----------------------------------------------------------------------------------------


def meet_room_views(count: int, distortion: tuple[float, ...] = ()) -> list[Filming]:
    """cam_0, cam_1 and so on, all with centred principal points, as the format demands."""
    K = np.array([[150.0, 0, WIDTH / 2], [0, 150.0, HEIGHT / 2], [0, 0, 1]])
    poses = [tiny_capture.look_at((-1.2 + 0.2 * i, 0.4 * np.cos(i), -3.0 + 0.02 * i)) for i in range(count)]
    return [Filming(Camera(f"cam_{i}", WIDTH, HEIGHT, K, pose), distortion) for i, pose in enumerate(poses)]


def write_meet_room(folder: Path, filmed: Sequence[Filming]) -> Path:
    for filming in filmed:
        write_video(folder / f"{filming.camera.name}.mp4", filming)
    np.save(folder / "poses_bounds.npy", np.stack([tiny_capture.poses_bounds_row(filming.camera) for filming in filmed]))
    return folder


# -- cameras.json --------------------------------------------------------------------------------------------------------


def cameras_json(filmed: Sequence[Filming], **more: Any) -> dict[str, Any]:
    cameras = [
        {"name": f.camera.name, "K": f.camera.K.tolist(), "w2c": f.camera.world_to_camera.tolist(), "dist": list(f.distortion)}
        for f in filmed
    ]
    return {"width": WIDTH, "height": HEIGHT, "cameras": cameras, **more}


def write_video_folder(folder: Path, filmed: Sequence[Filming], **more: Any) -> Path:
    for filming in filmed:
        write_video(folder / "videos" / f"{filming.camera.name}.mp4", filming, fps=25.0)
    (folder / "cameras.json").write_text(json.dumps(cameras_json(filmed, **more)))
    return folder


def write_image_folder(folder: Path, filmed: Sequence[Filming], **more: Any) -> Path:
    for filming in filmed:
        for frame in range(FRAMES):
            write_image(folder / "images" / filming.camera.name / f"{frame:04d}.png", filming, frame)
    (folder / "cameras.json").write_text(json.dumps(cameras_json(filmed, fps=25, frames=FRAMES, **more)))
    return folder


# -- ST-NeRF -------------------------------------------------------------------------------------------------------------

ST_NERF_NUMBERS = (8, 9, 10)  # the published images do not start at 0, and their names do not sort as their numbers do


def write_st_nerf(folder: Path, filmed: Sequence[Filming]) -> Path:
    def line(matrix: np.ndarray) -> str:
        return " ".join(f"{value:.12g}" for value in matrix.reshape(-1))

    for frame in range(FRAMES):
        for number, filming in zip(ST_NERF_NUMBERS, filmed, strict=True):
            write_image(folder / f"frame{frame + 1}" / "images" / f"{number}.png", filming, frame)
    (folder / "pose").mkdir()
    (folder / "pose" / "K.txt").write_text("\n".join(line(filming.K_opencv) for filming in filmed) + "\n")
    poses = [np.linalg.inv(filming.camera.world_to_camera)[:3] for filming in filmed]
    (folder / "pose" / "RT_c2w.txt").write_text("\n".join(map(line, poses)) + "\n")
    return folder


# -- nerfstudio ----------------------------------------------------------------------------------------------------------

NERFSTUDIO_LENS = {"k1": -0.2, "k2": 0.03, "p1": 0.002, "p2": -0.001, "k3": 0.01}


def opengl_pose(filming: Filming) -> list[list[float]]:
    """Camera to world with OpenGL's axes."""
    return (np.linalg.inv(filming.camera.world_to_camera) @ np.diag([1.0, -1.0, -1.0, 1.0])).tolist()


def transforms_json(filmed: Sequence[Filming]) -> dict[str, Any]:
    def entry(filming: Filming, frame: int) -> dict[str, Any]:
        camera = filming.camera
        intrinsics = {"fl_x": camera.fx, "fl_y": camera.fy, "cx": camera.cx, "cy": camera.cy}
        file = f"images/{camera.name}/{frame:04d}.png"
        return {"file_path": file, "time": frame / (FRAMES - 1), "transform_matrix": opengl_pose(filming), **intrinsics}

    # Neither in the order of the cameras nor of the times.
    frames = [entry(filmed[index], frame) for frame in (2, 0, 3, 1) for index in (1, 0, 2)]
    return {"camera_model": "OPENCV", "w": WIDTH, "h": HEIGHT, **NERFSTUDIO_LENS, "frames": frames}


def write_nerfstudio(folder: Path, filmed: Sequence[Filming]) -> Path:
    for filming in filmed:
        for frame in range(FRAMES):
            write_image(folder / "images" / filming.camera.name / f"{frame:04d}.png", filming, frame)
    (folder / "transforms.json").write_text(json.dumps(transforms_json(filmed)))
    return folder


# -- RH20T ---------------------------------------------------------------------------------------------------------------

RH20T_SERIALS = ("036422060909", "037522062165", "f0461559")
RH20T_START = 1_690_000_000_000  # ms
RH20T_SIZE = (320, 180)  # a quarter of the calibrated size
# The second camera starts a frame earlier, the third dropped frame 2; all are some milliseconds off.
RH20T_TAKEN = {RH20T_SERIALS[0]: [0, 1, 2, 3], RH20T_SERIALS[1]: [-1, 0, 1, 2, 3], RH20T_SERIALS[2]: [0, 1, 3]}
RH20T_OFFSET = {RH20T_SERIALS[0]: 0, RH20T_SERIALS[1]: 12, RH20T_SERIALS[2]: -31}


def rh20t_cameras() -> list[Filming]:
    """Seen at 320x180, pixels as wide as high."""
    width, height = RH20T_SIZE
    return [replace(f, camera=replace(f.camera, width=width, height=height, K=np.diag((2.0, 2.0, 1.0)) @ f.camera.K)) for f in rig(3)]


def save_object(path: Path, value: object) -> None:
    """As RH20T publishes its tables: a pickled object, which we read without unpickling."""
    np.save(path, np.array(value, dtype=object), allow_pickle=True)


def write_rh20t(root: Path) -> Path:
    """The dataset's folder ``root`` with a scene, whose folder is returned, and the calibration beside it."""
    folder = root / "task_0001_user_0001_scene_0001_cfg_0005"
    (root / "calib" / "1689000000000").mkdir(parents=True)
    intrinsics, extrinsics = {}, {}
    for serial, filming in zip(RH20T_SERIALS, rh20t_cameras(), strict=True):
        place = folder / f"cam_{serial}"
        frames = RH20T_TAKEN[serial]
        place.mkdir(parents=True)
        tiny_capture.encode(place / "color.mp4", np.stack([filming.film(frame) for frame in frames]), fps=10)
        times = [RH20T_START + 100 * frame + RH20T_OFFSET[serial] for frame in frames]
        save_object(place / "timestamps.npy", {"color": times, "depth": []})
        scale = CALIBRATED_SIZE[0] / RH20T_SIZE[0]
        K = np.diag((scale, scale, 1.0)) @ filming.camera.K
        K[:2, 2] -= 0.5  # centres at whole numbers, at the calibrated size
        intrinsics[serial] = np.concatenate([K, np.zeros((3, 1))], axis=1)
        extrinsics[serial] = [filming.camera.world_to_camera]
    shutil.copytree(folder / f"cam_{RH20T_SERIALS[0]}", folder / f"cam_{IN_HAND[1]}")
    save_object(root / "calib" / "1689000000000" / "intrinsics.npy", intrinsics)
    save_object(root / "calib" / "1689000000000" / "extrinsics.npy", extrinsics)
    (folder / "metadata.json").write_text(json.dumps({"calib": 1689000000000, "rating": 9}))
    return folder


# -- caliscope -----------------------------------------------------------------------------------------------------------

CALISCOPE_NUMBERS = (0, 2, 10)


def caliscope_section(number: int, filming: Filming, *more: str, rotation: object = None) -> str:
    camera = filming.camera
    lines = [
        f"[cameras.{number}]",
        f"cam_id = {number}",
        f"size = [{camera.width}, {camera.height}]",
        f"matrix = {filming.K_opencv.tolist()}",
        f"distortions = {list(filming.distortion)}",
        f"translation = {camera.translation.tolist()}",
        f"rotation = {camera.rotation.tolist() if rotation is None else rotation}",
        *more,
    ]
    return "\n".join(lines) + "\n"


def write_timestamps(folder: Path, taken: dict[int, list[int]], offset: float = 0.001) -> None:
    """``taken[camera]`` are the sync indices that the camera has a frame of, 6 a second."""
    rows = [(index, number, 25.0 + index / 6 + number * offset) for number, indices in taken.items() for index in indices]
    with (folder / "timestamps.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("sync_index", "cam_id", "frame_time"), *sorted(rows)])


def write_caliscope(folder: Path, filmed: Sequence[Filming]) -> Path:
    """Three cameras, numbered 0, 2 and 10, with the same four frames."""
    place = folder / "calibration" / "extrinsic"
    for number, filming in zip(CALISCOPE_NUMBERS, filmed, strict=True):
        write_video(place / f"cam_{number}.mp4", filming, fps=6)
    (folder / "camera_array.toml").write_text("".join(map(caliscope_section, CALISCOPE_NUMBERS, filmed)))
    write_timestamps(place, {number: [35, 36, 37, 38] for number in CALISCOPE_NUMBERS})
    return folder


# -- Qualisys ------------------------------------------------------------------------------------------------------------

QUALISYS_LEFT, QUALISYS_TOP = 8, 6  # of the picture on the sensor


def qualisys_element(serial: str, filming: Filming) -> str:
    camera, (k1, k2, p1, p2) = filming.camera, filming.distortion
    rotation = (np.diag((1.0, -1.0, -1.0)) @ camera.rotation).tolist()
    entries = " ".join(f'r{i + 1}{j + 1}="{rotation[i][j]!r}"' for i in range(3) for j in range(3))
    x, y, z = (camera.center * 1000).tolist()
    K = filming.K_opencv.tolist()
    right, bottom = QUALISYS_LEFT + camera.width - 1, QUALISYS_TOP + camera.height - 1
    return (
        f'<camera active="1" serial="{serial}" viewrotation="0">'
        f'<fov_video left="{QUALISYS_LEFT}" top="{QUALISYS_TOP}" right="{right}" bottom="{bottom}"/>'
        f'<transform {entries} x="{x!r}" y="{y!r}" z="{z!r}"/>'
        f'<intrinsic focalLengthU="{K[0][0] * 64!r}" focalLengthV="{K[1][1] * 64!r}" '
        f'centerPointU="{(K[0][2] + QUALISYS_LEFT) * 64!r}" centerPointV="{(K[1][2] + QUALISYS_TOP) * 64!r}" '
        f'radialDistortion1="{k1}" radialDistortion2="{k2}" radialDistortion3="0" tangentalDistortion1="{p1}" tangentalDistortion2="{p2}"/>'
        "</camera>\n"
    )


def write_qualisys(folder: Path, filmed: Sequence[Filming]) -> Path:
    """Two cameras with videos, and a marker camera without."""
    for serial, filming in zip(("21001", "21002"), filmed, strict=False):
        write_video(folder / f"Walk_Miqus_1_{serial}.mp4", filming, fps=60)
    cameras = "".join(map(qualisys_element, ("21001", "21002", "9003"), filmed))
    (folder / "Walk.qca.txt").write_text(f"<?xml version='1.0'?><calibration><cameras>{cameras}</cameras></calibration>")
    return folder


# -- all of them ----------------------------------------------------------------------------------------------------------

_LENSES = ((-0.1, 0.05, 0.003, -0.002), (0.05, -0.05, -0.002, 0.001))


def write_posed_footage(folder: Path, filmed: Sequence[Filming]) -> Path:
    """Extracted frames in a folder per camera, beside ``poses_bounds.npy``."""
    for filming in filmed:
        for frame in range(FRAMES):
            write_image(folder / filming.camera.name / "images" / f"{frame:04d}.png", filming, frame)
    np.save(folder / "poses_bounds.npy", np.stack([tiny_capture.poses_bounds_row(filming.camera) for filming in filmed]))
    return folder


def _colmap(folder: Path) -> Path:
    for frame in range(2):
        (folder / f"frame{frame + 1}").mkdir(parents=True)
        write_workspace(folder / f"frame{frame + 1}", tiny_capture.cameras()[:3], frame)
    return folder


WHOLE: dict[str, Callable[[Path], Path]] = {
    "n3dv": tiny_capture.write_tiny_capture,
    "meet_room": lambda folder: write_meet_room(folder, meet_room_views(2)),
    "st_nerf": lambda folder: write_st_nerf(folder, rig(3)),
    "dynamic3dgs": dynamic3dgs_files.write,
    "colmap": _colmap,
    "nerfstudio": lambda folder: write_nerfstudio(folder, rig(3, (tuple(NERFSTUDIO_LENS.values()),))),
    "rh20t": lambda folder: write_rh20t(folder.parent),
    "image_folder": lambda folder: write_image_folder(folder, rig(2)),
    "video_folder": lambda folder: write_video_folder(folder, rig(2)),
    "posed_footage": lambda folder: write_posed_footage(folder, meet_room_views(3)),
    "caliscope": lambda folder: write_caliscope(folder, rig(3, _LENSES)),
    "qualisys": lambda folder: write_qualisys(folder, rig(3, _LENSES)),
}
