"""The scene at one instant: a frozen set of 3D Gaussians."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from trackersplat.errors import ShapeError

SH_C0 = 0.28209479177387814  # Y_00, the constant real spherical harmonic


@dataclass(frozen=True, eq=False)
class Gaussians:
    """N Gaussians in the parametrisation of 3DGS (Kerbl et al. 2023), all float32 on one device.

    Colour = 0.5 + sum_k sh[:, k] Y_k(direction from camera to mean), clamped at 0; K = (degree + 1)^2, degree 0-3.

    Raises ShapeError if shapes, dtypes or devices disagree.
    """

    means: Tensor  # (N, 3) world
    quats: Tensor  # (N, 4) wxyz, any norm but 0
    log_scales: Tensor  # (N, 3) log of the standard deviations
    opacity_logits: Tensor  # (N,)
    sh: Tensor  # (N, K, 3)

    def __post_init__(self) -> None:
        n = self.means.shape[0] if self.means.ndim else -1
        expected = {"means": (n, 3), "quats": (n, 4), "log_scales": (n, 3), "opacity_logits": (n,)}
        for name, shape in expected.items():
            if tuple(getattr(self, name).shape) != shape:
                raise ShapeError(f"Gaussians.{name} must have shape {shape}, got {tuple(getattr(self, name).shape)}.")
        if self.sh.ndim != 3 or self.sh.shape[0] != n or self.sh.shape[1] not in (1, 4, 9, 16) or self.sh.shape[2] != 3:
            raise ShapeError(f"Gaussians.sh must have shape ({n}, 1 | 4 | 9 | 16, 3), got {tuple(self.sh.shape)}.")
        for field in fields(self):
            tensor = getattr(self, field.name)
            if tensor.dtype != torch.float32 or tensor.device != self.means.device:
                raise ShapeError(f"Gaussians.{field.name} must be float32 on {self.means.device}, got {tensor.dtype} on {tensor.device}.")

    def __len__(self) -> int:
        return self.means.shape[0]

    def __getitem__(self, index: Tensor | slice) -> Gaussians:
        """A subset by boolean mask, index tensor or slice."""
        return Gaussians(**{name: tensor[index] for name, tensor in self.tensors().items()})

    def tensors(self) -> dict[str, Tensor]:
        """Field name -> tensor, in declaration order."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def to(self, device: torch.device | str) -> Gaussians:
        """The same object where it is there already: what is known of it is found again."""
        tensors = self.tensors()
        moved = {name: tensor.to(device) for name, tensor in tensors.items()}
        return self if all(moved[name] is tensor for name, tensor in tensors.items()) else Gaussians(**moved)

    def detach(self) -> Gaussians:
        return Gaussians(**{name: tensor.detach() for name, tensor in self.tensors().items()})

    @property
    def device(self) -> torch.device:
        return self.means.device

    @property
    def sh_degree(self) -> int:
        return {1: 0, 4: 1, 9: 2, 16: 3}[self.sh.shape[1]]

    @property
    def opacities(self) -> Tensor:
        """(N,) in (0, 1)."""
        return torch.sigmoid(self.opacity_logits)

    @property
    def scales(self) -> Tensor:
        """(N, 3) standard deviations in scene units."""
        return torch.exp(self.log_scales)


def concatenate(parts: list[Gaussians]) -> Gaussians:
    """One set from several, of the same SH degree and device."""
    return Gaussians(**{name: torch.cat([part.tensors()[name] for part in parts]) for name in parts[0].tensors()})
