"""Floaters: Gaussians close in front of a place where a camera could stand, although only one view determines where they are.

The depth of what one view alone sees is not determined: the fit may place it anywhere along the rays of that view. A Gaussian that covers
20 pixels there may lie close in front of a held-out camera and hide everything from it. If it is moved away along the ray of the view that
sees it, and grows with the distance, that view does not change.

What is hidden from such a place is none, however few views see it: the front of somebody who stands close to a camera is behind his back
there. Nor is what belongs to a surface that several views see.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.geometry.neighbours import nearest_to
from trackersplat.geometry.projection import centers, common_focus
from trackersplat.rendering.lift import lift
from trackersplat.rendering.rasterizer import Rasterizer, rendered_together
from trackersplat.training.first_frame.line_of_sight import LineOfSight

PAIRS_AT_ONCE = 4_000_000  # of Gaussians and viewpoints, for the memory
VIEWS_TOGETHER = 16  # cameras that one call renders at most, for the memory: each has a few numbers per Gaussian
PIXELS_TOGETHER = 2_000_000  # of them, likewise


@dataclass(frozen=True)
class FloaterSettings:
    """Which Gaussians count as floaters, and where they go. All lengths are relative to the rig's own."""

    every: int = 100  # steps between two searches, and one at the end; 0: never
    magnification: float = 3.0  # a floater's distance to any view that shows it well is more than this many times that to a viewpoint
    well: float = 0.1  # a view shows a Gaussian well if it shows more than this share of what the best view shows
    views: float = 2.0  # effective number of views from which on a Gaussian's depth counts as determined
    rings: tuple[float, ...] = (0.5, 1.0)  # radii of the rings of viewpoints around a camera, over the cameras' median spacing
    directions: int = 8  # viewpoints in a ring
    hides: float = 0.01  # a floater covers at least this share of a picture from there
    surface: float = 3.0  # effective number of views from which on a Gaussian counts as part of a surface: two may agree on fog
    neighbours: int = 8  # a floater has fewer of these nearer than
    apart: float = 0.1  # this share of its distance to the nearest view that shows it well
    solid: float = 0.1  # opacity from which on these count
    parallel: float = 10.0  # median spacings of the cameras: assumed distance of what they look at, if their axes are parallel
    farther: tuple[float, ...] = (1.1, 1.2, 1.35, 1.5, 1.75, 2.0, 2.5, 3.0)  # of the distance, tried in turn; if none helps, it is removed


@dataclass(frozen=True, eq=False)
class Viewpoint:
    """A place where a camera of the rig might stand."""

    center: np.ndarray  # (3,)
    forward: np.ndarray  # (3,) unit vector: where it looks
    picture: float  # its picture's area in a plane at distance 1

    @staticmethod
    def of(camera: Camera, center: np.ndarray, focus: np.ndarray) -> Viewpoint:
        """``camera`` at another place, turned towards ``focus``."""
        picture = camera.width * camera.height / (camera.K[0, 0] * camera.K[1, 1])
        return Viewpoint(center, (focus - center) / np.linalg.norm(focus - center), float(picture))


@dataclass(frozen=True, eq=False)
class Cleared:
    """The new places of the Gaussians. All that are no floaters stay the same, bit for bit."""

    means: Tensor  # (N, 3)
    log_scales: Tensor  # (N, 3)
    keep: Tensor  # (N,) bool: false for floaters that no distance helps
    floaters: int  # that were moved or dropped


def viewpoints(cameras: Sequence[Camera], settings: FloaterSettings) -> list[Viewpoint]:
    """Rings around each camera, with radii of ``rings`` times the cameras' median spacing, that look at what the camera looks at.

    A camera's own focus is on its axis at the depth of the cameras' common focus, or, if their axes are parallel, at ``parallel`` times
    their median spacing. Viewpoints are as far from it as the camera is. There are none where all cameras stand at one point.
    """
    places = centers(cameras)
    distance = np.linalg.norm(places[:, None] - places, axis=2)
    np.fill_diagonal(distance, np.inf)
    nearest = distance.min(axis=1)
    apart = nearest[np.isfinite(nearest) & (nearest > 0)]
    if not len(apart):
        return []
    spacing = float(np.median(apart))
    common = common_focus(cameras)
    angles = 2 * np.pi * np.arange(settings.directions) / settings.directions
    found = []
    for camera in cameras:
        ahead = 0.0 if common is None else float((common - camera.center) @ camera.rotation[2])
        ahead = ahead if ahead > spacing else settings.parallel * spacing
        focus = camera.center + ahead * camera.rotation[2]
        for part in settings.rings:
            for angle in angles:
                aside = part * spacing * (np.cos(angle) * camera.rotation[0] + np.sin(angle) * camera.rotation[1])
                outwards = camera.center + aside - focus
                found.append(Viewpoint.of(camera, focus + outwards * (ahead / np.linalg.norm(outwards)), focus))
    return found


