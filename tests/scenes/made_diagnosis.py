"""A diagnosis made of nothing but numbers: points that turn slowly in front of cameras, some of them followed badly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.diagnosis.categories import Category, TrackState
from trackersplat.diagnosis.diagnosis import CameraFinding, Diagnosis
from trackersplat.diagnosis.registry import EVIDENCE

FAILING = (Category.DRIFT, Category.OCCLUSION, Category.IDENTITY_SWAP, Category.TEXTURELESS, Category.LEFT_IMAGE, Category.FEW_VIEWS)


def made_diagnosis(
    cameras: Sequence[Camera], frames: int, per_camera: int, *, bad_camera: int | None = None, seed: int = 0, failing: float = 0.1
) -> Diagnosis:
    """``per_camera`` tracks in each camera; ids are as those of runs. The first of each camera fails by drift, from the middle frame on."""
    random = np.random.default_rng(seed)
    names = tuple(camera.name for camera in cameras)
    count = per_camera * len(cameras)
    camera = np.repeat(np.arange(len(cameras)), per_camera).astype(np.int16)
    ids = camera.astype(np.int64) * (1 << 40) + np.tile(np.arange(per_camera), len(cameras))
    focus = _focus(cameras)
    radius = 0.12 * float(np.mean([np.linalg.norm(view.center - focus) for view in cameras]))
    start = focus + random.normal(0, radius, (count, 3))
    time = np.linspace(0, 0.6, frames)[:, None]
    world = np.stack(
        [
            focus[0] + (start[:, 0] - focus[0]) * np.cos(time) - (start[:, 2] - focus[2]) * np.sin(time),
            np.broadcast_to(start[:, 1], (frames, count)),
            focus[2] + (start[:, 0] - focus[0]) * np.sin(time) + (start[:, 2] - focus[2]) * np.cos(time),
        ],
        axis=-1,
    )
    truth = np.full((frames, count, 2), np.nan)
    for index, view in enumerate(cameras):
        own = np.flatnonzero(camera == index)
        truth[:, own] = view.project(world[:, own].reshape(-1, 3))[0].reshape(frames, len(own), 2)
    fails = random.random(count) < failing
    fails[::per_camera] = True
    kind = random.choice([int(category) for category in FAILING], count)
    kind[::per_camera] = int(Category.DRIFT)
    since = random.integers(1, max(frames - 1, 2), count)
    since[::per_camera] = frames // 2
    wrong = fails & (np.arange(frames)[:, None] >= since)
    grown = np.where(wrong, 3.0 + 0.8 * (np.arange(frames)[:, None] - since), 0.0)
    if bad_camera is not None:
        grown = grown + np.where(camera == bad_camera, 4.0, 0.0)
    noise = np.abs(random.normal(0.4, 0.15, (frames, count)))
    error = noise + grown
    angle = random.uniform(0, 2 * np.pi, count)
    position = truth + error[..., None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    state = np.full((frames, count), TrackState.VISIBLE, np.uint8)
    hidden = random.random(count) < 0.15
    state[:, hidden] = np.where((np.arange(frames) % 7 < 2)[:, None], TrackState.HIDDEN, TrackState.VISIBLE)
    late = np.flatnonzero(random.random(count) < 0.1)
    late = late[late % per_camera != 0]
    state[: frames // 4, late] = TrackState.ABSENT
    position[: frames // 4, late] = np.nan
    score = np.clip(0.02 + 0.1 * noise + np.where(grown > 0, 0.35 + 0.06 * grown, 0), 0, 0.99)
    score = np.where(state == TrackState.ABSENT, np.nan, score)
    category = np.where(wrong, kind, Category.NONE).astype(np.uint8)
    if bad_camera is not None:
        category[:, camera == bad_camera] = Category.BAD_CAMERA
    evidence = {name: np.full((frames, count), np.nan, np.float32) for name in EVIDENCE.names()}
    evidence["reprojection"] = np.where(state == TrackState.VISIBLE, error, np.nan)
    evidence["leave_one_out"] = 1.2 * evidence["reprojection"]
    evidence["rendered_gap"] = np.where(np.isfinite(score), 1.1 * error + 0.2, np.nan)
    evidence["forward_backward"] = np.where(np.isfinite(score), 0.3 * error, np.nan)
    evidence["ncc_query"] = np.clip(1 - 0.05 * error, -1, 1)
    evidence["ncc_previous"] = np.clip(1 - 0.02 * error, -1, 1)
    evidence["views"] = np.broadcast_to(random.integers(1, max(len(cameras), 2), count), (frames, count))
    evidence["speed"] = np.abs(random.normal(1.5, 0.5, (frames, count)))
    evidence = {name: np.asarray(values, np.float32) for name, values in evidence.items()}
    found = ()
    if bad_camera is not None:
        name = names[bad_camera]
        sentence = f"{name} seems to be turned by 1.0 degrees: its tracks are 4 px from where the other cameras say."
        found = (CameraFinding(name, "turned", 1.0, "degrees", sentence, "Calibrate it again, or leave it out."),)
    query = np.concatenate([np.zeros((count, 1)), truth[0]], axis=1)
    return Diagnosis(
        cameras=names, frames=tuple(range(frames)), ids=ids, camera=camera, query=query.astype(np.float32),
        carrier=np.arange(count, dtype=np.int64), position=position.astype(np.float32), reprojected=truth.astype(np.float32),
        rendered=(truth + 0.2).astype(np.float32), world=world.astype(np.float32), state=state, evidence=evidence,
        score=score.astype(np.float32), category=category, cameras_found=found,
        remarks=("The capture has no masks, so there is no distance to a mask's border.",),
    )  # fmt: skip


def _focus(cameras: Sequence[Camera]) -> np.ndarray:
    """(3,) the point nearest to all optical axes."""
    axes = [view.rotation[2] for view in cameras]
    parts = [np.eye(3) - np.outer(axis, axis) for axis in axes]
    centres = sum((part @ view.center for part, view in zip(parts, cameras, strict=True)), np.zeros(3))
    point: np.ndarray = np.linalg.solve(sum(parts, np.zeros((3, 3))), centres)
    return point
