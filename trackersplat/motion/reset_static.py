"""Gaussians that are where they were long ago, whatever led there.

Motions that follow one another err by a little each: what a shadow or a passer-by pushed a pixel aside would stay there. The frame in
which it rested, its origin, tells that it rests again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import normalize

from trackersplat.captures.camera import Camera
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.geometry.quaternions import conjugate, multiply
from trackersplat.motion.measure import gather, pixel_size
from trackersplat.motion.motion import Carried, Motion
from trackersplat.motion.ops.triangulate import triangulate
from trackersplat.motion.settings import MotionSettings
from trackersplat.motion.static import still_and_trusted
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.tracking.tracks import DenseTracks

_NEAR_PX = 6.0  # what is further than this from where it was is not put back: inside of what has one colour, tracks may call all still


def rest_again(
    rasterizer: Rasterizer,
    origin: Gaussians,
    capture_cameras: Sequence[Camera],
    tracks: Sequence[DenseTracks],  # one per camera, from the origin's frame, over nothing in between, to one target
    base: Gaussians,  # the same ones but for what is gone, in the frame that the motion starts from; may be the origin
    motion: Motion,
    settings: MotionSettings,
    carried: Carried | None = None,  # of the motion that led to the origin's frame
    gone: Tensor | None = None,  # (B,) indices of those of the origin in whose places the base has others
) -> Motion:
    """``motion``, from the ``base`` to the target of the tracks, with what these call still put back to where the ``origin`` has it.

    What is put back is not static: it may have changed its look. So that what is slow is not put back as often as it is let through, what
    was ``carried`` to the origin as withheld counts as motion, and what the tracks measure is withheld.
    """
    evidence = gather(rasterizer, origin.detach(), capture_cameras, tracks, settings)
    displacement, variance, moved = (values[:, 0] for values in (evidence.displacement, evidence.variance, evidence.moved))
    means = origin.means.detach().double()
    pixel = pixel_size(means, capture_cameras)
    solved = triangulate(capture_cameras, means, displacement, variance, evidence.surface)
    earlier = torch.zeros_like(means) if carried is None else carried.withheld.double()
    resting, trusted = still_and_trusted(solved, moved, variance, evidence.shown, earlier, pixel, settings)
    withheld = (torch.where(trusted[:, None], solved.translation, 0.0) + earlier).float()
    way = (origin.means - base.means).detach()
    turn = multiply(origin.quats.detach(), conjugate(base.quats.detach()))
    elsewhere = (motion.translation - way).norm(dim=-1) / pixel  # pixels; what is less is no mistake, refinement may have found it better
    back = resting & (elsewhere > settings.static_px) & (elsewhere <= _NEAR_PX)
    if gone is not None:
        back[gone] = False
    return put_back(motion, back, way, normalize(turn, dim=-1), withheld)


def put_back(motion: Motion, resting: Tensor, way: Tensor, turn: Tensor, withheld: Tensor) -> Motion:
    """The same motion, but the ``resting`` (N,) bool Gaussians go the ``way`` (N, 3), turn by ``turn`` (N, 4) and carry nothing on but the
    ``withheld`` (N, 3)."""

    def otherwise(values: Tensor, theirs: Tensor | float) -> Tensor:
        return torch.where(resting if values.ndim == 1 else resting[:, None], theirs, values)

    carried = motion.carried
    return replace(
        motion,
        translation=otherwise(motion.translation, way),
        rotation=otherwise(motion.rotation, turn),
        static=motion.static & ~resting,
        carried=None
        if carried is None
        else Carried(
            withheld=otherwise(carried.withheld, withheld),
            velocity=otherwise(carried.velocity, 0.0),
            spin=otherwise(carried.spin, 0.0),
            trust=otherwise(carried.trust, 0.0),
        ),
    )
