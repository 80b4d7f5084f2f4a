"""The one interface to every rasteriser."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.gaussians.gaussians import Gaussians


@dataclass(frozen=True)
class Rendering:
    """What C cameras of one size see. Everything is differentiable with respect to the Gaussians (and channels)."""

    color: Tensor  # (C, H, W, 3) linear blend of the Gaussians' colours over the background, not clamped above
    alpha: Tensor  # (C, H, W) in [0, 1]: one minus the transmittance
    depth: Tensor  # (C, H, W) blending-weighted sum of camera-space z (divide by alpha for the expected depth)
    channels: Tensor | None = None  # (C, H, W, F) blending-weighted sums of the channels asked for, background 0


def rendered_together(cameras: Sequence[Camera], most: int | None = None) -> list[list[int]]:
    """Indices of the cameras, in groups that `Rasterizer.render` takes in one call, each of at most so many."""
    alike: dict[tuple[int, int, float], list[int]] = {}
    for index, camera in enumerate(cameras):
        alike.setdefault((camera.width, camera.height, camera.near), []).append(index)
    return [group[first : first + (most or len(group))] for group in alike.values() for first in range(0, len(group), most or len(group))]


PrepareProgress = Callable[[str, int, int], None]  # what is compiled next, steps done, steps in all

# (gaussians, cameras of one size and near plane, features (C, H, W, F) float32 on the device) -> (C, N, F)
FusedLift = Callable[[Gaussians, Sequence[Camera], Tensor], Tensor]


class FusedColor(Protocol):
    """Renders the colours of one camera alone, for loops that do so again and again."""

    def __call__(self, gaussians: Gaussians, camera: Camera, *, background: Tensor | None = None, sh_degree: int | None = None) -> Tensor:
        """(1, H, W, 3) as `Rendering.color`, differentiable."""
        ...


class RepeatedColor(Protocol):
    """Renders the colours of one of several cameras of one size, for a step that is recorded and repeated (`geometry.recording`)."""

    def __call__(self, gaussians: Gaussians, camera: Tensor) -> Tensor:
        """(1, H, W, 3) as `Rendering.color`, differentiable, of the camera of this index (1,) int64, which is read on the device."""
        ...

    def repeatable(self, work: Callable[[], None], kernels: Hashable = None) -> Callable[[], None]:
        """See `recording.Recorder.repeatable`; ``kernels``: what decides about them beside the rendering. Only for the newest
        `RepeatedColor` of a rasteriser."""
        ...

    def is_complete(self) -> bool:
        """Whether all was rendered so far: False where the Gaussians covered more than room was made for. Waits for the device."""
        ...


class Rasterizer(Protocol):
    """Renders by the rules of 3DGS, with the constants of `rendering.rules`.

    EWA projection with a low-pass filter, alpha skipped when small and capped, front-to-back blending that stops when nearly nothing
    is left, nothing nearer than the camera's ``near``.
    """

    name: str  # in the registry
    device: torch.device

    def render(
        self,
        gaussians: Gaussians,
        cameras: Sequence[Camera],  # all of one size and near plane
        *,
        channels: Tensor | None = None,  # (N, F), or (C, N, F) for each camera its own: extra per-Gaussian values to blend
        sh_degree: int | None = None,  # use only the bands up to this degree
        background: Tensor | None = None,  # (3,), black if absent
    ) -> Rendering:
        """Raises ShapeError if sizes or near planes differ between cameras, or channels do not fit the Gaussians."""
        ...

    def fused_lift(self) -> FusedLift | None:
        """The back end's own `rendering.lift.lift` in one pass, or None: then lift() takes the gradient of a render."""
        ...

    def fused_color(self) -> FusedColor | None:
        """The back end's own way to render colours alone, or None."""
        ...

    def repeated_color(self, gaussians: Gaussians, cameras: Sequence[Camera]) -> RepeatedColor | None:
        """The back end's way to render colours in a recorded step, with room for about these Gaussians; None where it has none."""
        ...

    def describe(self) -> str:
        """Device and back end, such as "CPU, 2 cores (portable)" or "NVIDIA H200 (gsplat)"."""
        ...

    def is_prepared(self) -> bool:
        """Whether the kernels seem to be compiled, so that the first render starts at once. Cheap; judges by the files on disk."""
        ...

    def prepare(self, progress: PrepareProgress | None = None) -> None:
        """Compiles the kernels now instead of in the first render. Raises InputError if the back end cannot run here."""
        ...
