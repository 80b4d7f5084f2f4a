"""Seconds that motion takes on this machine: ``python -m trackersplat.benchmarks.motion_kernels``.

A made scene: balls that turn and shift before a static wall, seen from an arc, with the tracks that follow from it.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
import tyro
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.geometry.quaternions import rotate, rotation_vector_to_quaternion
from trackersplat.motion.solve import estimate_motion
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.rendering.registry import choose_rasterizer
from trackersplat.tracking.tracks import DenseTracks, Provenance

BALLS = 12
MADE = Provenance("made")
HIDDEN_WEIGHT = 0.1  # of the position of a hidden point, as with DIS


@dataclass(frozen=True)
class Benchmark:
    """Time the motion of made scenes of several sizes."""

    gaussians: Annotated[tuple[int, ...], tyro.conf.arg(metavar="N...")] = (50_000, 100_000, 200_000, 400_000)
    """Numbers of Gaussians."""
    views: int = 18
    width: int = 676
    height: int = 507
    targets: int = 8
    rounds: int = 5
    """Timed runs; the median counts."""

    def run(self) -> None:
        rasterizer = choose_rasterizer(None)
        print(f"{self.views} views of {self.width}x{self.height}, {self.targets} targets, {rasterizer.name} on {rasterizer.device}")
        for count in self.gaussians:
            scene, ball = made_scene(count, rasterizer.device)
            cameras = [_camera(i, self) for i in range(self.views)]
            moves = [_moves(target + 1, rasterizer.device) for target in range(self.targets)]
            tracks = [_tracks(rasterizer, scene, ball, camera, moves) for camera in cameras]
            seconds = [self._once(rasterizer, scene, cameras, tracks) for _ in range(self.rounds + 1)][1:]
            motion = estimate_motion(rasterizer, scene, cameras, tracks)[-1]
            turn, shift = moves[-1]
            centre = _centres(rasterizer.device)[ball.clamp_min(0)]
            truth = rotate(turn[ball.clamp_min(0)], scene.means - centre) + centre + shift[ball.clamp_min(0)] - scene.means
            error = (motion.translation - truth).norm(dim=-1)[(ball >= 0) & motion.measured]
            shares = f"measured {motion.measured.float().mean():.2f}, static {motion.is_static.float().mean():.2f}"
            middle = 1e3 * sorted(seconds)[len(seconds) // 2]
            print(f"{count:>8,} Gaussians: {middle:8.1f} ms; {shares}, median error {1e3 * error.median():.1f} mm")

    def _once(self, rasterizer: Rasterizer, scene: Gaussians, cameras: list[Camera], tracks: list[DenseTracks]) -> float:
        _wait(rasterizer.device)
        started = time.perf_counter()
        estimate_motion(rasterizer, scene, cameras, tracks)
        _wait(rasterizer.device)
        return time.perf_counter() - started


def made_scene(count: int, device: torch.device) -> tuple[Gaussians, Tensor]:
    """Gaussians on the surfaces, a third of them on balls, and which ball each belongs to (-1: the wall)."""
    generator = torch.Generator().manual_seed(0)
    on_balls = count // 3
    ball = torch.arange(count) % BALLS
    ball[on_balls:] = -1
    direction = torch.nn.functional.normalize(torch.randn(on_balls, 3, generator=generator), dim=-1)
    wall = torch.stack(
        (torch.rand(count - on_balls, generator=generator) * 8 - 4, torch.rand(count - on_balls, generator=generator) * 6 - 3), -1
    )
    means = torch.cat(
        (_centres(torch.device("cpu"))[ball[:on_balls]] + 0.3 * direction, torch.cat((wall, torch.full((len(wall), 1), 1.0)), -1))
    )
    spacing = torch.where(ball >= 0, math.sqrt(BALLS * 4 * math.pi * 0.09 / on_balls), math.sqrt(48 / (count - on_balls)))
    scene = Gaussians(
        means=means,
        quats=torch.nn.functional.normalize(torch.randn(count, 4, generator=generator), dim=-1),
        log_scales=(0.7 * spacing).log()[:, None].repeat(1, 3),
        opacity_logits=torch.full((count,), 3.0),
        sh=torch.rand(count, 4, 3, generator=generator) - 0.5,
    )
    return scene.to(device), ball.to(device)


def _centres(device: torch.device) -> Tensor:
    angle = torch.arange(BALLS) * (2 * math.pi / BALLS)
    return torch.stack((1.6 * angle.cos(), 1.1 * angle.sin(), 0.2 * (3 * angle).sin()), dim=-1).to(device)


def _moves(target: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Rotations (B, 4) and shifts (B, 3) of the balls."""
    index = torch.arange(BALLS, dtype=torch.float32)
    axis = torch.nn.functional.normalize(torch.stack((index.sin(), index.cos(), 0.5 * (2 * index).sin()), -1), dim=-1)
    shift = 0.02 * target * torch.stack(((2 * index).cos(), (3 * index).sin(), (5 * index).cos()), -1)
    return rotation_vector_to_quaternion(0.05 * target * axis).to(device), shift.to(device)


