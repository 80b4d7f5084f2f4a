"""The first images of some of the demo's cameras, as footage without calibration or as a capture with poses of choice.

By default they have half their size.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.captures.registry import open_capture

CAMERAS = ("cam01", "cam02", "cam03", "cam07", "cam08", "cam09")
FRAMES = 2
WIDTH, HEIGHT = 160, 120  # features of four times as many pixels cost four times as much


def demo_cameras(factor: int = 1) -> dict[str, Camera]:
    """By name. ``factor`` 1 is half the size of the demo, 2 all of it."""
    capture = open_capture("demo")
    capture.close()
    return {camera.name: _resized(camera, factor) for camera in capture.cameras if camera.name in CAMERAS}


def _resized(camera: Camera, factor: int) -> Camera:
    K = np.diag((factor / 2, factor / 2, 1.0)) @ camera.K
    return replace(camera, width=factor * WIDTH, height=factor * HEIGHT, K=K)


def write_footage(folder: Path, factor: int = 1) -> Path:
    """``images/<camera>/<frame>.png``."""
    capture = open_capture("demo")
    for name in CAMERAS:
        (folder / "images" / name).mkdir(parents=True)
        for frame in range(FRAMES):
            image = capture.image(capture.camera_index(name), frame)
            resized = cv2.resize(image, (factor * WIDTH, factor * HEIGHT), interpolation=cv2.INTER_AREA)
            cv2.imwrite(str(folder / "images" / name / f"{frame + 1:04d}.png"), np.ascontiguousarray(resized[..., ::-1]))
    capture.close()
    return folder


def write_capture(folder: Path, footage: Path, poses: dict[str, np.ndarray], factor: int = 1) -> Path:
    """An image folder: links to the images of the footage, the demo's intrinsics and these (4, 4) world to camera; cam08 is held out."""
    folder.mkdir(parents=True)
    (folder / "images").symlink_to(footage / "images")
    known = demo_cameras(factor)
    entries = [{"name": name, "K": known[name].K.tolist(), "w2c": pose.tolist()} for name, pose in poses.items()]
    size = {"width": factor * WIDTH, "height": factor * HEIGHT}
    data = {"cameras": entries, **size, "fps": 30, "frames": FRAMES, "held_out": ["cam08"]}
    (folder / "cameras.json").write_text(json.dumps(data))
    return folder


def turned(pose: np.ndarray, degrees: float) -> np.ndarray:
    """The pose with the camera turned about an axis across its view."""
    turn = np.eye(4)
    turn[:3, :3] = cv2.Rodrigues(np.radians(degrees) * np.array([0.8, 0.6, 0.0]))[0]
    return turn @ pose
