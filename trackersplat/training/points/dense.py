"""Dense coloured points of one frame from the training cameras alone."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

import cv2
import numpy as np
import torch

from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import Capture, PointCloud
from trackersplat.errors import InputError
from trackersplat.training.points.fusion import AGREEING, TOLERANCE, Surface, chance, fuse
from trackersplat.training.points.gaps import fill_gaps
from trackersplat.training.points.layers import layers
from trackersplat.training.points.patchmatch import patchmatch
from trackersplat.training.points.rig import surrounding_rig
from trackersplat.training.points.surround import floating, foreground_hull, shell_points
from trackersplat.training.points.sweep import DepthMap, View, sweep
from trackersplat.training.points.sweep_torch import Sweep, depth_maps
from trackersplat.training.points.views import FEW, depth_range, far_apart, neighbours, tighten

DETAIL_FLOOR = 6.0  # grey levels per pixel; a flat region gets points as if it had this much detail
_COARSE_SIDE = 96  # pixels, longer side of the images that find the depth range
SHELL_SIDE = 360  # pixels, longer side of the images that find what surrounds the rig
SHELL_SHARE, HULL_SHARE = 0.35, 0.25  # of the points, where the cameras surround the scene; the sweep gives the rest
SLANTED_TOLERANCE, MISMATCH = 0.02, 0.2  # of slanted patches: as fusion.TOLERANCE, and from which on a patch is not believed
_THREADS = 8  # at most; each holds a cost volume
_CPU = torch.device("cpu")


@dataclass(frozen=True)
class PointSettings:
    """How the first points are found."""

    enough: int = 10_000  # a capture's own points are used as they are from this many on, unless they are sparse
    count: int = 20_000  # points wanted from the sweep
    max_side: int = 480  # pixels, longer side of the images it works on
    matching: Literal["auto", "planes", "patches"] = "auto"  # patches: slanted ones; auto: where cameras are few and far apart
    seed: int = 0


def first_points(capture: Capture, cameras: Sequence[int], frame: int, settings: PointSettings) -> PointCloud:
    """The capture's own points where they are dense enough and of this frame, else a multi-view plane sweep over ``cameras``, its gaps
    filled with the capture's own points.

    Raises InputError if the sweep finds no surface that its views agree on and the capture has no points either.
    """
    steps = sweep_points(capture, cameras, frame, settings)
    while True:
        try:
            next(steps)
        except StopIteration as result:
            cloud: PointCloud = result.value
            return cloud


def sweep_points(
    capture: Capture, cameras: Sequence[int], frame: int, settings: PointSettings, device: torch.device = _CPU
) -> Generator[str, None, PointCloud]:
    """`first_points` step by step: yields what it is doing, for people, and returns the points. Planes are swept on the device."""
    own = capture.points if frame == 0 else None
    if own is not None and not own.sparse and len(own.xyz) >= settings.enough:
        yield f"{len(own.xyz):,} points of the capture"
        return own
    if len(cameras) < 2:
        count = "one training camera" if cameras else "no training camera"
        raise InputError(f"{capture.name} has {count}; first points need at least 2: add cameras, or hold fewer out.")
    images = {i: capture.image(i, frame) for i in cameras}
    pictures = [_resized(images[i], settings.max_side) for i in cameras]
    ranges = [depth_range(capture, list(cameras), i) for i in cameras]
    views = [_view(capture.cameras[i], images[i], settings.max_side) for i in cameras]
    wide = far_apart([capture.cameras[i] for i in cameras])
    slanted = settings.matching == "patches" or (settings.matching == "auto" and wide)
    if not slanted:
        coarse = [_view(capture.cameras[i], images[i], _COARSE_SIDE) for i in cameras]
        yield f"depth range of {len(cameras)} views"
        rough = fuse([v.camera for v in coarse], [m.depth for m in _depth_maps(coarse, ranges, settings, device)], tolerance=0.03)
        ranges = [tighten(view.camera, rough.xyz, known) for view, known in zip(coarse, ranges, strict=True)]
    maps: list[DepthMap] = []
    with closing(_depth_maps(views, ranges, settings, device, slanted)) as found:
        for depth_map in found:
            maps.append(depth_map)
            yield f"depth of view {len(maps)} of {len(views)}"
    around: list[PointCloud] = []
    if slanted:
        depths = [np.where(m.mismatch < MISMATCH, m.depth, 0) for m in maps]
        surface = fuse([v.camera for v in views], depths, SLANTED_TOLERANCE, 1 if len(views) <= FEW else AGREEING)
        if wide and len(surface.xyz):
            yield "ground and backdrop"
            doubt = chance([v.camera for v in views], depths, SLANTED_TOLERANCE)
            most = round(HULL_SHARE * settings.count)
            surface, behind, mover = layers(capture, cameras, frame, views, pictures, surface, doubt, most)
            share = len(behind.xyz) / sum(v.gray.size for v in views)
            around = [mover, _thin(behind, pictures, round(share * (settings.count - len(mover.xyz))), settings.seed)]
    else:
        surface = fuse([v.camera for v in views], [m.depth for m in maps], TOLERANCE)
    rig = surrounding_rig([capture.cameras[i] for i in cameras])
    if rig is not None:
        yield "what surrounds the rig"
        full = [capture.cameras[i] for i in cameras], [images[i] for i in cameras], [capture.mask(i, frame) for i in cameras]
        small = [_view(capture.cameras[i], images[i], min(SHELL_SIDE, settings.max_side)) for i in cameras]
        cloud, shell = shell_points(small, *full, rig, round(SHELL_SHARE * settings.count))
        around.append(cloud)
        if shell is not None and len(surface.xyz):
            surface = surface.without(floating(surface.xyz, full[0], full[2], shell))
        around.append(foreground_hull(*full, rig, round(HULL_SHARE * settings.count), settings.seed))
    found_around = sum(len(cloud.xyz) for cloud in around)
    if not len(surface.xyz) and not found_around:
        if capture.points is not None and len(capture.points.xyz):
            yield f"no surface found; {len(capture.points.xyz):,} points of the capture"
            return capture.points
        raise InputError(
            f"{capture.name}, frame {frame + 1}: no two views agree on any surface; check the calibration, or give the capture points."
        )
    cloud = _thin(surface, pictures, settings.count - found_around, settings.seed)
    if found_around:
        clouds = (*around, cloud)
        cloud = PointCloud(np.concatenate([c.xyz for c in clouds]), np.concatenate([c.rgb for c in clouds]))
    yield f"{len(cloud.xyz):,} points from {len(views)} views"
    if own is not None and len(own.xyz):
        swept = len(cloud.xyz)
        cloud = fill_gaps(cloud, own, settings.seed)
        yield f"{len(cloud.xyz) - swept:,} of the capture's own points added"
    return cloud


def _depth_maps(
    views: list[View], ranges: list[tuple[float, float]], settings: PointSettings, device: torch.device, slanted: bool = False
) -> Generator[DepthMap, None, None]:
    """The depth map of every view, in order, computed by several threads or on a GPU."""
    cameras = [view.camera for view in views]
    helpers = [[views[i] for i in neighbours(cameras, reference, *ranges[reference])] for reference in range(len(views))]
    if device.type != "cpu" and not slanted:
        for _, run in groupby(range(len(views)), lambda i: (views[i].gray.shape, bool(helpers[i]))):
            alike = list(run)
            if helpers[alike[0]]:
                yield from depth_maps([Sweep(views[i], helpers[i], *ranges[i]) for i in alike], device)
            else:
                yield from (_unknown(views[i]) for i in alike)
        return

    def one(reference: int) -> DepthMap:
        near, far = ranges[reference]
        others = helpers[reference]
        if not others:
            return _unknown(views[reference])
        if slanted:
            return patchmatch(views[reference], others, near, far, settings.seed)
        return sweep(views[reference], others, near, far)

    pool = ThreadPoolExecutor(min(os.cpu_count() or 1, len(views), _THREADS))
    try:
        yield from pool.map(one, range(len(views)))
    finally:
        pool.shutdown(cancel_futures=True)


def _unknown(view: View) -> DepthMap:
    return DepthMap(np.zeros_like(view.gray), np.zeros_like(view.gray))


def _thin(surface: Surface, images: list[np.ndarray], count: int, seed: int) -> PointCloud:
    """At most ``count`` points, more where the image has detail, with their colours."""
    rgb = np.empty(surface.xyz.shape, dtype=np.uint8)
    detail = np.empty(len(surface.xyz), dtype=np.float32)
    for i, image in enumerate(images):
        mine = surface.view == i
        column, row = surface.pixel[mine].T
        rgb[mine] = image[row, column]
        detail[mine] = _detail(image)[row, column]
    if len(rgb) > count:
        # weighted choice without replacement: the largest of log(weight) + Gumbel noise
        noise = np.random.default_rng(seed).gumbel(size=len(rgb))
        score = np.log(detail) + noise
        chosen = np.sort(np.argpartition(-score, count)[:count])
    else:
        chosen = np.arange(len(rgb))
    return PointCloud(surface.xyz[chosen].astype(np.float32), rgb[chosen])


def _detail(image: np.ndarray) -> np.ndarray:
    """(H, W) relative need for points: the local image gradient over a floor for flat regions."""
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    gradient = np.hypot(cv2.Sobel(gray, cv2.CV_32F, 1, 0, scale=0.125), cv2.Sobel(gray, cv2.CV_32F, 0, 1, scale=0.125))
    return cv2.blur(gradient, (3, 3)) + DETAIL_FLOOR


def _resized(image: np.ndarray, max_side: int) -> np.ndarray:
    h, w = image.shape[:2]
    scale = max_side / max(h, w)
    if scale >= 1:
        return image
    return cv2.resize(image, (max(1, round(w * scale)), max(1, round(h * scale))), interpolation=cv2.INTER_AREA)


def _view(camera: Camera, image: np.ndarray, max_side: int) -> View:
    small = _resized(image, max_side)
    gray = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return View(camera.resized(small.shape[1], small.shape[0]), gray)
