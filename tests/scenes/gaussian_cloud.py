"""A cloud of Gaussians of all shapes, cameras that look at it, and how close what was rendered has to be to what was expected."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.gaussians.gaussians import Gaussians

RAW = ("means", "quats", "log_scales", "opacity_logits", "sh")
EYE = (2.5, -1.5, 1.0)


def looking(eye: tuple[float, float, float], width: int, height: int, name: str = "cam", near: float = 0.01) -> Camera:
    """A camera at ``eye`` that looks at the origin; principal point off centre, unequal focal lengths."""
    forward = -np.array(eye) / np.linalg.norm(eye)
    right = np.cross(forward, [0.1, 0.2, 1.0])
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward])
    pose[:3, 3] = -pose[:3, :3] @ np.array(eye)
    return Camera(name, width, height, np.array([[1.1 * width, 0, 0.43 * width], [0, 1.02 * width, 0.58 * height], [0, 0, 1]]), pose, near)


def cloud(n: int = 60, degree: int = 3, seed: int = 0, spread: float = 0.7) -> Gaussians:
    """Gaussians of all shapes around the origin: most in view, some at the border, outside and behind the cameras."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    return Gaussians(
        means=normal(n, 3) * spread,
        quats=normal(n, 4) * 3,
        log_scales=normal(n, 3) * 0.6 - 2.2,
        opacity_logits=normal(n) * 2,
        sh=torch.cat([normal(n, 1, 3), normal(n, (degree + 1) ** 2 - 1, 3) * 0.25], 1),
    )


def leaves(gaussians: Gaussians, device: torch.device | str = "cpu") -> Gaussians:
    """A copy that gradients are taken of."""
    return Gaussians(**{name: tensor.detach().to(device, copy=True).requires_grad_() for name, tensor in gaussians.tensors().items()})


def assert_close(actual: Tensor | None, expected: Tensor, tolerance: float) -> None:
    """Largest difference relative to the largest expected value."""
    assert actual is not None
    expected = expected.detach()
    scale = max(float(expected.abs().max()), 1e-6)
    difference = float((actual.detach().cpu().double() - expected).abs().max()) / scale
    assert difference < tolerance, f"relative difference {difference:.2e}"
