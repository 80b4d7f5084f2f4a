"""A rig of known, distorted cameras that film one bright point, so that a whole reader can be checked: 3D point in, bright pixel out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import tiny_capture

from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import Capture

WIDTH, HEIGHT, FRAMES = 160, 120, 4
SIGMA = 2.0  # pixels, of the bright spot


@dataclass(frozen=True)
class Filming:
    """A camera as calibrated, pixel centres at +0.5, with OpenCV's distortion."""

    camera: Camera
    distortion: tuple[float, ...] = ()
    fisheye: bool = False

    @property
    def K_opencv(self) -> np.ndarray:
        """(3, 3) with pixel centres at whole numbers."""
        return self.camera.K - np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])

    def spot(self, point: np.ndarray) -> np.ndarray:
        """(2,) where OpenCV's own projection puts a point, pixel centres at whole numbers."""
        rotation, _ = cv2.Rodrigues(self.camera.rotation)
        project = cv2.fisheye.projectPoints if self.fisheye else cv2.projectPoints
        arguments = (rotation, self.camera.translation, self.K_opencv, np.array(self.distortion or (0.0,) * 4))
        return project(point.reshape(1, 1, 3), *arguments)[0].reshape(2)

    def film(self, frame: int) -> np.ndarray:
        """(H, W, 3) uint8: orange on dark grey, so that swapped colours show."""
        rows, columns = np.mgrid[: self.camera.height, : self.camera.width]
        x, y = self.spot(point_at(frame))
        spot = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * SIGMA**2))
        return np.round(30 + spot[..., None] * (200, 120, 0)).astype(np.uint8)


def point_at(frame: int) -> np.ndarray:
    """(3,) far off every axis, where lenses bend most, and moving along all of them."""
    return np.array([0.85 - 0.05 * frame, -0.68 + 0.04 * frame, 0.23 + 0.03 * frame])


def rig(count: int = 3, distortions: tuple[tuple[float, ...], ...] = (), fisheye: bool = False) -> list[Filming]:
    """Cameras different in place, focal lengths and principal point."""
    made = []
    for index, camera in enumerate(tiny_capture.cameras()[:count]):
        camera = camera.resized(WIDTH, HEIGHT)
        K = camera.K + np.array([[0, 0, 3.5 - index], [0, 4.0, -2.25 + index], [0, 0, 0]])
        distortion = distortions[index % len(distortions)] if distortions else ()
        made.append(Filming(replace(camera, K=K), distortion, fisheye))
    return made


def write_video(path: Path, filming: Filming, frames: range = range(FRAMES), fps: float = 30.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return tiny_capture.encode(path, np.stack([filming.film(frame) for frame in frames]), fps=fps)


def write_image(path: Path, filming: Filming, frame: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.ascontiguousarray(filming.film(frame)[..., ::-1]))
    return path


def brightest(image: np.ndarray) -> np.ndarray:
    """(2,) centre of the bright spot, pixel centres at +0.5."""
    weights = np.clip(image[..., 0].astype(float) - 80, 0, None)
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]] + 0.5
    return np.array([(weights * columns).sum(), (weights * rows).sum()]) / weights.sum()


def assert_the_point_lights_up(capture: Capture, frames: Sequence[int] = range(FRAMES), atol: float = 0.15) -> None:
    """In every camera and frame the spot is where the capture's camera projects the point."""
    assert capture.frame_count == len(frames)
    for index, camera in enumerate(capture.cameras):
        for number, frame in enumerate(frames):
            image = capture.image(index, number)
            assert image.shape == (camera.height, camera.width, 3)
            assert image.min() > 10, "a blank pixel"
            uv = camera.project(point_at(frame)[None])[0][0]
            assert (uv > 5).all()
            assert (uv < (camera.width - 5, camera.height - 5)).all()
            np.testing.assert_allclose(brightest(image), uv, atol=atol, err_msg=f"{camera.name}, frame {frame}")
            red, green, blue = image[int(uv[1]), int(uv[0])].astype(int)
            assert red > green > blue
