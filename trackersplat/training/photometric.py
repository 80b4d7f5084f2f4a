"""Cameras that render one scene in different colours: an affine map of the rendered colour per training camera.

Exposure and white balance differ between cameras. A scene fitted without regard to that explains the differences by colours that
change with the direction, or by fog in front of single cameras, and held-out cameras see both.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor
from torch.optim.adamw import adamw

from trackersplat.errors import ShapeError
from trackersplat.training.optimiser import TrainingViews

MOST_CAMERAS = 10_000  # of a file; more are no colour maps
LARGEST = 100.0  # of a number in a file; whatever is larger is no colour correction


@dataclass(frozen=True)
class PhotometricSettings:
    """Whether and how the cameras' colours are matched."""

    mode: Literal["auto", "on", "off"] = "auto"  # auto: only if the cameras turn out to differ
    rate: float = 2e-3  # Adam step size
    rate_end: float = 0.05  # part of it that is left at the last step
    decay: float = 0.1  # pull towards the identity
    trial: float = 0.3  # part of the steps after which "auto" decides
    threshold: float = 3.0  # grey levels (of 255) by which cameras differ on average, from which on "auto" keeps the correction


@dataclass(frozen=True)
class ColourAffines:
    """Per training camera what makes its colours of those of the scene: ``gain @ rgb + offset``, rgb in [0, 1]."""

    cameras: tuple[str, ...]
    matrices: Tensor  # (C, 3, 4) float32: gain, offset
    _copies: dict[torch.device, Tensor] = field(default_factory=dict, init=False, repr=False, compare=False)  # each made once

    def __post_init__(self) -> None:
        if self.matrices.shape != (len(self.cameras), 3, 4):
            raise ShapeError(f"{len(self.cameras)} cameras need ({len(self.cameras)}, 3, 4) colours, got {tuple(self.matrices.shape)}.")

    def apply(self, camera: str, color: Tensor) -> Tensor:
        """(..., 3) as this camera shows it; unchanged for a camera that has no map, such as a held-out one."""
        return transform(self.matrix(camera, color.device), color) if camera in self.cameras else color

    def matrix(self, camera: str, device: torch.device) -> Tensor:
        """(3, 4) of this camera; the identity for a camera that has no map."""
        if camera not in self.cameras:
            return torch.eye(3, 4, device=device)
        if device not in self._copies:
            self._copies[device] = self.matrices.to(device)
        return self._copies[device][self.cameras.index(camera)]

    def to_json(self) -> dict[str, Any]:
        """Camera name -> three rows of four numbers."""
        return dict(zip(self.cameras, self.matrices.tolist(), strict=True))

    @staticmethod
    def from_json(data: dict[str, Any]) -> ColourAffines:
        """Raises ValueError if the numbers are no colour maps."""
        if not 1 <= len(data) <= MOST_CAMERAS:
            raise ValueError(f"{len(data)} cameras")
        for name, rows in data.items():
            fits = isinstance(rows, list) and len(rows) == 3 and all(isinstance(row, list) and len(row) == 4 for row in rows)
            numbers = [value for row in rows for value in row] if fits else [None]
            if any(isinstance(v, bool) or not isinstance(v, (int, float)) or not abs(v) <= LARGEST for v in numbers):
                raise ValueError(f"the colours of {name[:40]!r} are no 3x4 matrix")
        return ColourAffines(tuple(data), torch.tensor(list(data.values()), dtype=torch.float32))


class AffineFit:
    """Colour maps under optimisation. Their mean over the cameras is the identity at every moment.

    Without that gauge the scene and all maps could change together; with it, the mean camera shows the scene as it is, and so does, as
    far as one can know, a held-out one.
    """

    def __init__(self, views: TrainingViews, settings: PhotometricSettings, steps: int) -> None:
        self._views, self._settings = views, settings
        device = views.image(0).device
        self._identity = torch.eye(3, 4, device=device)
        self._raw = torch.zeros((len(views), 3, 4), device=device, requires_grad=True)
        self._mean, self._square = torch.zeros_like(self._raw), torch.zeros_like(self._raw)  # of the gradient, as Adam decays them
        self._steps, self._counted = max(steps, 1), torch.zeros(())

    def matrices(self) -> Tensor:
        """(C, 3, 4), differentiable."""
        return self._identity + self._raw - self._raw.mean(dim=0)

    def apply(self, view: int, color: Tensor) -> Tensor:
        """The rendered (..., 3) colours as this training view shows them."""
        return transform(self.matrices()[view], color)

    @torch.no_grad()
    def step(self) -> None:
        """One step of AdamW down the gradient that a loss has left. Its size falls linearly."""
        if self._raw.grad is None:
            return
        progress = min(float(self._counted) / self._steps, 1.0)
        adamw(
            [self._raw], [self._raw.grad], [self._mean], [self._square], [], [self._counted],
            amsgrad=False, beta1=0.9, beta2=0.999, eps=1e-8, maximize=False, weight_decay=self._settings.decay,
            lr=self._settings.rate * (1 + (self._settings.rate_end - 1) * progress),
        )  # fmt: skip
        self._raw.grad = None

    @torch.no_grad()
    def disagreement(self) -> float:
        """Root mean square change of the pixels of all training images by their maps, in grey levels of 255."""
        change = self.matrices() - self._identity
        squares = [transform(change[view], self._views.image(view)).square().mean() for view in range(len(self._views))]
        return 255 * float(torch.stack(squares).mean().sqrt())

    def affines(self) -> ColourAffines:
        return ColourAffines(tuple(camera.name for camera in self._views.cameras), self.matrices().detach().cpu())


def transform(matrix: Tensor, color: Tensor) -> Tensor:
    """``gain @ rgb + offset`` of (..., 3) colours; ``matrix`` (3, 4)."""
    return color @ matrix[:, :3].T + matrix[:, 3]


def exposed_alike(image: Tensor, reference: Tensor) -> Tensor:
    """``image`` (H, W, 3), clamped to [0, 1], times the gain per channel that brings it closest to ``reference`` by least squares.

    For a camera whose exposure and white balance nobody has estimated. The result may exceed 1.
    """
    shown = image.clamp(0, 1)
    gain = (shown * reference).sum(dim=(0, 1)) / shown.square().sum(dim=(0, 1)).clamp_min(1e-12)
    return shown * gain
