"""The smallest real capture: four calibrated cameras film a textured quad that moves in front of a textured wall."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np

from trackersplat.captures.camera import Camera

WIDTH, HEIGHT, FRAMES, FPS = 64, 48, 6, 30.0
NEAR, FAR = 1.0, 8.0


def look_at(position: tuple[float, float, float], target: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> np.ndarray:
    """(4, 4) world to camera, OpenCV axes, of a camera at ``position`` with world y pointing down."""
    forward = np.subtract(target, position).astype(np.float64)
    forward /= np.linalg.norm(forward)
    right = np.cross((0.0, 1.0, 0.0), forward)
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation, -rotation @ np.asarray(position)
    return matrix


def cameras() -> list[Camera]:
    """cam00 to cam03, different in x, y, z and focal length, so that a mixed-up axis or order shows."""
    positions = [(0.1, -0.2, -3.0), (-1.1, -0.4, -2.8), (1.2, 0.3, -2.7), (0.2, 0.9, -2.9)]
    focals = [60.0, 62.0, 64.0, 61.0]
    return [
        Camera(f"cam{i:02d}", WIDTH, HEIGHT, np.array([[f, 0, WIDTH / 2], [0, f, HEIGHT / 2], [0, 0, 1]]), look_at(p, (0.0, 0.0, 0.2)))
        for i, (p, f) in enumerate(zip(positions, focals, strict=True))
    ]


def quad_center(frame: int) -> np.ndarray:
    """(3,) where the quad's centre is; it moves to the right, down and towards the cameras."""
    return np.array([-0.3 + 0.08 * frame, -0.15 + 0.05 * frame, 0.0 - 0.03 * frame])


def texture(u: np.ndarray, v: np.ndarray, phase: float) -> np.ndarray:
    """(..., 3) in 0..1 from surface coordinates in scene units: smooth waves plus a checker."""
    checker = ((np.floor(u * 4) + np.floor(v * 4)) % 2)[..., None]
    waves = np.stack([np.sin(5 * u + phase), np.sin(6 * v + 2 * phase), np.sin(4 * (u + v) - phase)], axis=-1)
    return np.clip(0.5 + 0.25 * waves + 0.2 * (checker - 0.5), 0, 1)


def render(camera: Camera, frame: int) -> np.ndarray:
    """(H, W, 3) uint8, 2x2 samples per pixel: the wall is the plane z = 1.5, the quad a 0.9 x 0.7 rectangle facing -z."""
    offsets = (0.25, 0.75)
    total = np.zeros((camera.height, camera.width, 3))
    for oy in offsets:
        for ox in offsets:
            x, y = np.meshgrid(np.arange(camera.width) + ox, np.arange(camera.height) + oy)
            rays = np.stack([(x - camera.cx) / camera.fx, (y - camera.cy) / camera.fy, np.ones_like(x)], axis=-1) @ camera.rotation
            center = quad_center(frame)
            wall = camera.center + rays * ((1.5 - camera.center[2]) / rays[..., 2])[..., None]
            quad = camera.center + rays * ((center[2] - camera.center[2]) / rays[..., 2])[..., None] - center
            inside = (np.abs(quad[..., 0]) < 0.45) & (np.abs(quad[..., 1]) < 0.35)
            total += np.where(inside[..., None], texture(quad[..., 0], quad[..., 1], 1.0), 0.8 * texture(wall[..., 0], wall[..., 1], 2.5))
    return np.round(total / 4 * 255).astype(np.uint8)


def encode(path: Path, images: np.ndarray, *options: str, fps: float = FPS) -> Path:
    """Writes (T, H, W, 3) uint8 RGB as H.264 4:4:4 with BT.601 colours; ``options`` go to ffmpeg."""
    height, width = images.shape[1:3]
    import imageio_ffmpeg  # here, so that the tests that need no video run without it

    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24"]
    command += ["-s", f"{width}x{height}", "-r", f"{fps:g}", "-i", "-"]
    command += ["-vf", "scale=out_color_matrix=bt601:out_range=tv:flags=accurate_rnd+full_chroma_int", "-pix_fmt", "yuv444p"]
    command += ["-colorspace", "smpte170m", "-color_range", "tv", "-c:v", "libx264", "-crf", "8", "-threads", "1", *options, str(path)]
    subprocess.run(command, input=np.ascontiguousarray(images).tobytes(), check=True)
    return path


def poses_bounds_row(camera: Camera, near: float = NEAR, far: float = FAR) -> np.ndarray:
    """(17,): [down, right, backward, position, (height, width, focal)] row by row, near, far."""
    right, down, forward = camera.rotation
    matrix = np.stack([down, right, -forward, camera.center, (camera.height, camera.width, camera.fx)], axis=1)
    return np.concatenate([matrix.reshape(-1), (near, far)])


def write_n3dv(folder: Path, views: list[Camera], images: list[np.ndarray], fps: float = FPS) -> Path:
    """``<name>.mp4`` per view from its (T, H, W, 3) images, and ``poses_bounds.npy``."""
    folder.mkdir(parents=True, exist_ok=True)
    for camera, frames in zip(views, images, strict=True):
        encode(folder / f"{camera.name}.mp4", frames, fps=fps)
    np.save(folder / "poses_bounds.npy", np.stack([poses_bounds_row(camera) for camera in views]))
    return folder


def write_tiny_capture(folder: Path) -> Path:
    views = cameras()
    return write_n3dv(folder, views, [np.stack([render(camera, frame) for frame in range(FRAMES)]) for camera in views])
