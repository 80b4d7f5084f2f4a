"""Clean-up: proposes Gaussians that are probably floaters, each with its reasons. Nothing is changed; a person decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from trackersplat.document.attributes import values_of
from trackersplat.document.seen_scene import SeenScene
from trackersplat.document.selection import Selection
from trackersplat.errors import InputError
from trackersplat.geometry.projection import centers


@dataclass(frozen=True)
class CleanUpSettings:
    """When something counts as a reason, and how many reasons a proposal needs."""

    reasons: int = 2  # of those below
    views: float = 2.0  # effective number of cameras that show it, below which they are few
    error: float = 3.0  # times the median error of what is seen, from which it is high
    large: float = 0.15  # standard deviation over the distance to the nearest camera, from which it is large
    flicker: float = 0.4  # largest change of opacity times colour between neighbouring frames, from which it flickers
    near: float = 0.35  # distance to the nearest camera over the median of all Gaussians, below which it stands in front
    least_weight: float = 0.5  # px over all cameras: what shows less is of no matter


@dataclass(frozen=True)
class Proposal:
    """What is proposed, and why: reasons in words -> those of the selection that they hold for."""

    selection: Selection
    reasons: Mapping[str, Selection]
    remarks: tuple[str, ...] = ()  # what could not be judged, in sentences


def propose_floaters(scene: SeenScene, frame: int, settings: CleanUpSettings | None = None) -> Proposal:
    """Judges what a frame shows. Renders it from every camera; errors need the photographs, and are left out without them.

    Raises InputError if the frame is not there, or no camera is known.
    """
    settings = settings or CleanUpSettings()
    seen = values_of("weight", scene, frame) >= settings.least_weight
    means = scene.gaussians(frame).means.numpy()
    distance = np.linalg.norm(means[:, None] - centers(scene.cameras).astype(np.float32), axis=2).min(1)
    usual = float(np.median(distance[seen])) if seen.any() else 0.0
    found = {
        "few views": values_of("views", scene, frame) < settings.views,
        "large": values_of("size", scene, frame) >= settings.large * distance,
        "flickers": values_of("flicker", scene, frame) >= settings.flicker,
        "in front": distance < settings.near * usual,
    }
    remarks: tuple[str, ...] = ()
    try:
        error = values_of("error", scene, frame)
    except InputError as missing:
        remarks = (f"Errors could not be judged: {missing}",)
    else:
        known = seen & np.isfinite(error)
        middle = float(np.median(error[known])) if known.any() else np.inf
        found["high error"] = known & (np.nan_to_num(error) >= settings.error * middle)
    chosen = seen & (np.sum(list(found.values()), axis=0) >= settings.reasons)
    reasons = {name: scene.chosen(frame, mask & chosen) for name, mask in found.items()}
    return Proposal(scene.chosen(frame, chosen), {name: each for name, each in reasons.items() if len(each)}, remarks)
