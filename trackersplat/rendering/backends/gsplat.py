"""Rendering on CUDA with gsplat (Apache-2.0)."""

from __future__ import annotations

import glob
import importlib.util
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.errors import InputError
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.rendering.inputs import check_inputs
from trackersplat.rendering.rasterizer import FusedColor, FusedLift, PrepareProgress, Rendering
from trackersplat.rendering.rules import ALPHA_MIN, EPS_2D, FAR, GSPLAT_ALPHA_MAX, TRANSMITTANCE_MIN

TILE = 16  # pixels a side, of gsplat's rasterisation
CHANNELS_AT_ONCE = 32  # gsplat's kernels slow down beyond; colour, depth and 28 channels are one pass


@dataclass(frozen=True, eq=False)
class _CameraTensors:
    pose: Tensor  # (1, 4, 4) world to camera
    intrinsics: Tensor  # (1, 3, 3)
    center: Tensor  # (1, 3)


class GsplatRasterizer:
    """gsplat's ``rasterization``; its kernels are compiled at first use, which takes about a minute (see ``prepare``).

    Same rules as 3DGS (see Rasterizer) except for the cap of alpha (`rules.GSPLAT_ALPHA_MAX`).
    """

    name = "gsplat"

    def __init__(self, device: str | torch.device = "cuda") -> None:
        self.device = torch.device(device)
        if self.device.type == "cuda" and self.device.index is None:
            self.device = torch.device("cuda", torch.cuda.current_device())
        self._known: WeakKeyDictionary[Camera, _CameraTensors] = WeakKeyDictionary()

    def render(
        self,
        gaussians: Gaussians,
        cameras: Sequence[Camera],
        *,
        channels: Tensor | None = None,
        sh_degree: int | None = None,
        background: Tensor | None = None,
    ) -> Rendering:
        """See Rasterizer. Colour, depth and up to 28 channels are blended in one pass, more in passes of 32.

        Raises ShapeError as PortableRasterizer.render does, and InputError if gsplat cannot run here.
        """
        degree = check_inputs(gaussians, cameras, channels, sh_degree, background, self.device)
        width, height, views = cameras[0].width, cameras[0].height, len(cameras)
        if len(gaussians) == 0:  # gsplat's kernels need at least one
            return _nothing(views, height, width, channels, background, self.device)
        rasterization, spherical_harmonics = _load()
        known = [self._tensors(camera) for camera in cameras]
        poses, intrinsics = torch.cat([each.pose for each in known]), torch.cat([each.intrinsics for each in known])
        colors = gaussians.sh
        if channels is not None:
            # gsplat takes coefficients or values, not both: evaluate the colours first and blend them with the channels
            centers = torch.cat([each.center for each in known])
            directions = gaussians.means[None] - centers[:, None]
            rgb = spherical_harmonics(degree, directions, gaussians.sh[None].expand(views, -1, -1, -1))
            colors = torch.cat([torch.clamp_min(rgb + 0.5, 0.0), channels.expand(views, -1, -1)], 2)
        backgrounds = None
        if background is not None:
            backgrounds = torch.cat([background, background.new_zeros(0 if channels is None else channels.shape[-1])]).expand(views, -1)
        blended, alpha, _ = rasterization(
            gaussians.means,
            gaussians.quats,
            gaussians.scales,
            gaussians.opacities,
            colors,
            poses,
            intrinsics,
            width,
            height,
            near_plane=cameras[0].near,
            far_plane=FAR,
            eps2d=EPS_2D,
            sh_degree=degree if channels is None else None,
            packed=False,
            backgrounds=backgrounds,
            render_mode="RGB+D",
            channel_chunk=CHANNELS_AT_ONCE,
        )
        return Rendering(blended[..., :3], alpha[..., 0], blended[..., -1], None if channels is None else blended[..., 3:-1])

    def fused_color(self) -> FusedColor | None:
        return self._color

    def _color(self, gaussians: Gaussians, camera: Camera, *, background: Tensor | None = None, sh_degree: int | None = None) -> Tensor:
        """See `rasterizer.FusedColor`: what ``rasterization`` does for colours, without what it makes beside."""
        degree = check_inputs(gaussians, [camera], None, sh_degree, background, self.device)
        width, height = camera.width, camera.height
        if len(gaussians) == 0:
            return _nothing(1, height, width, None, background, self.device).color
        _, spherical_harmonics = _load()
        from gsplat import fully_fused_projection, isect_offset_encode, isect_tiles, rasterize_to_pixels

        known, opacities = self._tensors(camera), gaussians.opacities
        radii, means2d, depths, conics, _ = fully_fused_projection(
            gaussians.means, None, gaussians.quats, gaussians.scales, known.pose, known.intrinsics, width, height,
            eps2d=EPS_2D, near_plane=camera.near, far_plane=FAR, opacities=opacities,
        )  # fmt: skip
        visible = (radii[0] > 0).all(dim=-1)
        values = spherical_harmonics(degree, gaussians.means - known.center, gaussians.sh, masks=visible)
        columns, rows = -(-width // TILE), -(-height // TILE)
        with torch.no_grad():
            _, tile_ids, ids = isect_tiles(means2d, radii, depths, TILE, columns, rows, packed=False, n_images=1)
            offsets = isect_offset_encode(tile_ids, 1, columns, rows)
        blended, _ = rasterize_to_pixels(
            means2d, conics, torch.clamp_min(values + 0.5, 0.0)[None], opacities[None], width, height, TILE, offsets, ids,
            backgrounds=None if background is None else background[None],
        )  # fmt: skip
        color: Tensor = blended
        return color

    def _tensors(self, camera: Camera) -> _CameraTensors:
        """A camera on the device, copied there once."""
        known = self._known.get(camera)
        if known is None:
            pose, intrinsics, center = (
                torch.tensor(array[None], dtype=torch.float32, device=self.device)
                for array in (camera.world_to_camera, camera.K, camera.center)
            )
            known = self._known[camera] = _CameraTensors(pose=pose, intrinsics=intrinsics, center=center)
        return known

    def fused_lift(self) -> FusedLift | None:
        return self._lift if importlib.util.find_spec("triton") else None

    def _lift(self, gaussians: Gaussians, cameras: Sequence[Camera], features: Tensor) -> Tensor:
        """See ``rendering.lift.lift``; one forward pass for all channels, with gsplat's projection and sorting."""
        from gsplat import fully_fused_projection, isect_offset_encode, isect_tiles

        from trackersplat.rendering.backends.lift_triton import TILE as LIFT_TILE
        from trackersplat.rendering.backends.lift_triton import Blending, fused_lift

        _load()
        if len(gaussians) == 0:
            return features.new_zeros(len(cameras), 0, features.shape[3])
        width, height = cameras[0].width, cameras[0].height
        with torch.no_grad():
            radii, means2d, depths, conics, _ = fully_fused_projection(
                gaussians.means,
                None,
                gaussians.quats,
                gaussians.scales,
                torch.cat([self._tensors(camera).pose for camera in cameras]),
                torch.cat([self._tensors(camera).intrinsics for camera in cameras]),
                width,
                height,
                eps2d=EPS_2D,
                near_plane=cameras[0].near,
                far_plane=FAR,
                opacities=gaussians.opacities,
            )
            columns, rows = -(-width // LIFT_TILE), -(-height // LIFT_TILE)
            _, tile_ids, ids = isect_tiles(means2d, radii, depths, LIFT_TILE, columns, rows, packed=False, n_images=len(cameras))
            offsets = isect_offset_encode(tile_ids, len(cameras), columns, rows)
            blending = Blending(alpha_min=ALPHA_MIN, alpha_max=GSPLAT_ALPHA_MAX, transmittance_min=TRANSMITTANCE_MIN)
            return fused_lift(means2d, conics, gaussians.opacities, ids, offsets, features, blending)

    def describe(self) -> str:
        return f"{torch.cuda.get_device_name(self.device)} ({self.name})"

    def is_prepared(self) -> bool:
        if importlib.util.find_spec("gsplat.csrc") is not None:  # a wheel with kernels
            return True
        root = os.environ.get("TORCH_EXTENSIONS_DIR") or str(Path.home() / ".cache" / "torch_extensions")
        return bool(glob.glob(os.path.join(glob.escape(root), "**", "gsplat_cuda", "gsplat_cuda.*"), recursive=True))

    def prepare(self, progress: PrepareProgress | None = None) -> None:
        """Builds the kernels if they are not, which takes about a minute. Raises InputError if gsplat cannot run here."""
        if progress is not None:
            progress("gsplat's CUDA kernels", 0, 1)
        _load()
        if progress is not None:
            progress("gsplat's CUDA kernels", 1, 1)


def _nothing(views: int, height: int, width: int, channels: Tensor | None, background: Tensor | None, device: torch.device) -> Rendering:
    color = torch.zeros(views, height, width, 3, device=device)
    return Rendering(
        color if background is None else color + background,
        torch.zeros(views, height, width, device=device),
        torch.zeros(views, height, width, device=device),
        None if channels is None else torch.zeros(views, height, width, channels.shape[-1], device=device),
    )


def _load() -> tuple[Callable[..., tuple[Tensor, Tensor, dict]], Callable[..., Tensor]]:
    """gsplat's functions. Without a working build gsplat itself would fail much later with a misleading error."""
    try:
        from gsplat import rasterization, spherical_harmonics
        from gsplat.cuda._backend import _C
    except ImportError as error:
        raise InputError(
            f"The gsplat back end needs the package gsplat ({error}); install it with: pip install '.[gpu]' in the clone."
        ) from error
    if _C is None:
        raise InputError(
            "gsplat found no CUDA compiler (nvcc) to build its kernels with; install the CUDA toolkit or choose the back end 'portable'."
        )
    return rasterization, spherical_harmonics