@torch.no_grad()
def without_floaters(
    gaussians: Gaussians, cameras: Sequence[Camera], points: Sequence[Viewpoint], rasterizer: Rasterizer, settings: FloaterSettings
) -> Cleared:
    """Moves floaters away from the view that shows them best, until they are in front of no viewpoint; else marks them for removal.

    A floater is in front of a viewpoint, ``magnification`` times nearer to it than to any view that shows it well, shown by effectively
    fewer than ``views`` views, covers part of a picture from there, and hangs alone: what is hidden from there, such as the far side of
    somebody who stands close to a camera, stays, and so does part of a surface. A view counts by the part of the Gaussian that it shows:
    its blending weight, summed over the pixels, times the squared distance. The effective number is the squared sum of these over the sum
    of their squares.
    """
    places = torch.as_tensor(centers(cameras), dtype=torch.float32, device=gaussians.device)
    distance = torch.cdist(gaussians.means, places)
    shown = weights(gaussians, cameras, rasterizer) * distance.square()
    best = shown.amax(1)
    part = torch.where(best[:, None] > 0, shown / best[:, None], 0.0)
    effective = part.sum(1).square() / part.square().sum(1).clamp_min(1.0)  # the best part is 1
    nearest = torch.where(part > settings.well, distance, math.inf).amin(1)
    size = gaussians.scales.amax(1)
    unsure = torch.nonzero((best > 0) & (effective < settings.views))[:, 0]
    means, log_scales = gaussians.means.clone(), gaussians.log_scales.clone()
    keep = torch.ones(len(means), dtype=torch.bool, device=means.device)
    near = unsure[before_viewpoints(means[unsure], size[unsure], nearest[unsure], points, settings)]
    determined = gaussians.means[(effective >= settings.surface) & (gaussians.opacities > settings.solid)]
    near = near[alone(gaussians.means[near], determined, nearest[near], settings)]
    left = near[hiding(gaussians, near, nearest[near], points, settings)]
    count = len(left)
    origin = places[shown.argmax(1)]
    for factor in settings.farther:
        if not len(left):
            break
        moved = origin[left] + factor * (gaussians.means[left] - origin[left])
        still = before_viewpoints(moved, factor * size[left], factor * nearest[left], points, settings)
        done = left[~still]
        means[done] = moved[~still]
        log_scales[done] = gaussians.log_scales[done] + math.log(factor)
        left = left[still]
    keep[left] = False
    return Cleared(means, log_scales, keep, count)


def before_viewpoints(means: Tensor, size: Tensor, nearest: Tensor, points: Sequence[Viewpoint], settings: FloaterSettings) -> Tensor:
    """(N,) bool: in front of a viewpoint, and ``magnification`` times nearer to it than ``nearest`` (N,).

    ``size`` (N,) is the largest standard deviation of each, by which it may lie behind. Anywhere in front counts, not only what a viewpoint
    has in its image: a camera may stand between two viewpoints.
    """
    found = torch.zeros(len(means), dtype=torch.bool, device=means.device)
    if not len(points):
        return found
    forward = means.new_tensor(np.stack([point.forward for point in points]))
    for part, offset in _offsets(means, points):
        ahead = (offset * forward).sum(2) > -size[part, None]
        found[part] = (ahead & (nearest[part, None] > settings.magnification * offset.norm(dim=2))).any(1)
    return found


def hiding(gaussians: Gaussians, chosen: Tensor, nearest: Tensor, points: Sequence[Viewpoint], settings: FloaterSettings) -> Tensor:
    """(M,) bool: which of the ``chosen`` (M,) Gaussians cover at least ``hides`` of a picture taken from a viewpoint that they are
    ``magnification`` times nearer to than ``nearest`` (M,), whatever its direction: a camera may stand between two viewpoints.
    """
    found = torch.zeros(len(chosen), dtype=torch.bool, device=chosen.device)
    if not len(chosen) or not len(points):
        return found
    means = gaussians.means[chosen]
    close = torch.empty((len(chosen), len(points)), dtype=torch.bool, device=chosen.device)
    for part, offset in _offsets(means, points):
        distance = offset.norm(dim=2)
        close[part] = nearest[part, None] > settings.magnification * distance
    sight = LineOfSight(gaussians)
    for index in torch.nonzero(close.any(0))[:, 0].tolist():
        some = torch.nonzero(close[:, index] & ~found)[:, 0]
        if len(some):
            point = points[index]
            found[some] = sight.covers(means.new_tensor(point.center), chosen[some], settings.hides * point.picture)
    return found


def alone(means: Tensor, determined: Tensor, nearest: Tensor, settings: FloaterSettings) -> Tensor:
    """(M,) bool: which of the means (M, 3) have fewer than ``neighbours`` of the ``determined`` (D, 3) within ``apart`` times
    ``nearest`` (M,).
    """
    if not len(means) or len(determined) < settings.neighbours:
        return torch.ones(len(means), dtype=torch.bool, device=means.device)
    return nearest_to(means, determined, settings.neighbours).distances[:, -1] >= settings.apart * nearest


def weights(gaussians: Gaussians, cameras: Sequence[Camera], rasterizer: Rasterizer) -> Tensor:
    """(N, V) blending weights, summed over the pixels of each camera."""
    columns = gaussians.means.new_empty((len(cameras), len(gaussians)))
    largest = max(camera.width * camera.height for camera in cameras)
    for group in rendered_together(cameras, min(max(1, PIXELS_TOGETHER // largest), VIEWS_TOGETHER)):
        alike = [cameras[index] for index in group]
        ones = torch.ones((len(alike), alike[0].height, alike[0].width, 1), device=gaussians.device)
        columns[group] = lift(rasterizer, gaussians, alike, ones)[..., 0]
    return columns.T


def _offsets(means: Tensor, points: Sequence[Viewpoint]) -> Iterator[tuple[slice, Tensor]]:
    """(m, P, 3) from each viewpoint to each of the means (N, 3), for a slice of these at a time."""
    places = means.new_tensor(np.stack([point.center for point in points]))
    count = max(1, PAIRS_AT_ONCE // len(points))
    for first in range(0, len(means), count):
        part = slice(first, first + count)
        yield part, means[part, None] - places
