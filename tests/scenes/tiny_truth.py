"""The exact tracks of the capture in ``tiny_capture``, as they lie with a capture: ``gt/flow_<camera>.npz``, ``gt/tracks.npz``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tiny_capture import FRAMES, HEIGHT, WIDTH, cameras, quad_center, render

from trackersplat.captures.camera import Camera
from trackersplat.ply_files import write_table

WALL = 1.5


def write_tiny_truth(folder: Path) -> Path:
    """Adds ``gt`` to a capture folder written by ``write_tiny_capture``; tracks start from frame 0 and reach all others."""
    (folder / "gt").mkdir()
    views = cameras()
    for camera in views:
        points, moving = _surface(camera, 0)
        start, _ = camera.project(points)
        flow, visible = [], []
        for frame in range(1, FRAMES):
            moved = points + moving[:, None] * (quad_center(frame) - quad_center(0))
            flow.append((camera.project(moved)[0] - start).reshape(HEIGHT, WIDTH, 2))
            visible.append(_seen(camera, moved, moving, frame).reshape(HEIGHT, WIDTH))
        np.savez(
            folder / "gt" / f"flow_{camera.name}.npz",
            frames=np.arange(1, FRAMES),
            flow=np.stack(flow).astype(np.float32),
            visible=np.stack(visible),
            valid=np.ones((HEIGHT, WIDTH), bool),
        )
    points, moving = (np.concatenate(parts) for parts in zip(*(_surface(camera, 0) for camera in views), strict=True))
    chosen = np.random.default_rng(0).choice(len(points), 300, replace=False)
    points, moving = points[chosen], moving[chosen]
    xyz = np.stack([points + moving[:, None] * (quad_center(frame) - quad_center(0)) for frame in range(FRAMES)])
    vis = np.stack([[_seen(camera, xyz[frame], moving, frame) for frame in range(FRAMES)] for camera in views])
    np.savez(folder / "gt" / "tracks.npz", xyz=xyz.astype(np.float32), dynamic=moving, vis=vis)
    return folder


def write_tiny_points(folder: Path) -> Path:
    """Adds ``points3D.ply``: what every pixel of every camera sees in the first frame, in its colour."""
    views = cameras()
    xyz = np.concatenate([_surface(camera, 0)[0] for camera in views])
    vertices = np.empty(len(xyz), [(axis, "<f4") for axis in "xyz"] + [(colour, "u1") for colour in ("red", "green", "blue")])
    for index, axis in enumerate("xyz"):
        vertices[axis] = xyz[:, index]
    for index, colour in enumerate(("red", "green", "blue")):
        vertices[colour] = np.concatenate([render(camera, 0)[..., index].reshape(-1) for camera in views])
    write_table(folder / "points3D.ply", vertices)
    return folder


def _surface(camera: Camera, frame: int) -> tuple[np.ndarray, np.ndarray]:
    """(H W, 3) what every pixel centre sees, and whether it is the quad."""
    x, y = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
    rays = np.stack([(x - camera.cx) / camera.fx, (y - camera.cy) / camera.fy, np.ones_like(x)], axis=-1).reshape(-1, 3) @ camera.rotation
    on_quad = camera.center + rays * ((quad_center(frame)[2] - camera.center[2]) / rays[:, 2])[:, None]
    on_wall = camera.center + rays * ((WALL - camera.center[2]) / rays[:, 2])[:, None]
    inside = _inside(on_quad, frame)
    return np.where(inside[:, None], on_quad, on_wall), inside


def _seen(camera: Camera, points: np.ndarray, moving: np.ndarray, frame: int) -> np.ndarray:
    uv, _ = camera.project(points)
    within = (uv >= 0).all(axis=1) & (uv < (WIDTH, HEIGHT)).all(axis=1)
    rays = points - camera.center
    crossing = camera.center + rays * ((quad_center(frame)[2] - camera.center[2]) / rays[:, 2])[:, None]
    return within & (moving | ~_inside(crossing, frame))


def _inside(points: np.ndarray, frame: int) -> np.ndarray:
    offset = np.abs(points - quad_center(frame))
    return (offset[:, 0] < 0.45) & (offset[:, 1] < 0.35)
