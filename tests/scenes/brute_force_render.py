"""The rules of 3DGS rendering said once more in plain float64 torch: every pixel, every Gaussian, differentiated by autograd.

Nothing here is shared with the rasterisers under test.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.gaussians.gaussians import Gaussians


@dataclass
class BruteForce:
    color: Tensor  # (H, W, 3)
    alpha: Tensor  # (H, W)
    depth: Tensor  # (H, W)
    channels: Tensor  # (H, W, F)
    weights: Tensor  # (H, W, N)


def harmonics(direction: Tensor, degree: int) -> Tensor:
    """(N, 3) unit -> (N, K), from associated Legendre polynomials (not from the tables of 3DGS).

    Order l, m = -l..l; the Condon-Shortley phase is kept, which is the convention of 3DGS.
    """
    x, y, z = direction.unbind(1)
    phi = torch.atan2(y, x)
    sin = torch.sqrt(x * x + y * y)
    legendre = {
        (0, 0): torch.ones_like(z),
        (1, 0): z,
        (1, 1): -sin,
        (2, 0): (3 * z**2 - 1) / 2,
        (2, 1): -3 * z * sin,
        (2, 2): 3 * sin**2,
        (3, 0): (5 * z**3 - 3 * z) / 2,
        (3, 1): -1.5 * (5 * z**2 - 1) * sin,
        (3, 2): 15 * z * sin**2,
        (3, 3): -15 * sin**3,
    }
    columns = []
    for band in range(degree + 1):
        for m in range(-band, band + 1):
            order = abs(m)
            norm = math.sqrt((2 * band + 1) / (4 * math.pi) * math.factorial(band - order) / math.factorial(band + order))
            value = norm * legendre[band, order]
            if m > 0:
                value = math.sqrt(2) * value * torch.cos(order * phi)
            if m < 0:
                value = math.sqrt(2) * value * torch.sin(order * phi)
            columns.append(value)
    return torch.stack(columns, 1)


def double(gaussians: Gaussians) -> dict[str, Tensor]:
    """Raw parameters as float64 leaves."""
    return {name: tensor.detach().double().requires_grad_() for name, tensor in gaussians.tensors().items()}


def render(
    raw: dict[str, Tensor],
    camera: Camera,
    channels: Tensor | None = None,
    sh_degree: int | None = None,
    background: Tensor | None = None,
    alpha_cap: float = 0.99,
) -> BruteForce:
    means, n = raw["means"], raw["means"].shape[0]
    view = torch.from_numpy(camera.world_to_camera.copy())
    W, t = view[:3, :3], view[:3, 3]
    local = means @ W.T + t
    x, y, z = local.unbind(1)
    uv = torch.stack([camera.fx * x / z + camera.cx, camera.fy * y / z + camera.cy], 1)

    q = raw["quats"] / raw["quats"].norm(dim=1, keepdim=True)
    w, v = q[:, :1], q[:, 1:]
    cross = torch.zeros(n, 3, 3, dtype=torch.float64)
    cross[:, 0, 1], cross[:, 0, 2], cross[:, 1, 2] = -v[:, 2], v[:, 1], -v[:, 0]
    cross = cross - cross.transpose(1, 2)
    R = torch.eye(3) + 2 * w[..., None] * cross + 2 * cross @ cross
    covariance = R @ torch.diag_embed(torch.exp(2 * raw["log_scales"])) @ R.transpose(1, 2)
    half_x, half_y = 0.5 * camera.width / camera.fx, 0.5 * camera.height / camera.fy
    slope_x = torch.clamp(x / z, -camera.cx / camera.fx - 0.3 * half_x, (camera.width - camera.cx) / camera.fx + 0.3 * half_x)
    slope_y = torch.clamp(y / z, -camera.cy / camera.fy - 0.3 * half_y, (camera.height - camera.cy) / camera.fy + 0.3 * half_y)
    zero = torch.zeros_like(z)
    J = torch.stack([camera.fx / z, zero, -camera.fx * slope_x / z, zero, camera.fy / z, -camera.fy * slope_y / z], 1).view(n, 2, 3)
    cov = J @ W @ covariance @ W.T @ J.transpose(1, 2) + 0.3 * torch.eye(2)
    conic = torch.linalg.inv(cov)

    degree = math.isqrt(raw["sh"].shape[1]) - 1
    degree = degree if sh_degree is None else min(degree, sh_degree)
    offset = means - torch.from_numpy(np.array(camera.center))
    basis = harmonics(offset / offset.norm(dim=1, keepdim=True), degree)
    rgb = torch.clamp_min(0.5 + torch.einsum("nk,nkc->nc", basis, raw["sh"][:, : basis.shape[1]]), 0)

    rows, columns = torch.meshgrid(torch.arange(camera.height) + 0.5, torch.arange(camera.width) + 0.5, indexing="ij")
    pixels = torch.stack([columns, rows], -1).double()
    transmittance = torch.ones(camera.height, camera.width, dtype=torch.float64)
    done = torch.zeros(camera.height, camera.width, dtype=torch.bool)
    weights: list[Tensor] = [torch.zeros(camera.height, camera.width, dtype=torch.float64)] * n
    opacity = torch.sigmoid(raw["opacity_logits"])
    for i in torch.argsort(z.detach(), stable=True).tolist():
        if z[i] <= camera.near:
            continue
        d = pixels - uv[i]
        a = opacity[i] * torch.exp(-0.5 * torch.einsum("hwi,ij,hwj->hw", d, conic[i], d))
        a = torch.where(a < 1 / 255, torch.zeros_like(a), torch.clamp_max(a, alpha_cap))
        after = transmittance * (1 - a)
        done = done | (after < 1e-4)
        weights[i] = torch.where(done, torch.zeros_like(a), a * transmittance)
        transmittance = torch.where(done, transmittance, after)
    stacked = torch.stack(weights, -1)
    black = torch.zeros(3, dtype=torch.float64) if background is None else background.double()
    color = stacked @ rgb + transmittance[..., None] * black
    extra = torch.zeros(n, 0, dtype=torch.float64) if channels is None else channels
    return BruteForce(color, 1 - transmittance, stacked @ z, stacked @ extra, stacked)