def _camera(index: int, settings: Benchmark) -> Camera:
    angle = math.radians(-50 + 100 * index / max(settings.views - 1, 1))
    centre = np.array((4.5 * math.sin(angle), 0.6 * math.sin(3 * angle), -4.5 * math.cos(angle)))
    forward = -centre / np.linalg.norm(centre)
    right = np.cross((0.0, 1.0, 0.0), forward)
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack((right, np.cross(forward, right), forward))
    pose[:3, 3] = -pose[:3, :3] @ centre
    focal = 0.8 * settings.width
    K = np.array(((focal, 0, settings.width / 2), (0, focal, settings.height / 2), (0, 0, 1)))
    return Camera(f"cam{index:02d}", settings.width, settings.height, K, pose)


@torch.no_grad()
def _tracks(rasterizer: Rasterizer, scene: Gaussians, ball: Tensor, camera: Camera, moves: list[tuple[Tensor, Tensor]]) -> DenseTracks:
    """Every pixel follows the rendered surface at it."""
    one_hot = torch.nn.functional.one_hot(ball + 1, BALLS + 1).float()
    rendering = rasterizer.render(scene, [camera], channels=one_hot, sh_degree=0)
    assert rendering.channels is not None  # the interface returns what was asked for
    owner = rendering.channels[0].argmax(-1) - 1
    depth = rendering.depth[0] / rendering.alpha[0].clamp_min(1e-3)
    rows, columns = torch.meshgrid(*(torch.arange(n, device=scene.device) + 0.5 for n in (camera.height, camera.width)), indexing="ij")
    local = torch.stack(((columns - camera.cx) / camera.fx * depth, (rows - camera.cy) / camera.fy * depth, depth), dim=-1)
    rotation, translation = scene.means.new_tensor(camera.rotation), scene.means.new_tensor(camera.translation)
    points = (local - translation) @ rotation
    positions = []
    for turn, shift in moves:
        chosen = owner.clamp_min(0)
        centre = _centres(scene.device)[chosen]
        moved = torch.where((owner >= 0)[..., None], rotate(turn[chosen], points - centre) + centre + shift[chosen], points)
        after = moved @ rotation.T + translation
        pixel = after[..., :2] / after[..., 2:] * after.new_tensor((camera.fx, camera.fy)) + after.new_tensor((camera.cx, camera.cy))
        # The wall has exactly no motion.
        positions.append(torch.where((owner >= 0)[..., None], pixel, torch.stack((columns, rows), dim=-1)))
    certain = (rendering.alpha[0] > 0.9).float().expand(len(moves), -1, -1).contiguous()
    return DenseTracks(0, tuple(range(1, len(moves) + 1)), torch.stack(positions), certain, torch.ones_like(certain), HIDDEN_WEIGHT, MADE)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    tyro.cli(Benchmark).run()
