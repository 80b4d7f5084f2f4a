"""A small capture in the layout of Dynamic 3D Gaussians: a ring of cameras around a moving quad, cam01 and cam11 for testing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tiny_capture

from trackersplat.captures.camera import Camera

FRAMES = 3
TRAIN, TEST = (0, 2, 10, 7), (11, 1)  # ids, neither sorted nor without gaps
UNMASKED = (2, *TEST)
POSITIONS = {
    0: (0.1, -0.2, -3.0),
    1: (-1.1, -0.4, -2.8),
    2: (2.9, 0.3, -0.7),
    7: (-2.6, 0.5, 0.9),
    10: (0.3, 0.9, 3.1),
    11: (1.4, -1.1, 2.4),
}


def ring() -> dict[int, Camera]:
    """id -> camera; different in x, y, z, focal lengths and principal point, so that a mixed-up axis or order shows."""
    cameras = {}
    for i, position in POSITIONS.items():
        K = np.array([[60.0 + i, 0, 31.0 + 0.1 * i], [0, 61.0 + i, 25.0 - 0.1 * i], [0, 0, 1]])
        world_to_camera = tiny_capture.look_at(position, (0.0, 0.0, 0.2))
        cameras[i] = Camera(f"cam{i:02d}", tiny_capture.WIDTH, tiny_capture.HEIGHT, K, world_to_camera)
    return cameras


def image(i: int, frame: int) -> np.ndarray:
    """(H, W, 3) uint8: a colour of its own for each camera and frame, with a square that moves."""
    picture = np.full((tiny_capture.HEIGHT, tiny_capture.WIDTH, 3), (20 * i % 256, 80 * frame, 100), dtype=np.uint8)
    picture[mask(i, frame)] = (250, 20 + i, 30)
    return picture


def mask(i: int, frame: int) -> np.ndarray:
    """(H, W) bool: the square, in another place for each camera and frame."""
    square = np.zeros((tiny_capture.HEIGHT, tiny_capture.WIDTH), dtype=bool)
    square[10 + i : 24 + i, 20 + 4 * frame : 36 + 4 * frame] = True
    return square


def meta(ids: tuple[int, ...]) -> dict[str, Any]:
    cameras = ring()
    row = {"k": [cameras[i].K.tolist() for i in ids], "w2c": [cameras[i].world_to_camera.tolist() for i in ids], "cam_id": list(ids)}
    data: dict[str, Any] = {key: [value] * FRAMES for key, value in row.items()}
    data["fn"] = [[f"{i}/{frame:06d}.jpg" for i in ids] for frame in range(FRAMES)]
    return {"w": tiny_capture.WIDTH, "h": tiny_capture.HEIGHT, **data}


def write(folder: Path) -> Path:
    """The files as published, without first points."""
    for i in (*TRAIN, *TEST):
        (folder / "ims" / str(i)).mkdir(parents=True)
        if i not in UNMASKED:
            (folder / "seg" / str(i)).mkdir(parents=True)
        for frame in range(FRAMES):
            cv2.imwrite(str(folder / "ims" / str(i) / f"{frame:06d}.jpg"), image(i, frame)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 100])
            if i not in UNMASKED:
                cv2.imwrite(str(folder / "seg" / str(i) / f"{frame:06d}.png"), mask(i, frame).astype(np.uint8))
    (folder / "train_meta.json").write_text(json.dumps(meta(TRAIN)))
    (folder / "test_meta.json").write_text(json.dumps(meta(TEST)))
    return folder
