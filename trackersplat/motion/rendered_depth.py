"""The depth of the rendered surface at chosen points of several cameras' images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.geometry.devices import uploaded
from trackersplat.geometry.projection import inside_image, project
from trackersplat.rendering.rasterizer import Rasterizer, rendered_together
from trackersplat.tracking.consistency.surfaces import Surface


@dataclass(frozen=True, eq=False)
class Corners:
    """The four pixels around each of P positions, and their bilinear weights."""

    rows: Tensor  # (P, 4) int64
    columns: Tensor  # (P, 4) int64
    weights: Tensor  # (P, 4) float64, of sum 1


def corners_around(pixels: Tensor, width: int | Tensor, height: int | Tensor) -> Corners:
    """Of finite positions (P, 2), in images of these sizes, one or (P,), of at least 2 pixels. The border goes on outside."""
    x, y = (pixels.double() - 0.5).unbind(-1)
    x, y = (value.clamp_min(0).clamp_max(size - 1) for value, size in zip((x, y), (width, height), strict=True))
    left, top = (value.floor().clamp_max(size - 2) for value, size in zip((x, y), (width, height), strict=True))
    right, low = x - left, y - top
    weights = torch.stack(((1 - right) * (1 - low), right * (1 - low), (1 - right) * low, right * low), dim=-1)
    left, top = left.long(), top.long()
    return Corners(torch.stack((top, top, top + 1, top + 1), -1), torch.stack((left, left + 1, left, left + 1), -1), weights)


@dataclass(frozen=True, eq=False)
class SurfaceAt:
    """The rendered surface at P positions, next to the depth at which it is expected."""

    depth: Tensor  # (P,) float64 bilinear; nan where one of the four pixels shows no surface; 0 nowhere
    nearer: Tensor  # (P,) share in [0, 1] of the bilinear weight at pixels that lie before the expected depth
    agreeing: Tensor  # (P,) share at pixels that lie at the expected depth

    @property
    def is_whole(self) -> Tensor:
        """(P,) bool: all four pixels agree."""
        return self.agreeing > 1 - 1e-9  # sums of weights are rounded


@dataclass(frozen=True, eq=False)
class DepthImages:
    """Depth along the optical axis in C cameras."""

    images: Tensor  # (C, h, w) float32, those of smaller cameras filled up; nan where there is no surface
    sizes: Tensor  # (C, 2) float64 width and height of each
    scale: Tensor  # (C, 2) float64 the same over those of the camera
    tolerance: float  # share of a depth by which others agree with it

    def at(self, pixels: Tensor, camera: Tensor, expected: Tensor | None = None) -> SurfaceAt:
        """At positions (P, 2) in the cameras' own pixels, in the cameras of these indices (P,), against expected depths (P,).

        Without expected depths: against the bilinear depth. Positions that are not finite are nowhere.
        """
        somewhere = pixels.isfinite().all(-1)
        scaled = torch.where(somewhere[:, None], pixels, 0.0) * self.scale[camera]
        around = corners_around(scaled, *self.sizes[camera].unbind(-1))
        weights = around.weights * somewhere[:, None]
        corners = self.images[camera[:, None], around.rows, around.columns].double()
        depth = torch.where(weights > 0, corners * weights, 0.0).sum(-1)
        middle = (depth if expected is None else expected)[:, None]
        slack = self.tolerance * middle
        return SurfaceAt(
            depth=depth,
            nearer=(weights * (corners < middle - slack)).sum(-1),
            agreeing=(weights * ((corners - middle).abs() <= slack)).sum(-1),
        )


def render_depth(
    rasterizer: Rasterizer,
    gaussians: Gaussians,
    cameras: Sequence[Camera],
    *,
    scale: float,  # size of the images, as a share of the cameras'
    minimum_alpha: float,  # rendered opacity from which there is a surface
    tolerance: float,
) -> DepthImages:
    """Expected depth (blended depth over alpha) of the Gaussians in every camera."""
    small = [camera.resized(max(2, round(camera.width * scale)), max(2, round(camera.height * scale))) for camera in cameras]
    height, width = max(camera.height for camera in small), max(camera.width for camera in small)
    images = torch.full((len(small), height, width), torch.nan, device=rasterizer.device)
    with torch.no_grad():
        for members in rendered_together(small):
            rendering = rasterizer.render(gaussians, [small[index] for index in members], sh_degree=0)
            opaque = rendering.alpha >= minimum_alpha
            depth = torch.where(opaque, rendering.depth / rendering.alpha.clamp_min(1e-9), torch.nan)
            if len(members) == len(small):
                images = depth
                continue
            for index, image in zip(members, depth, strict=True):
                images[index, : image.shape[0], : image.shape[1]] = image
    sizes = np.array([(camera.width, camera.height) for camera in small], np.float64)
    full = np.array([(camera.width, camera.height) for camera in cameras], np.float64)
    shown, shares = uploaded((sizes, sizes / full), images.device, torch.float64)
    return DepthImages(images=images, sizes=shown, scale=shares, tolerance=tolerance)


def rendered_surfaces(rasterizer: Rasterizer, gaussians: Gaussians, cameras: Sequence[Camera], minimum_alpha: float) -> list[Surface]:
    """What every camera sees of the Gaussians, at its own size."""
    rendered = render_depth(rasterizer, gaussians, cameras, scale=1.0, minimum_alpha=minimum_alpha, tolerance=0.0)
    images = rendered.images.cpu().numpy()
    return [Surface(camera, image[: camera.height, : camera.width]) for camera, image in zip(cameras, images, strict=True)]


@dataclass(frozen=True, eq=False)
class PointViews:
    """P points, each in a camera of its own: what it takes to project them there and back, float64."""

    cameras: tuple[Camera, ...]
    camera: Tensor  # (P,) int64 indices into the cameras
    size: Tensor  # (P, 2) width and height
    near: Tensor  # (P,)
    focal: Tensor  # (P, 2)
    middle: Tensor  # (P, 2) principal point
    rotation: Tensor  # (P, 3, 3) world to camera
    translation: Tensor  # (P, 3)

    @staticmethod
    def of(cameras: Sequence[Camera], camera: Tensor) -> PointViews:
        rows = [
            (view.width, view.height, view.near, view.fx, view.fy, view.cx, view.cy, *view.rotation.reshape(-1), *view.translation)
            for view in cameras
        ]
        of_points = uploaded(rows, camera.device, torch.float64)[camera]
        return PointViews(
            cameras=tuple(cameras),
            camera=camera,
            size=of_points[:, :2],
            near=of_points[:, 2],
            focal=of_points[:, 3:5],
            middle=of_points[:, 5:7],
            rotation=of_points[:, 7:16].unflatten(1, (3, 3)),
            translation=of_points[:, 16:],
        )

    def project(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """World points (P, 3) to pixels (P, 2), nan before the near plane, and depths (P,) along the optical axis."""
        every_pixel, every_depth = project(self.cameras, points.double())
        row = torch.arange(len(points), device=points.device)
        pixels, depth = every_pixel[self.camera, row], every_depth[self.camera, row]
        return torch.where((depth > self.near)[:, None], pixels, torch.nan), depth

    def back_project(self, pixels: Tensor, depth: Tensor) -> Tensor:
        """(P, 3) world points at these depths."""
        local = torch.cat(((pixels - self.middle) / self.focal * depth[:, None], depth[:, None]), dim=-1) - self.translation
        return (local[:, None] @ self.rotation)[:, 0]

    def inside(self, pixels: Tensor) -> Tensor:
        """(P,) bool: whether positions (P, 2) fall into the images; false for nan."""
        return inside_image(pixels / self.size, 1, 1)
