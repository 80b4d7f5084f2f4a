"""Rendering on CUDA with gsplat (Apache-2.0)."""

from __future__ import annotations

import glob
import importlib.util
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.errors import InputError
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.geometry.recording import Recorder
from trackersplat.rendering.inputs import check_inputs
from trackersplat.rendering.rasterizer import FusedColor, FusedLift, PrepareProgress, Rendering, RepeatedColor
from trackersplat.rendering.rules import ALPHA_MIN, EPS_2D, FAR, GSPLAT_ALPHA_MAX, TRANSMITTANCE_MIN

TILE = 16  # pixels a side, of gsplat's rasterisation
_ROOM, _LEAST_ROOM = 1.5, 10_000  # times the entries of tiles that a recorded step needs in the beginning, and some more
CHANNELS_AT_ONCE = 32  # gsplat's kernels slow down beyond; colour, depth and 28 channels are one pass


@dataclass(frozen=True, eq=False)
class _CameraTensors:
    """C cameras."""

    pose: Tensor  # (C, 4, 4) world to camera
    intrinsics: Tensor  # (C, 3, 3)
    center: Tensor  # (C, 3)


class GsplatRasterizer:
    """gsplat's projection and blending, with lists of the Gaussians of each tile of our own (`tiles_triton`).

    Its kernels are compiled at first use, which takes about a minute (see ``prepare``).

    Same rules as 3DGS (see Rasterizer) except for the cap of alpha (`rules.GSPLAT_ALPHA_MAX`).
    """

    name = "gsplat"

    def __init__(self, device: str | torch.device = "cuda") -> None:
        self.device = torch.device(device)
        if self.device.type == "cuda" and self.device.index is None:
            self.device = torch.device("cuda", torch.cuda.current_device())
        self._known: WeakKeyDictionary[Camera, _CameraTensors] = WeakKeyDictionary()
        self._recorder: Recorder | None = None

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
        opacities, known = gaussians.opacities, self._tensors(cameras)
        seen = _projected(gaussians, opacities, known, cameras[0])
        directions = gaussians.means[None] - known.center[:, None]
        values = [_harmonics(degree, directions, gaussians.sh[None].expand(views, -1, -1, -1), seen.radii)]
        if channels is not None:
            values.append(channels.expand(views, -1, -1))
        lists = _lists(seen, opacities, width, height)
        blended, alpha = _blended(seen, torch.cat([*values, seen.depths[..., None]], 2), opacities, width, height, lists, background)
        return Rendering(blended[..., :3], alpha, blended[..., -1], None if channels is None else blended[..., 3:-1])

    def fused_color(self) -> FusedColor | None:
        return self._color

    def _color(self, gaussians: Gaussians, camera: Camera, *, background: Tensor | None = None, sh_degree: int | None = None) -> Tensor:
        """See `rasterizer.FusedColor`: colours alone, without depth and channels."""
        degree = check_inputs(gaussians, [camera], None, sh_degree, background, self.device)
        width, height = camera.width, camera.height
        if len(gaussians) == 0:
            return _nothing(1, height, width, None, background, self.device).color
        opacities, known = gaussians.opacities, self._tensors([camera])
        seen = _projected(gaussians, opacities, known, camera)
        values = _harmonics(degree, gaussians.means[None] - known.center, gaussians.sh[None], seen.radii)
        return _blended(seen, values, opacities, width, height, _lists(seen, opacities, width, height), background)[0]

    def repeated_color(self, gaussians: Gaussians, cameras: Sequence[Camera]) -> RepeatedColor | None:
        """See `Rasterizer.repeated_color`."""
        alike = len({(camera.width, camera.height, camera.near) for camera in cameras}) == 1
        if not alike or not len(gaussians) or not _has_triton():
            return None
        if self._recorder is None:
            self._recorder = Recorder(self.device)
        return _RepeatedColor(gaussians, cameras[0], self._tensors(cameras), self._recorder)

    def _tensors(self, cameras: Sequence[Camera]) -> _CameraTensors:
        """The cameras on the device, each copied there once, those that are new together."""
        new = [camera for camera in dict.fromkeys(cameras) if camera not in self._known]
        if new:
            numbers = np.stack([np.concatenate((c.world_to_camera, c.K, c.center), axis=None) for c in new])
            for camera, row in zip(new, torch.from_numpy(numbers.astype(np.float32)).to(self.device), strict=True):
                pose, intrinsics, center = row.split((16, 9, 3))
                self._known[camera] = _CameraTensors(pose.view(1, 4, 4), intrinsics.view(1, 3, 3), center.view(1, 3))
        known = [self._known[camera] for camera in cameras]
        if len(known) == 1:
            return known[0]
        return _CameraTensors(*(torch.cat(parts) for parts in zip(*((k.pose, k.intrinsics, k.center) for k in known), strict=True)))

    def fused_lift(self) -> FusedLift | None:
        return self._lift if _has_triton() else None

    def _lift(self, gaussians: Gaussians, cameras: Sequence[Camera], features: Tensor) -> Tensor:
        """See ``rendering.lift.lift``; one forward pass for all channels, with gsplat's projection and the lists of `tiles_triton`."""
        from trackersplat.rendering.backends.lift_triton import TILE as LIFT_TILE
        from trackersplat.rendering.backends.lift_triton import Blending, fused_lift

        if len(gaussians) == 0:
            return features.new_zeros(len(cameras), 0, features.shape[3])
        width, height = cameras[0].width, cameras[0].height
        with torch.no_grad():
            opacities = gaussians.opacities
            seen = _projected(gaussians, opacities, self._tensors(cameras), cameras[0])
            lists = _lists(seen, opacities, width, height, LIFT_TILE)
            blending = Blending(alpha_min=ALPHA_MIN, alpha_max=GSPLAT_ALPHA_MAX, transmittance_min=TRANSMITTANCE_MIN)
            return fused_lift(seen.means2d, seen.conics, opacities, lists.ids, lists.offsets, features, blending)

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


