"""How well a frame is reproduced: every metric, on held-out and on training cameras."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from trackersplat.captures.capture import Capture
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.metrics.dynamic import dynamic_pixels
from trackersplat.metrics.measure import score_images
from trackersplat.metrics.names import ScoreName
from trackersplat.pipelines.pipeline import Context
from trackersplat.rendering.device_images import device_image, device_mask
from trackersplat.rendering.rasterizer import rendered_together
from trackersplat.training.photometric import ColourAffines

Scores = dict[str, dict[str, float]]  # score name -> camera name -> value
VIEWS_AT_ONCE = 8  # bounds the memory
UNMOVED, MOVED, RESULT = "unmoved", "moved", ""  # stages of a `ScoreName`


@dataclass(frozen=True, eq=False)
class Stages:
    """The Gaussians that are compared with a frame's images. The training cameras see the result alone."""

    result: Gaussians
    unmoved: Gaussians | None = None  # of the base frame
    moved: Gaussians | None = None  # before any optimisation

    def by_name(self) -> dict[str, Gaussians]:
        known = {UNMOVED: self.unmoved, MOVED: self.moved, RESULT: self.result}
        return {name: gaussians for name, gaussians in known.items() if gaussians is not None}


def dynamic_masks(context: Context, frame: int, origin: int | None) -> dict[int, np.ndarray]:
    """Held-out camera -> pixels (H, W) that changed since the frame ``origin``; of none if it is the same frame, or there is none."""
    capture = context.capture
    if origin is None or origin == frame:
        return {}
    pairs = {camera: (capture.image(camera, origin), capture.image(camera, frame)) for camera in capture.held_out_cameras}
    return {camera: dynamic_pixels(*pair, context.settings.dynamic) for camera, pair in pairs.items()}


@torch.no_grad()
def measure(
    context: Context, frame: int, stages: Stages, colours: ColourAffines | None, masks: Mapping[int, np.ndarray] | None = None
) -> Scores:
    """Scores by name and camera. Over all pixels; for the result also over those of the capture's foreground masks (``masked_``) and,
    on held-out cameras, over those of the ``masks`` that `dynamic_masks` has made (``dynamic_``).

    ``colours`` are applied to training cameras only: a held-out one is always compared as rendered.
    """
    capture, scores = context.capture, defaultdict[str, dict[str, float]](dict)
    for cameras in _together(capture, capture.held_out_cameras):
        dynamic = [masks[camera] for camera in cameras] if masks else None
        for name, gaussians in stages.by_name().items():
            result = name == RESULT
            found = _score(context, frame, gaussians, cameras, None, dynamic if result else None, masked=result)
            _add(scores, capture, cameras, found, name)
    for cameras in _together(capture, capture.training_cameras):
        _add(scores, capture, cameras, _score(context, frame, stages.result, cameras, colours, None, masked=True), RESULT)
    return dict(scores)


def held_out_means(scores: Mapping[str, Mapping[str, float]], capture: Capture) -> dict[str, float]:
    """Score name -> mean over the held-out cameras that have it; names that none has are left out."""
    names = {capture.cameras[camera].name for camera in capture.held_out_cameras}
    means = {}
    for name, by_camera in scores.items():
        values = [value for camera, value in by_camera.items() if camera in names]
        if values:
            means[name] = sum(values) / len(values)
    return means


def _score(
    context: Context,
    frame: int,
    gaussians: Gaussians,
    cameras: Sequence[int],
    colours: ColourAffines | None,
    dynamic: list[np.ndarray] | None,
    *,
    masked: bool,
) -> dict[str, list[float | None]]:
    capture, device = context.capture, context.rasterizer.device
    images = context.rasterizer.render(gaussians, [capture.cameras[camera] for camera in cameras]).color
    if colours is not None:
        images = torch.stack([colours.apply(capture.cameras[c].name, image) for c, image in zip(cameras, images, strict=True)])
    references = torch.stack([device_image(capture, camera, frame, device) for camera in cameras])
    masks = [device_mask(capture, camera, frame, device) for camera in cameras] if masked and capture.masks is not None else None
    return score_images(images, references, context.available_metrics, masks=masks, dynamic=dynamic, weights=context.weights)


def _add(scores: Scores, capture: Capture, cameras: Sequence[int], found: Mapping[str, list[float | None]], stage: str) -> None:
    for name, values in found.items():
        for camera, value in zip(cameras, values, strict=True):
            if value is not None:
                scores[str(replace(ScoreName.parse(name), stage=stage))][capture.cameras[camera].name] = value


def _together(capture: Capture, cameras: Sequence[int]) -> list[list[int]]:
    """The cameras in groups that are rendered in one call, at most `VIEWS_AT_ONCE` each."""
    groups = rendered_together([capture.cameras[camera] for camera in cameras], VIEWS_AT_ONCE)
    return [[cameras[index] for index in group] for group in groups]
