"""Rendering on CUDA with gsplat (Apache-2.0)."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

import torch
from torch import Tensor

from trackersplat.errors import InputError
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.rendering.backends import gsplat_kernels
from trackersplat.rendering.backends.cuda import CameraTensors, CudaRasterizer, Lists, Projected, tile_lists_of
from trackersplat.rendering.rasterizer import PrepareProgress, Rendering
from trackersplat.rendering.rules import EPS_2D, FAR, GSPLAT_ALPHA_MAX

TILE = 16  # pixels a side, of gsplat's rasterisation
CHANNELS_AT_ONCE = 32  # gsplat's kernels slow down beyond; colour, depth and 28 channels are one pass


@dataclass(frozen=True, eq=False)
class _Seen(Projected):
    """Differentiable."""

    colors: Tensor | None  # (C, N, 3)


class GsplatRasterizer(CudaRasterizer[_Seen]):
    """gsplat's projection and blending, with lists of the Gaussians of each tile of our own (`tiles_triton`).

    Its kernels are compiled at first use, which takes about a minute (see ``prepare``). Colour, depth and up to 28 channels are blended in
    one pass, more in passes of 32.

    Same rules as 3DGS (see Rasterizer) except for the cap of alpha (`rules.GSPLAT_ALPHA_MAX`).
    """

    name = "gsplat"
    tile = TILE
    alpha_max = GSPLAT_ALPHA_MAX

    @property
    def lists_tiles(self) -> bool:
        return _has_triton()

    def project(self, gaussians: Gaussians, cameras: CameraTensors, degree: int | None) -> _Seen:
        _load()
        from gsplat import fully_fused_projection

        opacities = gaussians.opacities
        radii, means2d, depths, conics, _ = fully_fused_projection(
            gaussians.means, None, gaussians.quats, gaussians.scales, cameras.pose, cameras.intrinsics, cameras.width, cameras.height,
            eps2d=EPS_2D, near_plane=cameras.near, far_plane=FAR, opacities=opacities,
        )  # fmt: skip
        colors = None if degree is None else _harmonics(degree, gaussians, cameras, radii)
        return _Seen(radii, means2d, depths, conics, opacities, colors)

    def blend(
        self, gaussians: Gaussians, seen: _Seen, cameras: CameraTensors, lists: Lists, channels: Tensor | None, background: Tensor | None
    ) -> Rendering:
        assert seen.colors is not None, "projected with an SH degree"
        values = [seen.colors] if channels is None else [seen.colors, channels.expand(len(seen.colors), -1, -1)]
        blended, alpha = _blended(seen, torch.cat([*values, seen.depths[..., None]], 2), cameras, lists, background)
        return Rendering(blended[..., :3], alpha, blended[..., -1], None if channels is None else blended[..., 3:-1])

    def blend_color(self, gaussians: Gaussians, seen: _Seen, cameras: CameraTensors, lists: Lists, background: Tensor | None) -> Tensor:
        assert seen.colors is not None, "projected with an SH degree"
        return _blended(seen, seen.colors, cameras, lists, background)[0]

    @torch.no_grad()
    def lists(self, seen: _Seen, cameras: CameraTensors, tile: int) -> Lists:
        if _has_triton():
            return tile_lists_of(seen, cameras, tile)
        from gsplat import isect_offset_encode, isect_tiles

        columns, rows, views = -(-cameras.width // tile), -(-cameras.height // tile), len(seen.radii)
        _, tiles, ids = isect_tiles(seen.means2d, seen.radii, seen.depths, tile, columns, rows, packed=False, n_images=views)
        return Lists(ids, isect_offset_encode(tiles, views, columns, rows))

    def is_prepared(self) -> bool:
        return gsplat_kernels.are_built()

    def prepare(self, progress: PrepareProgress | None = None) -> None:
        """Builds the kernels if they are not, which takes about a minute. Raises InputError if gsplat cannot run here."""
        if progress is not None:
            progress("gsplat's CUDA kernels", 0, 1)
        _load()
        if progress is not None:
            progress("gsplat's CUDA kernels", 1, 1)


def _harmonics(degree: int, gaussians: Gaussians, cameras: CameraTensors, radii: Tensor) -> Tensor:
    """(C, N, 3) colours of Gaussians that are seen."""
    from gsplat import spherical_harmonics

    directions = gaussians.means[None] - cameras.center[:, None]
    sh = gaussians.sh[None].expand(len(directions), -1, -1, -1)
    values: Tensor = spherical_harmonics(degree, directions, sh, masks=(radii > 0).all(dim=-1))
    return torch.clamp_min(values + 0.5, 0.0)


def _blended(
    seen: _Seen,
    values: Tensor,  # (C, N, V)
    cameras: CameraTensors,
    lists: Lists,
    background: Tensor | None,  # of the first three values
) -> tuple[Tensor, Tensor]:
    """(C, H, W, V) and alpha (C, H, W)."""
    from gsplat import rasterize_to_pixels

    views, count = len(values), values.shape[-1]
    behind = None if background is None else torch.cat([background, background.new_zeros(count - 3)]).expand(views, -1).contiguous()
    parts, alpha = [], None
    for first in range(0, count, CHANNELS_AT_ONCE):
        chosen = slice(first, first + CHANNELS_AT_ONCE)
        part, alpha = rasterize_to_pixels(
            seen.means2d, seen.conics, values[..., chosen], seen.opacities.expand(views, -1), cameras.width, cameras.height, TILE,
            lists.offsets, lists.ids, backgrounds=None if behind is None else behind[:, chosen], masks=lists.drawn,
        )  # fmt: skip
        parts.append(part)
    assert alpha is not None, "there is at least one value"
    return torch.cat(parts, -1) if len(parts) > 1 else parts[0], alpha[..., 0]


def _has_triton() -> bool:
    return importlib.util.find_spec("triton") is not None


def _load() -> None:
    """Builds or finds the kernels. Without a working build gsplat itself would fail much later with a misleading error."""
    try:
        from gsplat.cuda._backend import _C
    except ImportError as error:
        raise InputError(
            f"The gsplat back end needs the package gsplat ({error}); install it with: pip install '.[gpu]' in the clone."
        ) from error
    if _C is None:
        raise InputError(
            "gsplat found no CUDA compiler (nvcc) to build its kernels with; install the CUDA toolkit or choose the back end 'triton'."
        )
