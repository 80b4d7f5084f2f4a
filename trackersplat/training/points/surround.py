"""Points of a rig that surrounds its scene: the shell around it, and where there are masks, the hull of the foreground."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import PointCloud
from trackersplat.geometry.projection import inside_image
from trackersplat.training.points.clouds import no_points
from trackersplat.training.points.colouring import median_colours, visible_from
from trackersplat.training.points.hull import hull_surface
from trackersplat.training.points.rig import Rig
from trackersplat.training.points.settings import HullSettings, PointSettings, ShellSettings
from trackersplat.training.points.shell import Shell, find_shell, spread_directions
from trackersplat.training.points.sweep import View
from trackersplat.training.points.threads import in_threads

MOST_CANDIDATES = 2_000_000  # directions tried, for the memory


@dataclass(frozen=True, eq=False)
class Pictures:
    """The views of one frame at full size."""

    cameras: Sequence[Camera]
    images: Sequence[np.ndarray]  # (H, W, 3) uint8 at the cameras' sizes
    masks: Sequence[np.ndarray | None]  # (H, W) bool, True = foreground


@dataclass(frozen=True, eq=False)
class Surroundings:
    """What cameras that stand around a scene see without matching views with each other."""

    around: PointCloud  # on the shell
    shell: Shell | None
    hull: PointCloud  # of the foreground


def surroundings(views: Sequence[View], pictures: Pictures, rig: Rig, settings: PointSettings) -> Surroundings:
    """Shell and hull, with as many points as the settings allow them. Views and pictures as in `shell_points`."""
    around, shell = shell_points(views, pictures, rig, round(settings.shell.share * settings.count), settings.shell)
    hull = foreground_hull(pictures, rig, round(settings.hull.share * settings.count), settings.hull, settings.seed)
    return Surroundings(around, shell, hull)


def foreground_hull(pictures: Pictures, rig: Rig, count: int, settings: HullSettings, seed: int) -> PointCloud:
    """At most ``count`` points on the visual hull of the masks, coloured by the views that see them; none where there are no masks."""
    own = [i for i, mask in enumerate(pictures.masks) if mask is not None]
    cameras, images = [pictures.cameras[i] for i in own], [pictures.images[i] for i in own]
    foreground = [mask for mask in pictures.masks if mask is not None]
    if len(own) < 2 or count < 1:
        return no_points()
    xyz, width = hull_surface(cameras, foreground, rig, settings)
    if not len(xyz):
        return no_points()
    seen = visible_from(xyz, width, cameras, settings.splat)
    chosen = np.sort(np.random.default_rng(seed).permutation(np.flatnonzero(seen.any(axis=0)))[:count])
    rgb, votes = median_colours(xyz[chosen], cameras, images, foreground, seen[:, chosen])
    return PointCloud(xyz[chosen][votes > 0].astype(np.float32), rgb[votes > 0])


def shell_points(
    views: Sequence[View], pictures: Pictures, rig: Rig, count: int, settings: ShellSettings
) -> tuple[PointCloud, Shell | None]:
    """About ``count`` points, evenly spread over what the views see of the shell, and the shell; none where they agree nowhere.

    ``views`` are those that the shell is found with, at any size; the ``pictures`` of the same cameras give the colours.
    """
    cameras, images = pictures.cameras, pictures.images
    hidden = [None if mask is None else _widened(mask, settings.border) for mask in pictures.masks]
    small = [
        None if mask is None else cv2.resize(mask.astype(np.uint8), view.gray.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
        for mask, view in zip(hidden, views, strict=True)
    ]
    shell = find_shell(views, small, rig, settings) if count > 0 else None
    if shell is None:
        return no_points(), None
    background = [np.ones(image.shape[:2], dtype=bool) if mask is None else ~mask for mask, image in zip(hidden, images, strict=True)]
    _, votes = median_colours(shell.points(spread_directions(4096)), cameras, images, background)
    share = max(float((votes > 0).mean()), 0.01)  # of the sphere that any view sees
    xyz = shell.points(spread_directions(min(round(count / share), MOST_CANDIDATES)))
    rgb, votes = median_colours(xyz, cameras, images, background)
    return PointCloud(xyz[votes > 0].astype(np.float32), rgb[votes > 0]), shell


def floating(
    xyz: np.ndarray, cameras: Sequence[Camera], masks: Sequence[np.ndarray | None], shell: Shell, settings: ShellSettings
) -> np.ndarray:
    """(N,) bool: points (N, 3) that belong to nothing: well in front of the shell, yet before the background in a view with a mask.

    A sweep finds such points where walls have no texture; they hang in the room and fog every view. None without masks.
    """
    offset = xyz - shell.center
    distance = np.linalg.norm(offset, axis=1)
    radius = np.linalg.norm(shell.points(offset / np.maximum(distance, 1e-12)[:, None]) - shell.center, axis=1)

    def contradicted_by(view: int) -> np.ndarray:
        camera, mask = cameras[view], masks[view]
        contradicted = np.zeros(len(xyz), dtype=bool)
        if mask is not None:
            pixel, depth = camera.project(xyz)
            column, row = np.floor(np.nan_to_num(pixel, nan=-1.0).clip(-1, 1e6)).astype(np.int64).T
            inside = (depth > camera.near) & inside_image(pixel, camera.width, camera.height)
            wide = _widened(mask, settings.border)
            contradicted[inside] = ~wide[row[inside], column[inside]]
        return contradicted

    contradicted = np.logical_or.reduce(in_threads(contradicted_by, range(len(cameras))))
    return contradicted & (distance < (1.0 - settings.thickness) * radius)


def _widened(mask: np.ndarray, border: float) -> np.ndarray:
    side = 2 * max(1, round(border * mask.shape[1] / 2)) + 1
    return cv2.dilate(mask.astype(np.uint8), np.ones((side, side), dtype=np.uint8)) > 0
