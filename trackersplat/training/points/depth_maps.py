"""The depth map of every view of a frame by matching the views."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import replace

import cv2
import numpy as np

from trackersplat.training.points.each_view import helpers, on_threads, swept_on_device
from trackersplat.training.points.fusion import fuse, fuse_unhindered
from trackersplat.training.points.patchmatch import patchmatch
from trackersplat.training.points.settings import PatchMatchSettings
from trackersplat.training.points.sweep import DepthMap, View, sweep
from trackersplat.training.points.task import PointTask
from trackersplat.training.points.views import far_apart, tighten

_SWEPT_AT_ONCE = 8  # views at most, for the memory: each has a cost volume


def matched_depths(task: PointTask) -> list[np.ndarray]:
    """(H, W) float32 per camera of the task, at the size of its images: depth along the optical axis; 0 where nothing matches.

    By planes, or by patches where cameras are far apart. Nothing tells which of the depths are right: that needs other views.
    Raises InputError if nothing tells near and far.
    """
    patches = far_apart(task.views.cameras, task.settings.far_apart)
    with closing(patched(task) if patches else swept(task)) as maps:
        return [
            cv2.resize(found.depth.astype(np.float32), (camera.width, camera.height), interpolation=cv2.INTER_NEAREST)
            for found, camera in zip(maps, task.views.cameras, strict=True)
        ]


def swept(task: PointTask) -> Generator[DepthMap, None, None]:
    """Sweeps small images for the range of depths, then larger ones within it (`sweep`). In the order of the task's views."""
    settings = task.settings
    coarse, ranges = task.views.at(settings.sweep.coarse_side), task.views.ranges
    with closing(_planes(task, coarse, ranges)) as maps:
        depths = [found.depth for found in maps]
    rough = fuse([view.camera for view in coarse], depths, settings.sweep.coarse_tolerance, settings.fusion.agreeing)
    tight = [tighten(view.camera, rough.xyz, known, settings.depth_range) for view, known in zip(coarse, ranges, strict=True)]
    yield from _planes(task, task.views.views, tight)


def patched(task: PointTask) -> Generator[DepthMap, None, None]:
    """Matches slanted patches of small images for how near surfaces are, then of larger ones from there on. In the order of the views.

    Most of the inverse depths of a generous range are nearer than any surface: what is tried there only matches by chance. The far end
    stays, as it costs few tries, and what is far away is the least likely to match in small images.
    """
    settings, coarse, ranges = task.settings, task.views.at(task.settings.patchmatch.coarse_side), task.views.ranges
    rules = settings.patchmatch
    with closing(_patches(task, coarse, ranges, replace(rules, levels=rules.coarse_levels))) as maps:
        depths = [found.depth for found in maps]
    rough = fuse_unhindered([view.camera for view in coarse], depths, rules.tolerance, 1, rules.margin)
    near = [tighten(view.camera, rough.xyz, known, settings.depth_range)[0] for view, known in zip(coarse, ranges, strict=True)]
    yield from _patches(task, task.views.views, [(start, far) for start, (_, far) in zip(near, ranges, strict=True)], rules)


def _patches(
    task: PointTask, views: list[View], ranges: Sequence[tuple[float, float]], rules: PatchMatchSettings
) -> Generator[DepthMap, None, None]:
    """Without depths where patches match badly."""
    seed = task.settings.seed
    others = helpers(views, ranges, replace(task.settings.neighbours, count=rules.neighbours))

    def one(reference: View, rest: list[View], near: float, far: float) -> DepthMap:
        found = patchmatch(reference, rest, near, far, rules, seed)
        return DepthMap(np.where(found.mismatch < rules.mismatch, found.depth, 0), found.mismatch)

    return on_threads(views, others, ranges, one)


def _planes(task: PointTask, views: list[View], ranges: Sequence[tuple[float, float]]) -> Generator[DepthMap, None, None]:
    others, rules = helpers(views, ranges, task.settings.neighbours), task.settings.sweep
    if task.device.type != "cpu":
        return swept_on_device(views, others, ranges, task.device, rules)
    return on_threads(views, others, ranges, lambda reference, rest, near, far: sweep(reference, rest, near, far, rules), _SWEPT_AT_ONCE)
