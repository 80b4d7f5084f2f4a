"""Gaussians that are where they were long ago, whatever led there.

Motions that follow one another err by a little each: what a shadow or a passer-by pushed a pixel aside would stay there. The frame in
which it rested tells that it rests again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.motion.evidence import gather, pixel_size
from trackersplat.motion.motion import Carried, Motion
from trackersplat.motion.settings import MotionSettings
from trackersplat.motion.static import still_and_trusted
from trackersplat.motion.triangulate import triangulate
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.tracking.tracker import DenseTracks

_NEAR_PX = 6.0  # what went further than this is not put back: inside of what has one colour, tracks may call everything still


def rest_again(
    rasterizer: Rasterizer,
    gaussians: Gaussians,
    capture_cameras: Sequence[Camera],
    tracks: Sequence[DenseTracks],  # one per camera, over nothing in between, to one target
    motion: Motion,
    settings: MotionSettings,
    carried: Carried | None = None,  # of the motion that led to the base frame of the tracks
) -> Motion:
    """``motion``, from the base frame of the tracks to their target, with those of the ``gaussians`` put back that it moves and the
    tracks call still.

    They are moved nowhere; static are only those that were, as the others may have changed their look. So that what is slow is not put
    back as often as it is let through, what was ``carried`` there as withheld counts as motion, and what the tracks measure is withheld.
    """
    evidence = gather(rasterizer, gaussians.detach(), capture_cameras, tracks, settings)
    displacement, variance, moved = (values[:, 0] for values in (evidence.displacement, evidence.variance, evidence.moved))
    means = gaussians.means.detach().double()
    pixel = pixel_size(means, capture_cameras)
    solved = triangulate(capture_cameras, means, displacement, variance, evidence.surface)
    earlier = torch.zeros_like(means) if carried is None else carried.withheld.double()
    resting, trusted = still_and_trusted(solved, moved, variance, evidence.shown, earlier, pixel, settings)
    withheld = (torch.where(trusted[:, None], solved.translation, 0.0) + earlier).float()
    return put_back(motion, resting & ~motion.static & (motion.translation.norm(dim=-1) <= _NEAR_PX * pixel), withheld)


def put_back(motion: Motion, resting: Tensor, withheld: Tensor) -> Motion:
    """The same motion, but the ``resting`` (N,) bool Gaussians are where they were and carry nothing on but the ``withheld`` (N, 3)."""

    def without(values: Tensor) -> Tensor:
        return torch.where(resting if values.ndim == 1 else resting[:, None], 0.0, values)

    carried = motion.carried
    return replace(
        motion,
        translation=without(motion.translation),
        rotation=torch.where(resting[:, None], motion.rotation.new_tensor((1.0, 0.0, 0.0, 0.0)), motion.rotation),
        carried=None
        if carried is None
        else Carried(
            torch.where(resting[:, None], withheld, carried.withheld),
            without(carried.velocity),
            without(carried.spin),
            without(carried.trust),
        ),
    )
