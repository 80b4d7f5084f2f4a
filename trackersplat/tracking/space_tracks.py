"""3D tracks as a source of dense tracks in the images: every pixel of the rendered surface moves with the tracks around it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import Capture
from trackersplat.errors import ShapeError
from trackersplat.gaussians.gaussians import SH_C0, Gaussians
from trackersplat.geometry.neighbours import nearest_to
from trackersplat.geometry.projection import inside_image, project
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.tracking.space_field import SpaceField, SpaceFieldSettings
from trackersplat.tracking.tracks import DenseTracks, Provenance, Tracks
from trackersplat.tracking.tracks3d import Tracks3D

OPAQUE = 0.5  # alpha from which a pixel shows a surface
VISIBLE = 0.5  # probability from which a 2D track is on what its pixel shows
SAME_SURFACE = 0.03  # share of its depth by which a track may be off the rendered surface and take its colour


@dataclass(frozen=True, eq=False)
class KnownShift:
    """How N Gaussians of a base move to one target, as 3D tracks around them say."""

    shift: Tensor  # (N, 3) float64 scene units, of the mean
    trust: Tensor  # (N,) float64 in [0, 1]

    def __getitem__(self, chosen: Tensor) -> KnownShift:
        return KnownShift(self.shift[chosen], self.trust[chosen])


class SurfaceTracks(Protocol):
    """A `TrackSource` on the surface of the Gaussians of a base frame."""

    def __call__(self, cameras: Sequence[int], base: int, targets: Sequence[int]) -> Iterator[tuple[int, DenseTracks]]: ...

    def shifts(self, cameras: Sequence[int], base: int, targets: Sequence[int]) -> list[KnownShift]:
        """For every target what tracks in space say about the Gaussians themselves; none at all where there are only 2D tracks."""
        ...


@runtime_checkable
class SceneSource(Protocol):
    """A source that needs the Gaussians of the base frame."""

    def on(self, gaussians: Gaussians, rasterizer: Rasterizer) -> SurfaceTracks: ...


class SpaceSource:
    """3D tracks on the surface of Gaussians: what turns the answer of any 3D tracker into a source of the method."""

    def __init__(
        self,
        tracks: Tracks3D,
        capture: Capture,
        gaussians: Gaussians,
        rasterizer: Rasterizer,
        settings: SpaceFieldSettings | None = None,
        hidden_weight: float = 1.0,  # of positions of hidden points: tracks in space know them
    ) -> None:
        self.tracks, self.capture, self.gaussians, self.rasterizer = tracks, capture, gaussians.detach(), rasterizer
        self.settings = settings or SpaceFieldSettings()
        self.hidden_weight = hidden_weight
        self._views: dict[tuple[int, int], SurfaceView] = {}

    def __call__(self, cameras: Sequence[int], base: int, targets: Sequence[int]) -> Iterator[tuple[int, DenseTracks]]:
        """Yields ``(camera, dense tracks)``: how the tracks move the surface that each camera sees in frame ``base``.

        All on the rasteriser's device. A pixel is visible in the target if it is inside the image, and confident as far as tracks near it
        agree (`space_field`); pixels without a surface stay, with confidence 0. Tracks without a position in one of the two frames do not
        count. Raises ShapeError if a frame is not among those of the tracks.
        """
        fields = self._fields(cameras, base, targets)
        for camera in cameras:
            view, about = self._view(camera, base), self.capture.cameras[camera]

            def in_image(moved: Tensor, about: Camera = about) -> tuple[Tensor, Tensor]:
                pixels, depth = project([about], moved)
                return pixels[0], depth[0] > about.near

            yield camera, _dense(view, view.points, fields, in_image, (base, *targets), self.tracks.provenance, self.hidden_weight)

    def shifts(self, cameras: Sequence[int], base: int, targets: Sequence[int]) -> list[KnownShift]:
        """See `SurfaceTracks.shifts`. Colours of Gaussians are those of no view in particular."""
        means = self.gaussians.means.double()
        colour = (0.5 + SH_C0 * self.gaussians.sh[:, 0]).clamp(0, 1)
        moved = [field.move(means, colour) for field in self._fields(cameras, base, targets)]
        return [KnownShift(end - means, trust) for end, trust in moved]

    def _view(self, camera: int, base: int) -> SurfaceView:
        key = (camera, base)
        if key not in self._views:
            self._views[key] = surface_view(self.gaussians, self.rasterizer, self.capture, camera, base)
        return self._views[key]

    def _fields(self, cameras: Sequence[int], base: int, targets: Sequence[int]) -> list[SpaceField]:
        tracks = self.tracks
        missing = [frame for frame in (base, *targets) if frame not in tracks.frames]
        if missing:
            raise ShapeError(f"3D tracks of the frames {tracks.frames} do not reach frame {missing[0]}.")
        device = self.rasterizer.device
        start = torch.from_numpy(tracks.at(base).copy()).to(device)
        colour = _track_colours(start, self.capture, {camera: self._view(camera, base) for camera in cameras})
        fields = []
        for target in targets:
            end = torch.from_numpy(tracks.at(target).copy()).to(device)
            rows = [tracks.frames.index(base), tracks.frames.index(target)]
            trust = torch.from_numpy(tracks.confidence[rows].min(0)).to(device)
            known = start.isfinite().all(-1) & end.isfinite().all(-1) & (trust > 0)
            fields.append(SpaceField.of(start[known], end[known], trust[known], colour[known], self.settings))
        return fields


@dataclass(frozen=True, eq=False)
class SurfaceView:
    """What one camera sees of the Gaussians of a base frame."""

    points: Tensor  # (H, W, 3) float64 world, of pixel centres; not meaningful where there is no surface
    there: Tensor  # (H, W) bool: a surface
    depth: Tensor  # (H, W) float64
    colour: Tensor  # (H, W, 3) float32 in [0, 1], of the photograph


def surface_view(gaussians: Gaussians, rasterizer: Rasterizer, capture: Capture, camera: int, frame: int) -> SurfaceView:
    """The rendered surface, with the colours of the photograph."""
    view = capture.cameras[camera]
    rendered = rasterizer.render(gaussians.detach(), [view], sh_degree=0)
    alpha = rendered.alpha[0]
    depth = (rendered.depth[0] / alpha.clamp_min(1e-9)).double()
    device = depth.device
    x = (torch.arange(view.width, device=device, dtype=torch.float64) + 0.5 - view.cx) / view.fx
    y = (torch.arange(view.height, device=device, dtype=torch.float64) + 0.5 - view.cy) / view.fy
    rays = torch.stack((x[None].expand(view.height, -1), y[:, None].expand(-1, view.width), torch.ones_like(depth)), dim=-1)
    rotation, translation = (torch.from_numpy(values.copy()).to(device) for values in (view.rotation, view.translation))
    points = (rays * depth[..., None] - translation) @ rotation
    colour = torch.tensor(capture.image(camera, frame), device=device).float() / 255
    return SurfaceView(points, alpha >= OPAQUE, depth, colour)


def dense_from_images(
    tracks: Mapping[int, Tracks],
    gaussians: Gaussians,
    rasterizer: Rasterizer,
    capture: Capture,
    cameras: Sequence[int],
    base: int,
    targets: Sequence[int],
    settings: SpaceFieldSettings | None = None,
    hidden_weight: float = 0.1,
) -> Iterator[tuple[int, DenseTracks]]:
    """What `SpaceSource` yields, from 2D tracks by index of the camera; a camera without tracks is confident of nothing.

    The third coordinate of a pixel is then the logarithm of its depth times the focal length, so that tracks of what lies behind are far
    from it, and the field turns in the image alone. Raises ShapeError if a frame is not among those of the tracks.
    """
    settings = settings or SpaceFieldSettings()
    for camera in cameras:
        view, about = surface_view(gaussians, rasterizer, capture, camera, base), capture.cameras[camera]
        there = view.there
        height, width = view.depth.shape
        deep = about.fx * torch.where(there, view.depth, 1.0).clamp_min(about.near).log()
        grid = torch.cat((_pixel_centres(width, height, deep), deep[..., None]), dim=-1)
        fields, visible, own = [], [], tracks.get(camera)
        for target in targets:
            field, seen = _image_field(own, view, grid, base, target, settings)
            fields.append(field)
            visible.append(seen)
        provenance = Provenance("file") if own is None else own.provenance

        def in_image(moved: Tensor) -> tuple[Tensor, Tensor]:
            return moved[:, :2], torch.ones_like(moved[:, 0], dtype=torch.bool)

        dense = _dense(view, grid, fields, in_image, (base, *targets), provenance, hidden_weight)
        yield camera, replace(dense, visibility=dense.visibility * torch.stack([
            _nearest_share(field, seen, grid, there) for field, seen in zip(fields, visible, strict=True)]))  # fmt: skip


def _image_field(
    tracks: Tracks | None, view: SurfaceView, grid: Tensor, base: int, target: int, settings: SpaceFieldSettings
) -> tuple[SpaceField, Tensor]:
    """The field of one camera's tracks from the base to the target, and how visible each of them is there."""
    device = grid.device
    if tracks is None:
        none = torch.zeros((0, 3), dtype=torch.float64, device=device)
        return SpaceField.of(none, none, none[:, 0], none, settings), none[:, 0]
    missing = [frame for frame in (base, target) if frame not in tracks.frames]
    if missing:
        raise ShapeError(f"2D tracks of the frames {tracks.frames} do not reach frame {missing[0]}.")
    rows = [tracks.frames.index(base), tracks.frames.index(target)]
    pixels = tracks.positions[rows].to(device).double()
    trust = tracks.confidence[rows].to(device).amin(0) * (tracks.visibility[rows[0]].to(device) >= VISIBLE)
    height, width = view.depth.shape
    known = pixels.isfinite().all(-1).all(0) & (trust > 0) & inside_image(pixels[0].nan_to_num(-1.0), width, height)
    column, row = pixels[0, known].long().unbind(-1)
    on_surface = view.there[row, column]
    column, row = column[on_surface], row[on_surface]
    first, last = pixels[0, known][on_surface], pixels[1, known][on_surface]
    deep = grid[row, column, 2:]
    start, end = torch.cat((first, deep), dim=-1), torch.cat((last, deep), dim=-1)
    field = SpaceField.of(start, end, trust[known][on_surface], view.colour[row, column], settings)
    return field, tracks.visibility[rows[1]].to(device)[known][on_surface]