@dataclass(frozen=True, eq=False)
class _Projected:
    """What C cameras see of N Gaussians."""

    radii: Tensor  # (C, N, 2) int32 px; 0 where nothing is seen
    means2d: Tensor  # (C, N, 2) px
    depths: Tensor  # (C, N)
    conics: Tensor  # (C, N, 3)


@dataclass(frozen=True, eq=False)
class _Lists:
    """Which Gaussians each tile draws, front to back."""

    ids: Tensor  # (K,) int32
    offsets: Tensor  # (C, rows, columns) int32


class _RepeatedColor:
    """See `rasterizer.RepeatedColor`. Room for the tiles' lists is made once, for what the cameras see in the beginning and half as much
    beside."""

    def __init__(self, gaussians: Gaussians, camera: Camera, known: _CameraTensors, recorder: Recorder) -> None:
        from trackersplat.rendering.backends.tiles_triton import entries_needed

        self._camera, self._known, self._recorder = camera, known, recorder
        width, height = self._camera.width, self._camera.height
        with torch.no_grad():
            needed, opacities = [], gaussians.opacities
            for view in range(len(known.pose)):
                one = _CameraTensors(known.pose[view : view + 1], known.intrinsics[view : view + 1], known.center[view : view + 1])
                seen = _projected(gaussians, opacities, one, camera)
                needed.append(entries_needed(seen.means2d, seen.radii, seen.conics, opacities, width, height, TILE))
        self._room = int(_ROOM * int(torch.stack(needed).max())) + _LEAST_ROOM
        self._most = torch.zeros((), dtype=torch.long, device=gaussians.device)
        drawn = torch.ones(1, -(-height // TILE) + 1, -(-width // TILE), dtype=torch.bool, device=gaussians.device)
        drawn[:, -1] = False  # the row below the image, which has the entries that are left over
        self._drawn = drawn

    def __call__(self, gaussians: Gaussians, camera: Tensor) -> Tensor:
        from trackersplat.rendering.backends.tiles_triton import tile_lists

        width, height = self._camera.width, self._camera.height
        known, opacities = self._known, gaussians.opacities
        one = _CameraTensors(*(tensor.index_select(0, camera) for tensor in (known.pose, known.intrinsics, known.center)))
        seen = _projected(gaussians, opacities, one, self._camera)
        values = _harmonics(gaussians.sh_degree, gaussians.means[None] - one.center, gaussians.sh[None], seen.radii)
        with torch.no_grad():
            found = tile_lists(seen.means2d, seen.radii, seen.depths, seen.conics, opacities, width, height, TILE, room=self._room)
            self._most.copy_(torch.maximum(self._most, found.needed))
        return _blended(seen, values, opacities, width, height, _Lists(found.ids, found.offsets), None, self._drawn)[0]

    def repeatable(self, work: Callable[[], None]) -> Callable[[], None]:
        return self._recorder.repeatable(work)

    def is_complete(self) -> bool:
        return int(self._most) <= self._room


def _projected(gaussians: Gaussians, opacities: Tensor, cameras: _CameraTensors, camera: Camera) -> _Projected:
    """In ``cameras`` that have the size and near plane of ``camera``."""
    _load()
    from gsplat import fully_fused_projection

    radii, means2d, depths, conics, _ = fully_fused_projection(
        gaussians.means, None, gaussians.quats, gaussians.scales, cameras.pose, cameras.intrinsics, camera.width, camera.height,
        eps2d=EPS_2D, near_plane=camera.near, far_plane=FAR, opacities=opacities,
    )  # fmt: skip
    return _Projected(radii, means2d, depths, conics)


def _harmonics(degree: int, directions: Tensor, sh: Tensor, radii: Tensor) -> Tensor:
    """(C, N, 3) colours in these directions (C, N, 3), of Gaussians that are seen."""
    from gsplat import spherical_harmonics

    values: Tensor = spherical_harmonics(degree, directions, sh, masks=(radii > 0).all(dim=-1))
    return torch.clamp_min(values + 0.5, 0.0)


@torch.no_grad()
def _lists(seen: _Projected, opacities: Tensor, width: int, height: int, tile: int = TILE) -> _Lists:
    if _has_triton():
        from trackersplat.rendering.backends.tiles_triton import tile_lists

        found = tile_lists(seen.means2d, seen.radii, seen.depths, seen.conics, opacities, width, height, tile)
        return _Lists(found.ids, found.offsets)
    from gsplat import isect_offset_encode, isect_tiles

    columns, rows, views = -(-width // tile), -(-height // tile), len(seen.radii)
    _, tiles, ids = isect_tiles(seen.means2d, seen.radii, seen.depths, tile, columns, rows, packed=False, n_images=views)
    return _Lists(ids, isect_offset_encode(tiles, views, columns, rows))


def _blended(
    seen: _Projected,
    values: Tensor,  # (C, N, V)
    opacities: Tensor,  # (N,)
    width: int,
    height: int,
    lists: _Lists,
    background: Tensor | None = None,  # of the first three values
    drawn: Tensor | None = None,  # (C, rows, columns) bool: tiles that are drawn; all if absent
) -> tuple[Tensor, Tensor]:
    """(C, H, W, V) and alpha (C, H, W)."""
    from gsplat import rasterize_to_pixels

    views, count = len(values), values.shape[-1]
    behind = None if background is None else torch.cat([background, background.new_zeros(count - 3)]).expand(views, -1).contiguous()
    parts, alpha = [], None
    for first in range(0, count, CHANNELS_AT_ONCE):
        chosen = slice(first, first + CHANNELS_AT_ONCE)
        part, alpha = rasterize_to_pixels(
            seen.means2d, seen.conics, values[..., chosen], opacities.expand(views, -1), width, height, TILE, lists.offsets, lists.ids,
            backgrounds=None if behind is None else behind[:, chosen], masks=drawn,
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
            "gsplat found no CUDA compiler (nvcc) to build its kernels with; install the CUDA toolkit or choose the back end 'portable'."
        )
