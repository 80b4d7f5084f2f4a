"""A small scene whose blending weights are summed by brute force in float64."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.gaussians.gaussians import Gaussians


def look_at(name: str, centre: tuple[float, float, float], width: int = 64, height: int = 48, focal: float = 70.0) -> Camera:
    """A camera at ``centre`` that looks at the origin, y down; the principal point is off centre."""
    eye = np.array(centre)
    forward = -eye / np.linalg.norm(eye)
    right = np.cross(forward, (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right)
    rotation = np.stack((right, np.cross(forward, right), forward))
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation, -rotation @ eye
    matrix = np.array(((focal, 0, 0.5 * width + 1.5), (0, focal * 1.02, 0.5 * height - 0.75), (0, 0, 1)))
    return Camera(name, width, height, matrix, pose)


@pytest.fixture
def cameras() -> list[Camera]:
    """Five views from a wide arc."""
    places = [(3.0, -1.5, 1.0), (3.2, -0.5, 0.4), (3.1, 0.4, 1.2), (2.8, 1.3, 0.2), (2.9, 0.2, -0.8)]
    return [look_at(f"cam{i:02d}", place) for i, place in enumerate(places)]


@pytest.fixture
def make_gaussians() -> Callable[..., Gaussians]:
    def make(means: np.ndarray, scale: float = 0.05, degree: int = 0, seed: int = 0) -> Gaussians:
        """Opaque, isotropic, randomly oriented Gaussians of random colours."""
        rng = np.random.default_rng(seed)
        count = len(means)
        return Gaussians(
            means=torch.tensor(means, dtype=torch.float32),
            quats=torch.tensor(rng.normal(size=(count, 4)), dtype=torch.float32),
            log_scales=torch.full((count, 3), float(np.log(scale))),
            opacity_logits=torch.full((count,), 2.0),
            sh=torch.tensor(rng.normal(size=(count, (degree + 1) ** 2, 3)), dtype=torch.float32),
        )

    return make


@pytest.fixture
def brute_force_weights() -> Callable[[Gaussians, Camera], Tensor]:
    def weights(gaussians: Gaussians, camera: Camera) -> Tensor:
        """(N, H, W) float64 blending weights of isotropic Gaussians by the rules of 3DGS."""
        means, scales = gaussians.means.double().numpy(), gaussians.scales.double().numpy()
        opacities = gaussians.opacities.double().numpy()
        uv, depth = camera.project(means)
        local = means @ camera.rotation.T + camera.translation
        rows, columns = np.mgrid[: camera.height, : camera.width] + 0.5
        result = np.zeros((len(means), camera.height, camera.width))
        left = np.ones((camera.height, camera.width))
        for i in np.argsort(depth):
            x, y, z = local[i]
            jacobian = np.array(((camera.fx / z, 0, -camera.fx * x / z**2), (0, camera.fy / z, -camera.fy * y / z**2)))
            inverse = np.linalg.inv(scales[i, 0] ** 2 * jacobian @ jacobian.T + 0.3 * np.eye(2))
            offset = np.stack((columns - uv[i, 0], rows - uv[i, 1]), axis=-1)
            alpha = np.minimum(opacities[i] * np.exp(-0.5 * np.einsum("hwa,ab,hwb->hw", offset, inverse, offset)), 0.99)
            alpha[alpha < 1 / 255] = 0
            result[i] = alpha * left
            left = left * (1 - alpha)
        return torch.from_numpy(result)

    return weights


@pytest.fixture
def rigid() -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    def motion(
        points: np.ndarray, angle: float, axis: tuple[float, float, float], centre: np.ndarray, shift: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Displacements (N, 3) of a rotation (Rodrigues) about ``centre`` followed by ``shift``, and the rotation matrix."""
        unit = np.array(axis) / np.linalg.norm(axis)
        cross = np.array(((0, -unit[2], unit[1]), (unit[2], 0, -unit[0]), (-unit[1], unit[0], 0)))
        rotation = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
        return (points - centre) @ rotation.T + centre + shift - points, rotation

    return motion
