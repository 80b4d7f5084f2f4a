"""The first images of some of the demo's cameras, as footage without calibration or as a capture with poses of choice."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.captures.registry import open_capture

CAMERAS = ("cam01", "cam02", "cam03", "cam07", "cam08", "cam09")
FRAMES = 2


def demo_cameras() -> dict[str, Camera]:
    capture = open_capture("demo")
    capture.close()
    return {camera.name: camera for camera in capture.cameras if camera.name in CAMERAS}


def write_footage(folder: Path) -> Path:
    """``images/<camera>/<frame>.png``."""
    capture = open_capture("demo")
    for name in CAMERAS:
        (folder / "images" / name).mkdir(parents=True)
        for frame in range(FRAMES):
            image = capture.image(capture.camera_index(name), frame)
            cv2.imwrite(str(folder / "images" / name / f"{frame + 1:04d}.png"), np.ascontiguousarray(image[..., ::-1]))
    capture.close()
    return folder


def write_capture(folder: Path, footage: Path, poses: dict[str, np.ndarray]) -> Path:
    """An image folder: links to the images of the footage, the demo's intrinsics and these (4, 4) world to camera; cam08 is held out."""
    folder.mkdir(parents=True)
    (folder / "images").symlink_to(footage / "images")
    known = demo_cameras()
    entries = [{"name": name, "K": known[name].K.tolist(), "w2c": pose.tolist()} for name, pose in poses.items()]
    size = {"width": 320, "height": 240}
    data = {"cameras": entries, **size, "fps": 30, "frames": FRAMES, "held_out": ["cam08"]}
    (folder / "cameras.json").write_text(json.dumps(data))
    return folder


def turned(pose: np.ndarray, degrees: float) -> np.ndarray:
    """The pose with the camera turned about an axis across its view."""
    turn = np.eye(4)
    turn[:3, :3] = cv2.Rodrigues(np.radians(degrees) * np.array([0.8, 0.6, 0.0]))[0]
    return turn @ pose
