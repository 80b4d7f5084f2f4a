"""What the rasterisers on CUDA share: cameras on the device, lists of tiles, lifting, and steps that are recorded and repeated."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.geometry.devices import current
from trackersplat.geometry.recording import Recorder
from trackersplat.rendering.inputs import check_inputs
from trackersplat.rendering.rasterizer import FusedColor, FusedLift, PrepareProgress, Rendering, RepeatedColor
from trackersplat.rendering.rules import ALPHA_MIN, TRANSMITTANCE_MIN

_ROOM, _LEAST_ROOM = 1.25, 10_000  # times the entries of tiles that a recorded step needs in the beginning, and some more
_SAME_ROOM = 0.12  # part of it by which what the last steps needed may differ before the next ones count anew


@dataclass(frozen=True, eq=False)
class CameraTensors:
    """C cameras of one size and near plane, on the device."""

    pose: Tensor  # (C, 4, 4) world to camera
    intrinsics: Tensor  # (C, 3, 3)
    center: Tensor  # (C, 3)
    width: int  # px
    height: int  # px
    near: float  # scene units

    def chosen(self, index: Tensor) -> CameraTensors:
        """Those of these indices (K,) int64, which are read on the device."""
        pose, intrinsics, center = (tensor.index_select(0, index) for tensor in (self.pose, self.intrinsics, self.center))
        return CameraTensors(pose, intrinsics, center, self.width, self.height, self.near)


@dataclass(frozen=True, eq=False)
class Projected:
    """What C cameras see of N Gaussians. Back ends add what their blending needs."""

    radii: Tensor  # (C, N, 2) int32 px; 0 where nothing is seen
    means2d: Tensor  # (C, N, 2) px
    depths: Tensor  # (C, N)
    conics: Tensor  # (C, N, 3) inverse 2D covariances: xx, xy, yy
    opacities: Tensor  # (N,)


@dataclass(frozen=True, eq=False)
class Lists:
    """Which Gaussians each tile draws, front to back."""

    ids: Tensor  # (K,) int32: camera * N + Gaussian
    offsets: Tensor  # (C, rows, columns) int32; a further row below the image has what is not drawn
    drawn: Tensor | None = None  # (C, rows, columns) bool: tiles that are drawn; all if absent


@dataclass(frozen=True, eq=False)
class Room:
    """How many entries of tiles recorded steps have room for, and for which scene that was found."""

    entries: int
    cameras: tuple[Camera, ...]
    gaussians: int

    def is_for(self, gaussians: Gaussians, cameras: Sequence[Camera]) -> bool:
        return self.gaussians == len(gaussians) and self.cameras == tuple(cameras)


P = TypeVar("P", bound=Projected)


class CudaRasterizer(ABC, Generic[P]):
    """A rasteriser on CUDA, made of a projection and a blending (see Rasterizer)."""

    name: str
    tile: int  # px a side, of the blending
    alpha_max: float  # cap of alpha

    def __init__(self, device: str | torch.device = "cuda") -> None:
        self.device = torch.device(device)
        if self.device.type == "cuda" and self.device.index is None:
            self.device = torch.device("cuda", torch.cuda.current_device())
        self._known: WeakKeyDictionary[Camera, tuple[Tensor, Tensor, Tensor]] = WeakKeyDictionary()
        self._recorder: Recorder | None = None
        self._room: Room | None = None  # of the last recorded steps: the next frame needs about as much

    @abstractmethod
    def project(self, gaussians: Gaussians, cameras: CameraTensors, degree: int | None) -> P:
        """What the cameras see; without colours if there is no SH degree."""

    @abstractmethod
    def blend(
        self, gaussians: Gaussians, seen: P, cameras: CameraTensors, lists: Lists, channels: Tensor | None, background: Tensor | None
    ) -> Rendering:
        """Everything, differentiable with respect to the Gaussians, channels and background."""

    @abstractmethod
    def blend_color(self, gaussians: Gaussians, seen: P, cameras: CameraTensors, lists: Lists, background: Tensor | None) -> Tensor:
        """(C, H, W, 3): colours alone, differentiable."""

    @abstractmethod
    def lists(self, seen: P, cameras: CameraTensors, tile: int) -> Lists: ...

    @abstractmethod
    def is_prepared(self) -> bool: ...

    @abstractmethod
    def prepare(self, progress: PrepareProgress | None = None) -> None: ...

    @property
    def lists_tiles(self) -> bool:
        """Whether `tiles_triton` and `lift_triton` can be used."""
        return True

    def render(
        self,
        gaussians: Gaussians,
        cameras: Sequence[Camera],
        *,
        channels: Tensor | None = None,
        sh_degree: int | None = None,
        background: Tensor | None = None,
    ) -> Rendering:
        """See Rasterizer.

        Raises ShapeError as PortableRasterizer.render does, and InputError if the back end cannot run here.
        """
        degree = check_inputs(gaussians, cameras, channels, sh_degree, background, self.device)
        if len(gaussians) == 0:  # kernels need at least one
            return _nothing(cameras, channels, background, self.device)
        with current(self.device):  # kernels of Triton run on the thread's current device
            views = self._tensors(cameras)
            seen = self.project(gaussians, views, degree)
            return self.blend(gaussians, seen, views, self.lists(seen, views, self.tile), channels, background)

    def fused_color(self) -> FusedColor | None:
        return self._color

    def _color(self, gaussians: Gaussians, camera: Camera, *, background: Tensor | None = None, sh_degree: int | None = None) -> Tensor:
        """See `rasterizer.FusedColor`: colours alone, without depth and channels."""
        degree = check_inputs(gaussians, [camera], None, sh_degree, background, self.device)
        if len(gaussians) == 0:
            return _nothing([camera], None, background, self.device).color
        with current(self.device):
            views = self._tensors([camera])
            seen = self.project(gaussians, views, degree)
            return self.blend_color(gaussians, seen, views, self.lists(seen, views, self.tile), background)

    def repeated_color(self, gaussians: Gaussians, cameras: Sequence[Camera]) -> RepeatedColor | None:
        """See `Rasterizer.repeated_color`."""
        alike = len({(camera.width, camera.height, camera.near) for camera in cameras}) == 1
        if not alike or not len(gaussians) or not self.lists_tiles:
            return None
        if self._recorder is None:
            self._recorder = Recorder(self.device)
        views = self._tensors(cameras)
        if self._room is None or not self._room.is_for(gaussians, cameras):
            self._room = Room(self._entries(gaussians, views), tuple(cameras), len(gaussians))
        return _RepeatedColor(self, self._room, views, self._recorder)

    @torch.no_grad()
    def _entries(self, gaussians: Gaussians, cameras: CameraTensors) -> int:
        """Entries of tiles to make room for: those of the view that has most now, and a quarter as many beside. Waits for the device."""
        from trackersplat.rendering.backends.tiles_triton import entries_needed

        needed = []
        for view in torch.arange(len(cameras.pose), device=gaussians.device).split(1):
            seen = self.project(gaussians, cameras.chosen(view), None)
            needed.append(entries_needed(seen.means2d, seen.radii, seen.conics, seen.opacities, cameras.width, cameras.height, self.tile))
        return _room_for(int(torch.stack(needed).max()))

    def room_was_used(self, room: Room, most: int) -> None:
        """``most`` entries were needed. The next recorded steps count anew where other room would be made for these."""
        if self._room is room and abs(_room_for(most) - room.entries) > _SAME_ROOM * room.entries:
            self._room = None

    def _tensors(self, cameras: Sequence[Camera]) -> CameraTensors:
        """The cameras on the device, each copied there once, those that are new together."""
        new = [camera for camera in dict.fromkeys(cameras) if camera not in self._known]
        if new:
            numbers = np.stack([np.concatenate((c.world_to_camera, c.K, c.center), axis=None) for c in new])
            for camera, row in zip(new, torch.from_numpy(numbers.astype(np.float32)).to(self.device), strict=True):
                pose, intrinsics, center = row.split((16, 9, 3))
                self._known[camera] = (pose.view(1, 4, 4), intrinsics.view(1, 3, 3), center.view(1, 3))
        known = [self._known[camera] for camera in cameras]
        pose, intrinsics, center = known[0] if len(known) == 1 else (torch.cat(part) for part in zip(*known, strict=True))
        return CameraTensors(pose, intrinsics, center, cameras[0].width, cameras[0].height, cameras[0].near)

    def fused_lift(self) -> FusedLift | None:
        return self._lift if self.lists_tiles else None

    def _lift(self, gaussians: Gaussians, cameras: Sequence[Camera], features: Tensor) -> Tensor:
        """See ``rendering.lift.lift``; one forward pass for all channels, with the lists of `tiles_triton`."""
        from trackersplat.rendering.backends.lift_triton import TILE as LIFT_TILE
        from trackersplat.rendering.backends.lift_triton import Blending, fused_lift

        if len(gaussians) == 0:
            return features.new_zeros(len(cameras), 0, features.shape[3])
        with torch.no_grad(), current(self.device):
            views = self._tensors(cameras)
            seen = self.project(gaussians, views, None)
            lists = self.lists(seen, views, LIFT_TILE)
            blending = Blending(alpha_min=ALPHA_MIN, alpha_max=self.alpha_max, transmittance_min=TRANSMITTANCE_MIN)
            return fused_lift(seen.means2d, seen.conics, seen.opacities, lists.ids, lists.offsets, features, blending)

    def describe(self) -> str:
        return f"{torch.cuda.get_device_name(self.device)} ({self.name})"


def _room_for(entries: int) -> int:
    return int(_ROOM * entries) + _LEAST_ROOM


def tile_lists_of(seen: Projected, cameras: CameraTensors, tile: int) -> Lists:
    """Those of `tiles_triton`."""
    from trackersplat.rendering.backends.tiles_triton import tile_lists

    with torch.no_grad():
        found = tile_lists(seen.means2d, seen.radii, seen.depths, seen.conics, seen.opacities, cameras.width, cameras.height, tile)
        return Lists(found.ids, found.offsets)


def _nothing(cameras: Sequence[Camera], channels: Tensor | None, background: Tensor | None, device: torch.device) -> Rendering:
    shape = (len(cameras), cameras[0].height, cameras[0].width)
    color = torch.zeros(*shape, 3, device=device)
    return Rendering(
        color if background is None else color + background,
        torch.zeros(shape, device=device),
        torch.zeros(shape, device=device),
        None if channels is None else torch.zeros(*shape, channels.shape[-1], device=device),
    )


class _RepeatedColor(Generic[P]):
    """See `rasterizer.RepeatedColor`. Room for the tiles' lists is made once."""

    def __init__(self, rasterizer: CudaRasterizer[P], room: Room, cameras: CameraTensors, recorder: Recorder) -> None:
        self._rasterizer, self._cameras, self._recorder, self._tile = rasterizer, cameras, recorder, rasterizer.tile
        self._room = room
        device = cameras.pose.device
        self._most = torch.zeros((), dtype=torch.long, device=device)
        rows, columns = -(-cameras.height // self._tile), -(-cameras.width // self._tile)
        self._drawn = torch.ones(1, rows + 1, columns, dtype=torch.bool, device=device)
        self._drawn[:, -1] = False  # the row below the image, which has the entries that are left over

    def __call__(self, gaussians: Gaussians, camera: Tensor) -> Tensor:
        from trackersplat.rendering.backends.tiles_triton import tile_lists

        one = self._cameras.chosen(camera)
        seen = self._rasterizer.project(gaussians, one, gaussians.sh_degree)
        with torch.no_grad():
            found = tile_lists(
                seen.means2d, seen.radii, seen.depths, seen.conics, seen.opacities, one.width, one.height, self._tile,
                room=self._room.entries,
            )  # fmt: skip
            self._most.copy_(torch.maximum(self._most, found.needed))
        return self._rasterizer.blend_color(gaussians, seen, one, Lists(found.ids, found.offsets, self._drawn), None)

    def repeatable(self, work: Callable[[], None], kernels: Hashable = None) -> Callable[[], None]:
        return self._recorder.repeatable(work, None if kernels is None else (self._room, kernels))

    def is_complete(self) -> bool:
        most = int(self._most)
        self._rasterizer.room_was_used(self._room, most)
        return most <= self._room.entries
