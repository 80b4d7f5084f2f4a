"""The portable back end as a torch function."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from trackersplat.captures.camera import Camera
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.rendering.backends.portable import binning, blending, channels, compiling, lifting, projection, unprojection
from trackersplat.rendering.inputs import check_inputs
from trackersplat.rendering.rasterizer import FusedColor, FusedLift, PrepareProgress, Rendering

CHANNELS_AT_ONCE = 64  # memory budget: scratch of the channel gradient

# numba's simplest threading layer aborts the process when two threads launch kernels at once
_kernels = threading.Lock()

_NO_IMAGE = np.zeros((0, 0), np.float32)
_NO_COLOR = np.zeros((0, 0, 3), np.float32)
_NO_CHANNELS = np.zeros((0, 0, 0), np.float32)


@dataclass(frozen=True)
class _View:
    """What the forward pass of one camera leaves for its backward pass."""

    camera: np.ndarray
    splats: np.ndarray  # (N * 16,)
    tiles: np.ndarray  # (N, 4)
    first: np.ndarray  # (tiles + 1,)
    splat_of: np.ndarray  # (pairs,)
    slot_of: np.ndarray  # (pairs,)
    first_slot: np.ndarray  # (N,)
    last: np.ndarray  # (tiles,)


@dataclass(frozen=True)
class _Parameters:
    """Raw parameters as flat arrays."""

    means: np.ndarray
    quats: np.ndarray
    log_scales: np.ndarray
    opacity_logits: np.ndarray
    sh: np.ndarray
    stored: int  # SH coefficients per Gaussian
    degree: int  # of those used

    @staticmethod
    def of(tensors: Sequence[Tensor], degree: int) -> _Parameters:
        means, quats, log_scales, logits, sh = (tensor.detach().contiguous().view(-1).numpy() for tensor in tensors)
        return _Parameters(means, quats, log_scales, logits, sh, tensors[4].shape[1], degree)

    def all(self) -> tuple[Any, ...]:
        return self.means, self.quats, self.log_scales, self.opacity_logits, self.sh, self.stored, self.degree


def _see(parameters: _Parameters, camera: np.ndarray, width: int, height: int) -> _View:
    """Projects and bins."""
    n = parameters.opacity_logits.shape[0]
    splats = np.empty(n * projection.RECORD, np.float32)
    tiles = np.empty((n, 4), np.int32)
    projection.project(*parameters.all(), camera, width, height, numba.get_num_threads(), splats, tiles)
    columns, rows = -(-width // projection.TILE), -(-height // projection.TILE)
    order, pairs = binning.order_by_depth(splats, tiles)
    first = np.zeros(columns * rows + 1, np.int64)
    splat_of, slot_of, first_slot = np.empty(pairs, np.int32), np.empty(pairs, np.int32), np.empty(n, np.int32)
    binning.fill_tiles(order, tiles, columns, first, splat_of, slot_of, first_slot)
    return _View(camera, splats, tiles, first, splat_of, slot_of, first_slot, np.empty(columns * rows, np.int64))


def _blend(view: _View, background: np.ndarray, color: np.ndarray, alpha: np.ndarray, depth: np.ndarray) -> None:
    height, width = alpha.shape
    threads = numba.get_num_threads()
    blending.blend(view.splats, view.first, view.splat_of, width, height, background, threads, color, alpha, depth, view.last)


class _Render(torch.autograd.Function):
    """(raw parameters, channels, background) -> (color, alpha, depth, blended channels) of all cameras."""

    @staticmethod
    def forward(
        ctx: Any,
        means: Tensor,
        quats: Tensor,
        log_scales: Tensor,
        opacity_logits: Tensor,
        sh: Tensor,
        values: Tensor,  # (N, F)
        background: Tensor,  # (3,)
        cameras: Sequence[Camera],
        degree: int,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        width, height = cameras[0].width, cameras[0].height
        parameters = _Parameters.of((means, quats, log_scales, opacity_logits, sh), degree)
        values_array = values.detach().contiguous().numpy()
        background_array = background.detach().contiguous().numpy()
        color = np.empty((len(cameras), height, width, 3), np.float32)
        alpha = np.empty((len(cameras), height, width), np.float32)
        depth = np.empty((len(cameras), height, width), np.float32)
        blends = bool(values_array.any())  # lift() asks for the channels of zeros, only to get their gradient
        blended = np.zeros((len(cameras), height, width, values.shape[1]), np.float32)
        views = []
        with _kernels:
            for i, camera in enumerate(cameras):
                view = _see(parameters, projection.pack_camera(camera), width, height)
                _blend(view, background_array, color[i], alpha[i], depth[i])
                if blends:
                    threads = numba.get_num_threads()
                    channels.blend_channels(
                        view.splats, values_array, view.first, view.splat_of, view.last, width, height, threads, blended[i]
                    )
                views.append(view)
        outputs = tuple(torch.from_numpy(array) for array in (color, alpha, depth, blended))
        if any(ctx.needs_input_grad):
            ctx.views = views
            ctx.degree = degree
            ctx.save_for_backward(means, quats, log_scales, opacity_logits, sh, values, *outputs)
            ctx.set_materialize_grads(False)
        return outputs  # type: ignore[return-value]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        *raw, values, color, alpha, depth, blended = ctx.saved_tensors
        grad_color, grad_alpha, grad_depth, grad_blended = grads
        _, height, width = alpha.shape
        wanted = ctx.needs_input_grad
        parameters = _Parameters.of(raw, ctx.degree)
        values_array = values.detach().contiguous().numpy()
        grad_raw = [np.zeros(tensor.numel(), np.float32) for tensor in raw] if any(wanted[:5]) else []
        grad_values = np.zeros(values_array.shape, np.float32) if wanted[5] and grad_blended is not None else None
        with _kernels:
            for i, view in enumerate(ctx.views):
                threads = numba.get_num_threads()
                size = (width, height, threads)
                if grad_raw:
                    slots = np.empty(view.slot_of.size * projection.RECORD, np.float32)
                    blending.unblend(
                        view.splats,
                        values_array,
                        view.first,
                        view.splat_of,
                        view.slot_of,
                        view.last,
                        *size,
                        color[i].numpy(),
                        alpha[i].numpy(),
                        depth[i].numpy(),
                        blended[i].numpy() if grad_blended is not None else _NO_CHANNELS,
                        _array(grad_color, i, _NO_COLOR),
                        _array(grad_alpha, i, _NO_IMAGE),
                        _array(grad_depth, i, _NO_IMAGE),
                        _array(grad_blended, i, _NO_CHANNELS),
                        slots,
                    )
                    unprojection.unproject(*parameters.all(), view.camera, threads, view.tiles, view.first_slot, slots, *grad_raw)
                if grad_values is not None and grad_blended is not None:
                    _unblend_channels(view, _array(grad_blended, i, _NO_CHANNELS), grad_values)
        results: list[Tensor | None] = [None] * 5
        for i, (array, tensor) in enumerate(zip(grad_raw, raw, strict=False)):
            results[i] = torch.from_numpy(array).view(tensor.shape) if wanted[i] else None
        results.append(torch.from_numpy(grad_values) if grad_values is not None else None)
        grad_background = None
        if wanted[6] and grad_color is not None:
            grad_background = (grad_color * (1.0 - alpha)[..., None]).sum((0, 1, 2))
        return (*results, grad_background, None, None)


def _array(grad: Tensor | None, camera: int, absent: np.ndarray) -> np.ndarray:
    return absent if grad is None else grad[camera].detach().contiguous().numpy()


def _unblend_channels(view: _View, grad_blended: np.ndarray, grad_values: np.ndarray) -> None:
    """Adds one camera's part of the gradient of the channels."""
    size = grad_blended.shape[2]
    for start in range(0, size, CHANNELS_AT_ONCE):
        stop = min(size, start + CHANNELS_AT_ONCE)
        whole = stop - start == size
        part = grad_blended if whole else np.ascontiguousarray(grad_blended[..., start:stop])
        result = grad_values if whole else np.zeros((grad_values.shape[0], stop - start), np.float32)
        padded = -(-(stop - start) // 16) * 16
        _sum_pixels(channels.unblend_channels, view, part, padded, result)
        if not whole:
            grad_values[:, start:stop] += result


def _sum_pixels(kernel: Callable[..., None], view: _View, values: np.ndarray, stride: int, result: np.ndarray) -> None:
    """Calls a kernel that sums values (H, W, F) for each Gaussian into (N, F), through ``stride`` numbers per Gaussian and tile."""
    height, width, _ = values.shape
    threads, scratch = numba.get_num_threads(), np.empty(view.slot_of.size * stride, np.float32)
    kernel(
        view.splats, view.tiles, view.first, view.splat_of, view.slot_of, view.first_slot, width, height, threads, values, scratch, result
    )


def _lift(gaussians: Gaussians, cameras: Sequence[Camera], features: Tensor) -> Tensor:
    """See `rendering.lift`: the same weights as in blending, without the colours."""
    _, height, width, size = features.shape
    raw = tuple(gaussians.tensors().values())
    parameters = _Parameters.of(raw, 0)
    lifted = np.zeros((len(cameras), len(gaussians), size), np.float32)
    arrays = features.contiguous().numpy()
    with _kernels:
        for own, camera, result in zip(arrays, cameras, lifted, strict=True):
            view = _see(parameters, projection.pack_camera(camera), width, height)
            if size > lifting.FEW:
                _unblend_channels(view, own, result)
            else:
                _sum_pixels(lifting.lift_few, view, own, size, result)
    return torch.from_numpy(lifted)


class PortableRasterizer:
    """Renders on the CPU with the kernels of this package, everywhere numba runs.

    Same rules as 3DGS (see Rasterizer). The same inputs give the same bits, whatever the number of threads. Calls from
    several threads are made one after the other.
    """

    name = "portable"

    def __init__(self, device: str | torch.device = "cpu") -> None:
        self.device = torch.device(device)
        # Never touched, so it costs nothing; but after freeing it glibc keeps blocks up to this size instead of returning
        # them to the system, and the page faults of fresh memory would cost more than the gradient itself.
        np.empty(31 << 20, np.uint8)

    def render(
        self,
        gaussians: Gaussians,
        cameras: Sequence[Camera],
        *,
        channels: Tensor | None = None,
        sh_degree: int | None = None,
        background: Tensor | None = None,
    ) -> Rendering:
        """See Rasterizer. The gradient covers all raw parameters, channels and background; what needs none costs none.

        Raises ShapeError if the cameras differ in size or are none, channels are not (N, F) or (C, N, F) float32, the background is not
        (3,) float32, sh_degree is negative, or the Gaussians are not on the CPU.
        """
        degree = check_inputs(gaussians, cameras, channels, sh_degree, background, self.device)
        if channels is not None and channels.ndim == 3:
            each = [
                self.render(gaussians, [camera], channels=own, sh_degree=sh_degree, background=background)
                for camera, own in zip(cameras, channels, strict=True)
            ]
            return Rendering(*(torch.cat(parts) for parts in zip(*((r.color, r.alpha, r.depth, r.channels) for r in each), strict=True)))
        values = torch.empty(len(gaussians), 0) if channels is None else channels
        color, alpha, depth, blended = _Render.apply(
            gaussians.means,
            gaussians.quats,
            gaussians.log_scales,
            gaussians.opacity_logits,
            gaussians.sh,
            values,
            torch.zeros(3) if background is None else background,
            cameras,
            degree,
        )
        return Rendering(color, alpha, depth, None if channels is None else blended)

    def fused_color(self) -> FusedColor | None:
        return None

    def repeated_color(self, gaussians: Gaussians, cameras: Sequence[Camera]) -> None:
        return None

    def fused_lift(self) -> FusedLift | None:
        return _lift

    def describe(self) -> str:
        cores = numba.get_num_threads()
        return f"CPU, {cores} core{'' if cores == 1 else 's'} ({self.name})"

    def is_prepared(self) -> bool:
        return compiling.kernels_are_cached()

    def prepare(self, progress: PrepareProgress | None = None) -> None:
        compiling.compile_kernels(progress)