def _nearest_share(field: SpaceField, values: Tensor, grid: Tensor, there: Tensor) -> Tensor:
    """(H, W) float32: the value of the track nearest to each pixel of a surface; 0 elsewhere."""
    shares = torch.zeros(there.shape, device=grid.device)
    if len(values):
        shares[there] = values[nearest_to(grid[there], field.start, 1).indices[:, 0]].float()
    return shares


def _dense(
    view: SurfaceView,
    places: Tensor,  # (H, W, 3) where the pixels are for the field
    fields: Sequence[SpaceField],
    in_image: Callable[[Tensor], tuple[Tensor, Tensor]],  # moved places (Q, 3) to pixels (Q, 2), and which are before the camera
    frames: tuple[int, ...],  # the base and the targets
    provenance: Provenance,
    hidden_weight: float,
) -> DenseTracks:
    there, shade = view.there, view.colour[view.there]
    height, width = there.shape
    grid = _pixel_centres(width, height, shade)
    positions = grid.expand(len(fields), -1, -1, -1).clone()
    visibility, confidence = (torch.zeros((len(fields), height, width), device=grid.device) for _ in range(2))
    for row, field in enumerate(fields):
        moved, trust = field.move(places[there], shade)
        pixels, before = in_image(moved)
        positions[row][there] = torch.where(before[:, None], pixels.float(), grid[there])
        confidence[row][there] = torch.where(before, trust.float(), 0.0)
        visibility[row][there] = (before & inside_image(pixels, width, height)).float()
    return DenseTracks(
        base=frames[0],
        targets=frames[1:],
        positions=positions,
        visibility=visibility,
        confidence=confidence,
        hidden_weight=hidden_weight,
        provenance=provenance,
    )


