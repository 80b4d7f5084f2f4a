"""A scene in exact motion, made by rule: a textured room in which things move, turn and bend, filmed by cameras on an arc."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.gaussians.gaussians import SH_C0, Gaussians
from trackersplat.geometry.projection import look_at
from trackersplat.geometry.quaternions import multiply, rotate, rotation_vector_to_quaternion

FOCUS = (0.0, 0.0, 0.9)  # scene units; z is up
_ROOM = 4.0  # half its width, and its height
_DETAIL = 6.0  # times as many Gaussians per area on what moves as on the room


@dataclass(frozen=True)
class Mover:
    """A rigid part: it turns about its centre while that goes on."""

    center: tuple[float, float, float]  # at frame 0
    step: tuple[float, float, float]  # scene units per frame
    turn: tuple[float, float, float]  # rotation vector per frame, radians


@dataclass(frozen=True)
class Flag:
    """A bending part: a sheet over (x, z) at depth y, along whose x a wave runs in y."""

    center: tuple[float, float, float]
    size: tuple[float, float]  # width and height
    amplitude: float = 0.12
    wave: float = 5.0  # radians per scene unit
    pace: float = 0.25  # radians per frame


@dataclass(frozen=True, eq=False)
class MovingScene:
    """Gaussians at frame 0, each of one part: 0 does not move, the movers follow, then the flags."""

    still: Gaussians  # flags flat
    part: Tensor  # (N,) int64
    movers: tuple[Mover, ...]
    flags: tuple[Flag, ...] = ()

    def to(self, device: torch.device) -> MovingScene:
        return replace(self, still=self.still.to(device), part=self.part.to(device))

    def at(self, frame: int) -> Gaussians:
        """The Gaussians in a frame, on the same device."""
        means, quats = self.still.means.clone(), self.still.quats.clone()
        for index, mover in enumerate(self.movers, start=1):
            chosen = self.part == index
            turn = rotation_vector_to_quaternion(frame * means.new_tensor(mover.turn))
            center = means.new_tensor(mover.center)
            turn = turn.expand_as(quats[chosen])
            means[chosen] = rotate(turn, means[chosen] - center) + center + frame * means.new_tensor(mover.step)
            quats[chosen] = multiply(turn, quats[chosen])
        for index, flag in enumerate(self.flags, start=1 + len(self.movers)):
            chosen = self.part == index
            phase = flag.wave * (means[chosen, 0] - flag.center[0]) + flag.pace * frame
            means[chosen, 1] += flag.amplitude * torch.sin(phase)
            slope = torch.atan(flag.amplitude * flag.wave * torch.cos(phase))
            turn = rotation_vector_to_quaternion(slope[:, None] * means.new_tensor((0.0, 0.0, 1.0)))
            quats[chosen] = multiply(turn, quats[chosen])
        return Gaussians(means, quats, self.still.log_scales, self.still.opacity_logits, self.still.sh)


MOVERS = (
    Mover((-1.5, 0.4, 0.6), (0.015, 0.0, 0.004), (0.0, 0.0, 0.05)),
    Mover((1.3, 0.8, 0.7), (-0.012, -0.01, 0.0), (0.03, 0.0, -0.03)),
    Mover((0.2, -0.6, 0.5), (0.008, 0.018, 0.0), (0.0, 0.04, 0.0)),
    Mover((0.1, 1.6, 1.6), (-0.015, 0.0, -0.01), (0.02, 0.02, 0.02)),
)
FLAGS = (Flag((-1.4, 2.0, 1.6), (1.3, 1.0)), Flag((1.6, 2.2, 1.7), (1.2, 0.9), pace=-0.2))
_RADIUS = 0.45  # of a mover


def room_in_motion(count: int, seed: int = 0) -> MovingScene:
    """About ``count`` Gaussians on floor, walls, four turning balls and two waving sheets, sized so that neighbours overlap."""
    random = torch.Generator().manual_seed(seed)
    r = _ROOM
    # corner, first side, second side
    planes = [
        ((-r, -r, 0.0), (2 * r, 0.0, 0.0), (0.0, 2 * r, 0.0)),
        ((-r, r, 0.0), (2 * r, 0.0, 0.0), (0.0, 0.0, r)),
        ((-r, -r, 0.0), (0.0, 2 * r, 0.0), (0.0, 0.0, r)),
        ((r, -r, 0.0), (0.0, 2 * r, 0.0), (0.0, 0.0, r)),
    ]
    for flag in FLAGS:
        (x, y, z), (wide, high) = flag.center, flag.size
        planes.append(((x - wide / 2, y, z - high / 2), (wide, 0.0, 0.0), (0.0, 0.0, high)))
    parts_of = [0, 0, 0, 0, *range(1 + len(MOVERS), 1 + len(MOVERS) + len(FLAGS))]
    areas = [float(np.linalg.norm(np.cross(first, second))) for _, first, second in planes]
    areas += [4 * math.pi * _RADIUS**2] * len(MOVERS)
    weights = np.array(
        [area * (1.0 if part == 0 else _DETAIL) for area, part in zip(areas, [*parts_of, *range(1, 1 + len(MOVERS))], strict=True)]
    )
    counts = np.maximum(np.rint(count * weights / weights.sum()).astype(int), 1).tolist()
    points, normals, part = [], [], []
    for (corner, first, second), number, owner in zip(planes, counts, parts_of, strict=False):
        place = torch.rand(number, 2, generator=random)
        points.append(torch.tensor(corner) + place[:, :1] * torch.tensor(first) + place[:, 1:] * torch.tensor(second))
        normal = torch.linalg.cross(torch.tensor(first), torch.tensor(second))
        normals.append(torch.nn.functional.normalize(normal, dim=0).expand(number, 3))
        part.append(torch.full((number,), owner))
    for index, (mover, number) in enumerate(zip(MOVERS, counts[len(planes) :], strict=True), start=1):
        normal = torch.nn.functional.normalize(torch.randn(number, 3, generator=random), dim=1)
        points.append(torch.tensor(mover.center) + _RADIUS * normal)
        normals.append(normal)
        part.append(torch.full((number,), index))
    spacing = torch.cat([torch.full((number,), math.sqrt(area / number)) for area, number in zip(areas, counts, strict=True)])
    still = _splats(torch.cat(points), torch.cat(normals), spacing, torch.cat(part), random)
    return MovingScene(still, torch.cat(part), MOVERS, FLAGS)


def _splats(points: Tensor, normals: Tensor, spacing: Tensor, part: Tensor, random: torch.Generator) -> Gaussians:
    """Flat Gaussians on surfaces, coloured by waves, checks and specks of the size of a few Gaussians."""
    count = len(points)
    quats = torch.stack([1 + normals[:, 2], -normals[:, 1], normals[:, 0], torch.zeros(count)], 1)  # takes z to the normal
    quats[normals[:, 2] < -0.999] = torch.tensor([0.0, 1.0, 0.0, 0.0])
    log_scales = torch.log(spacing[:, None] * torch.tensor([0.75, 0.75, 0.1]) * torch.exp(0.15 * torch.randn(count, 3, generator=random)))
    tint = torch.rand(int(part.max()) + 1, 3, generator=random)[part]
    waves = torch.stack([torch.sin(points @ torch.randn(3, generator=random) * 4) for _ in range(3)], 1)
    checks = (torch.floor(points * 5).sum(1) % 2)[:, None] - 0.5
    cells = torch.floor(points * 25).long()
    specks = torch.sin((cells * torch.tensor([12.9898, 78.233, 37.719])).sum(1, keepdim=True)) * 43758.5453
    colours = 0.25 + 0.5 * tint + 0.1 * waves + 0.2 * checks + 0.25 * (specks - torch.floor(specks) - 0.5)
    sh = torch.zeros(count, 1, 3)
    sh[:, 0] = (colours.clamp(0.02, 0.98) - 0.5) / SH_C0
    return Gaussians(points, quats, log_scales, torch.full((count,), 4.0), sh)


def still_in_motion(still: Gaussians, cameras: Sequence[Camera], balls: int = 4, seed: int = 0) -> MovingScene:
    """Balls cut out of fitted Gaussians around the point that the cameras look at, each of which turns and goes on."""
    random = np.random.default_rng(seed)
    means = still.means.cpu().numpy()
    middle = cameras[len(cameras) // 2]
    pixels, depths = middle.project(means)
    inside = (depths > 0) & (np.abs(pixels / (middle.width, middle.height) - 0.5).max(axis=1) < 0.35)
    inside &= still.opacities.cpu().numpy() > 0.5
    near = np.flatnonzero(inside & (depths < np.quantile(depths[inside], 0.5))) if inside.any() else np.arange(len(means))
    depth = float(np.median(depths[near]))
    radius = 0.12 * depth * middle.width / middle.fx
    part = np.zeros(len(means), np.int64)
    movers: list[Mover] = []
    for index in range(1, balls + 1):
        center = means[random.choice(near)]
        part[(np.linalg.norm(means - center, axis=1) < radius) & (part == 0)] = index
        step, turn = random.normal(size=3), random.normal(size=3)
        step *= 3 * depth / middle.fx / np.linalg.norm(step)  # three pixels per frame
        turn *= 0.02 / np.linalg.norm(turn)
        movers.append(Mover(_three(center), _three(step), _three(turn)))
    return MovingScene(still, torch.from_numpy(part).to(still.device), tuple(movers))


def _three(vector: np.ndarray) -> tuple[float, float, float]:
    return float(vector[0]), float(vector[1]), float(vector[2])


def cameras_on_arc(views: int, width: int, height: int) -> list[Camera]:
    """``views`` cameras on an arc of 80 degrees around `FOCUS`, and one more, "held", in its middle between two of them."""
    angles = [math.radians(80 * (index / max(views - 1, 1) - 0.5)) for index in range(views)]
    middle = math.radians(80 * (0.5 / max(views - 1, 1))) if views % 2 else 0.0
    places = [(f"cam{index:02d}", angle, 0.35 * (-1) ** index) for index, angle in enumerate(angles)]
    return [_camera(name, angle, lift, width, height) for name, angle, lift in (*places, ("held", middle, 0.0))]


def _camera(name: str, angle: float, lift: float, width: int, height: int) -> Camera:
    eye = np.array([4.6 * math.sin(angle), -4.6 * math.cos(angle) + 0.8, 1.6 + lift])
    pose = look_at(eye, np.array(FOCUS), np.array([0.0, 0.0, 1.0]))
    focal = 0.5 * width / math.tan(math.radians(30))
    return Camera(name, width, height, np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]]), pose)
