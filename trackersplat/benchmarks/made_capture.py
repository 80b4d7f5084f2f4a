"""A capture on disk, rendered of a scene in exact motion: what benchmarks decode like any other."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import torch

from trackersplat.benchmarks.moving_scene import MovingScene
from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import Capture
from trackersplat.captures.formats.cameras_json import write_rig
from trackersplat.captures.media.cache import usable_cores
from trackersplat.captures.registry import open_capture
from trackersplat.errors import InputError
from trackersplat.rendering.rasterizer import Rasterizer

FPS = 30.0
VIEWS_AT_ONCE = 8  # bounds the memory
JPEG_QUALITY = 97


def write_capture(
    folder: Path, scene: MovingScene, cameras: Sequence[Camera], held_out: str, frames: int, rasterizer: Rasterizer
) -> Capture:
    """Renders the scene to JPEG files in the layout "image_folder" and opens it. Raises InputError if a file cannot be written."""
    for camera in cameras:
        (folder / "images" / camera.name).mkdir(parents=True, exist_ok=True)
    waiting: deque[Future[None]] = deque()
    with ThreadPoolExecutor(usable_cores()) as pool:
        for path, image in _rendered(scene, cameras, frames, rasterizer):
            waiting.append(pool.submit(_write, folder / "images" / path, image))
            while len(waiting) > 4 * usable_cores():
                waiting.popleft().result()
        for written in waiting:
            written.result()
    write_rig(folder / "cameras.json", cameras, frames, FPS, [held_out])
    return open_capture(str(folder))


@torch.no_grad()
def _rendered(scene: MovingScene, cameras: Sequence[Camera], frames: int, rasterizer: Rasterizer) -> Iterator[tuple[str, np.ndarray]]:
    for frame in range(frames):
        gaussians = scene.at(frame)
        for first in range(0, len(cameras), VIEWS_AT_ONCE):
            some = cameras[first : first + VIEWS_AT_ONCE]
            color = rasterizer.render(gaussians, some).color
            for camera, image in zip(some, color.mul(255).round_().clamp_(0, 255).byte().cpu().numpy(), strict=True):
                yield f"{camera.name}/{frame:04d}.jpg", image


def _write(path: Path, image: np.ndarray) -> None:
    if not cv2.imwrite(str(path), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]):
        raise InputError(f"{path} cannot be written: free space on the disk, or choose another folder with --out.")
