"""The Triton back end as a torch function."""

from __future__ import annotations

import glob
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from trackersplat.captures.camera import Camera
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.rendering.backends.cuda import CameraTensors, CudaRasterizer, Lists, tile_lists_of
from trackersplat.rendering.backends.triton import blending, channels
from trackersplat.rendering.backends.triton.projection import Splats, project, unproject
from trackersplat.rendering.rasterizer import PrepareProgress, Rendering
from trackersplat.rendering.rules import ALPHA_MAX


@dataclass(frozen=True, eq=False)
class _Scene:
    """What the kernels work on."""

    splats: Splats
    cameras: CameraTensors
    lists: Lists
    whole: bool  # not colours alone


class _Blend(torch.autograd.Function):
    """(raw parameters, channels, background) -> (color, alpha, depth, blended channels) of all cameras."""

    @staticmethod
    def forward(
        ctx: Any,
        means: Tensor,
        quats: Tensor,
        log_scales: Tensor,
        opacity_logits: Tensor,
        sh: Tensor,
        values: Tensor | None,  # (C | 1, N, F)
        background: Tensor | None,  # (3,)
        scene: _Scene,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        splats, cameras, lists = scene.splats, scene.cameras, scene.lists
        blended = blending.blend(splats.records, cameras, lists, background, whole=scene.whole)
        # lift() asks for the channels of zeros, only to get their gradient: they cost nothing more here than others do
        shown = None if values is None else channels.blend(splats, cameras, lists, values)
        if any(ctx.needs_input_grad):
            ctx.scene = scene
            ctx.save_for_backward(
                means, quats, log_scales, opacity_logits, sh, values, blended.color, blended.alpha, blended.depth, blended.last, shown
            )
            ctx.set_materialize_grads(False)
        return blended.color, blended.alpha, blended.depth, shown

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        *raw, values, color, alpha, depth, last, shown = ctx.saved_tensors
        scene, wanted = ctx.scene, ctx.needs_input_grad
        grad_color, grad_alpha, grad_depth, grad_shown = grads
        splats, cameras, lists = scene.splats, scene.cameras, scene.lists
        of_raw, of_values = any(wanted[:5]), wanted[5] and grad_shown is not None
        sums = torch.zeros_like(splats.records) if of_raw else None
        if sums is not None and not (grad_color is None and grad_alpha is None and grad_depth is None):
            blended = blending.Blended(color, alpha, depth, last)
            blending.unblend(splats.records, cameras, lists, blended, (grad_color, grad_alpha, grad_depth), sums)
        grad_values = torch.zeros(len(color), *values.shape[1:], device=color.device) if of_values else None
        if grad_shown is not None:
            channels.unblend(splats, cameras, lists, values, shown, grad_shown, sums, grad_values)
        found: list[Tensor | None] = [None] * 5
        if sums is not None:
            made = unproject(Gaussians(*raw), cameras, splats, sums)
            found = [gradient if needed else None for gradient, needed in zip(made, wanted, strict=False)]
        if grad_values is not None and len(values) == 1:
            grad_values = grad_values.sum(0, keepdim=True)
        grad_background = None
        if wanted[6] and grad_color is not None:
            grad_background = (grad_color * (1.0 - alpha)[..., None]).sum((0, 1, 2))
        return (*found, grad_values, grad_background, None)


class TritonRasterizer(CudaRasterizer[Splats]):
    """Kernels of this package for CUDA that Triton compiles at first use, within seconds; no CUDA toolkit is needed.

    Same rules as 3DGS (see Rasterizer).
    """

    name = "triton"
    alpha_max = ALPHA_MAX

    @property
    def tile(self) -> int:  # type: ignore[override]
        return blending.TILE

    def project(self, gaussians: Gaussians, cameras: CameraTensors, degree: int | None) -> Splats:
        return project(gaussians, cameras, degree)

    def blend(
        self, gaussians: Gaussians, seen: Splats, cameras: CameraTensors, lists: Lists, channels: Tensor | None, background: Tensor | None
    ) -> Rendering:
        values = channels[None] if channels is not None and channels.ndim == 2 else channels
        scene = _Scene(seen, cameras, lists, whole=True)
        return Rendering(*_Blend.apply(*gaussians.tensors().values(), values, background, scene))

    def blend_color(self, gaussians: Gaussians, seen: Splats, cameras: CameraTensors, lists: Lists, background: Tensor | None) -> Tensor:
        whole = background is not None and background.requires_grad  # whose gradient needs alpha
        color: Tensor = _Blend.apply(*gaussians.tensors().values(), None, background, _Scene(seen, cameras, lists, whole))[0]
        return color

    def lists(self, seen: Splats, cameras: CameraTensors, tile: int) -> Lists:
        return tile_lists_of(seen, cameras, tile)

    def is_prepared(self) -> bool:
        root = os.environ.get("TRITON_CACHE_DIR") or str(Path.home() / ".triton" / "cache")
        return bool(glob.glob(os.path.join(glob.escape(root), "*", "_unproject.json")))

    def prepare(self, progress: PrepareProgress | None = None) -> None:
        """Compiles the kernels of colours alone, which takes some seconds; others follow when they are needed."""
        if progress is not None:
            progress("Triton's kernels", 0, 1)
        one = torch.zeros(1, device=self.device)
        raw = (one.new_zeros(1, 3), one.new_ones(1, 4), one.new_zeros(1, 3), one, one.new_zeros(1, 1, 3))
        scene = Gaussians(*(tensor.requires_grad_() for tensor in raw))
        pose = np.eye(4)
        pose[2, 3] = 3.0
        camera = Camera("compiling", 2 * self.tile, 2 * self.tile, np.array([[8.0, 0, 8], [0, 8, 8], [0, 0, 1]]), pose)
        self._color(scene, camera).sum().backward()
        if progress is not None:
            progress("Triton's kernels", 1, 1)
