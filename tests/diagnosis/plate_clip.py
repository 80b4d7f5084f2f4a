"""The plate that flies before a wall, filmed by six cameras: exact Gaussians, exact tracks, and faults to order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import cv2
import flying_plate as plate
import numpy as np
import torch
from tiny_capture import look_at

from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import Capture
from trackersplat.diagnosis.diagnose import diagnose_tracks
from trackersplat.diagnosis.diagnosis import Diagnosis, DiagnosisDone
from trackersplat.diagnosis.settings import DiagnosisSettings
from trackersplat.diagnosis.tracked import Scene, TrackTable
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.motion.rendered_depth import PointViews, render_depth

FRAMES = 6
PLACES = [*plate.PLACES, (-0.7, 0.6, -2.9), (0.8, -0.5, -2.9)]
K = np.array(((90.0, 0, plate.WIDTH / 2), (0, 91.0, plate.HEIGHT / 2), (0, 0, 1)))
CAMERAS = tuple(Camera(f"cam{i}", plate.WIDTH, plate.HEIGHT, K, look_at(place, (0.0, 0.0, 0.3))) for i, place in enumerate(PLACES))
STEP = np.array((0.06, -0.025, 0.015))  # of the plate per frame: half of that in `flying_plate`


def scene(frame: float) -> Gaussians:
    """The Gaussians of a frame."""
    return plate.scene(0.5 * frame)


@cache
def picture(camera: int, frame: int) -> np.ndarray:
    """(H, W, 3) uint8."""
    with torch.no_grad():
        color = plate.RASTERIZER.render(scene(frame), [CAMERAS[camera]]).color[0]
    return (color.clamp(0, 1) * 255).round().byte().numpy()


class Film:
    """What the cameras see; one of them may be blurred or late."""

    def __init__(self, blurred: int = -1, late: int = -1) -> None:
        self.blurred, self.late = blurred, late

    def read(self, camera: int, frame: int) -> np.ndarray:
        image = picture(camera, frame - 2 if camera == self.late else frame)
        return cv2.GaussianBlur(image, (0, 0), 1.5) if camera == self.blurred else image

    def prefetch(self, wanted: object) -> None: ...

    def close(self) -> None: ...


def capture_of(film: Film | None = None, cameras: tuple[Camera, ...] = CAMERAS) -> Capture:
    return Capture("plate", Path("plate"), "test", cameras, FRAMES, 30.0, film or Film())


def turned(camera: Camera, degrees: float) -> Camera:
    """About its own y axis."""
    angle = np.radians(degrees)
    turn = np.eye(4)
    turn[:3, :3] = [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
    return replace(camera, world_to_camera=turn @ camera.world_to_camera)


@cache
def exact_tracks(spacing: int = 8) -> TrackTable:
    """From a grid in frame 0, of points of the plate or of the wall, seen or not."""
    starts, cameras = [], []
    for index in range(len(CAMERAS)):
        x, y = np.meshgrid(np.arange(4.5, plate.WIDTH, spacing), np.arange(4.5, plate.HEIGHT, spacing))
        starts.append(np.stack((x, y), axis=-1).reshape(-1, 2))
        cameras.append(np.full(x.size, index))
    pixels, camera = np.concatenate(starts), np.concatenate(cameras)
    views = PointViews.of(CAMERAS, torch.from_numpy(camera))
    depth = render_depth(plate.RASTERIZER, scene(0), CAMERAS, scale=1.0, minimum_alpha=0.5, tolerance=0.02)
    surface = depth.at(torch.from_numpy(pixels), views.camera)
    whole = surface.is_whole.numpy()
    points = views.back_project(torch.from_numpy(pixels), surface.depth).numpy()
    moves = (points[:, 2] < 0.6)[:, None] * STEP
    positions = np.stack([views.project(torch.from_numpy(points + frame * moves))[0].numpy() for frame in range(FRAMES)])
    inside = ((positions >= 0) & (positions < (plate.WIDTH, plate.HEIGHT))).all(axis=(0, 2)) & whole
    positions, camera, pixels = positions[:, inside].astype(np.float32), camera[inside], pixels[inside]
    seen = np.ones(positions.shape[:2], np.float32)
    for frame in range(FRAMES):
        now = render_depth(plate.RASTERIZER, scene(frame), CAMERAS, scale=1.0, minimum_alpha=0.5, tolerance=0.02)
        there = torch.from_numpy((points + frame * moves)[inside])
        own = PointViews.of(CAMERAS, torch.from_numpy(camera))
        place, distance = own.project(there)
        seen[frame] = (now.at(place, own.camera, distance).nearer < 0.5).numpy()
    count = len(camera)
    return TrackTable(
        cameras=tuple(view.name for view in CAMERAS),
        frames=tuple(range(FRAMES)),
        ids=np.arange(count) + 100,
        camera=camera.astype(np.int16),
        query=np.concatenate((np.zeros((count, 1)), pixels), axis=1).astype(np.float32),
        positions=positions,
        visibility=seen,
        confidence=np.full_like(seen, np.nan),
        ends=np.zeros(seen.shape, np.uint8),
    )


def diagnosed(
    tracks: TrackTable,
    filmed: Capture | None = None,
    gaussians: Callable[[int], Gaussians] = scene,
    settings: DiagnosisSettings | None = None,
) -> Diagnosis:
    def kept(frame: int, earlier: int) -> torch.Tensor:
        return torch.ones(len(gaussians(frame)), dtype=torch.bool)

    events = list(
        diagnose_tracks(tracks, Scene(filmed or capture_of(), gaussians, kept), plate.RASTERIZER, settings or DiagnosisSettings())
    )
    assert isinstance(events[-1], DiagnosisDone)
    return events[-1].diagnosis


def on_plate(tracks: TrackTable) -> np.ndarray:
    """(P,) bool."""
    way: np.ndarray = np.linalg.norm(tracks.positions[-1] - tracks.positions[0], axis=1) > 2
    return way