def _pixel_centres(width: int, height: int, like: Tensor) -> Tensor:
    """(H, W, 2) in the type of the tensor, on its device."""
    x, y = (torch.arange(size, device=like.device, dtype=like.dtype) + 0.5 for size in (width, height))
    return torch.stack((x[None].expand(height, -1), y[:, None].expand(-1, width)), dim=-1)


def _track_colours(start: Tensor, capture: Capture, views: dict[int, SurfaceView]) -> Tensor:
    """(N, 3) mean colour over the views in which a track lies on the rendered surface; nan where it does in none."""
    total, count = torch.zeros((len(start), 3), device=start.device), torch.zeros(len(start), device=start.device)
    for camera, view in views.items():
        about = capture.cameras[camera]
        pixels, depth = (values[0] for values in project([about], start.nan_to_num(0.0)))
        inside = inside_image(pixels, about.width, about.height) & (depth > about.near) & start.isfinite().all(-1)
        column, row = torch.where(inside[:, None], pixels, 0.0).long().unbind(-1)
        seen = inside & view.there[row, column] & ((view.depth[row, column] - depth).abs() < SAME_SURFACE * depth)
        total += torch.where(seen[:, None], view.colour[row, column], 0.0)
        count += seen
    return torch.where((count > 0)[:, None], total / count.clamp_min(1)[:, None], torch.nan)
