"""Static content does not drift: Gaussians at rest are reset to the pose of the frame in which they were fitted.

Motions that follow one another err by a little each: what a shadow or a passer-by pushed a pixel aside would stay there. Direct tracks
from the frame of origin, over nothing in between, tell that a Gaussian is back where it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import normalize

from trackersplat.captures.camera import Camera
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.geometry.quaternions import conjugate, multiply
from trackersplat.motion.evidence import Evidence
from trackersplat.motion.measure import SeenBase, measure, pixel_size
from trackersplat.motion.motion import CarriedMotion, Motion
from trackersplat.motion.ops.triangulate import Observations, triangulate
from trackersplat.motion.ops.view_evidence import view_evidence
from trackersplat.motion.settings import MotionSettings
from trackersplat.motion.static import judge
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.tracking.tracks import DenseTracks


def reset_static(
    rasterizer: Rasterizer,
    origin: Gaussians,
    cameras: Sequence[Camera],
    tracks: Sequence[DenseTracks],  # one per camera, direct ones from the origin's frame to one target
    base: Gaussians,  # those of the origin but for replaced ones, in the frame that the motion starts from; may be the origin
    motion: Motion,
    settings: MotionSettings,
    carried: CarriedMotion | None = None,  # of the motion that led to the origin's frame
    excluded: Tensor | None = None,  # (B,) int64 indices of Gaussians that stay: the base has others for them, or they were corrected
    seen_from_origin: SeenBase | None = None,  # of the ``origin``, if known
) -> Motion:
    """``motion``, from the ``base`` to the target of the tracks, with those Gaussians reset to the pose of the ``origin`` that are there.

    They are where the direct tracks call them static and the motion takes them elsewhere, by more than the static threshold and at most
    ``settings.reset_static.nearest_px``. They are not marked as static, because their appearance may have changed. So that slow motion is
    not reset as often as it is applied, the pending translation that was ``carried`` to the origin counts as motion, and what the tracks
    measure becomes pending. Their evidence, if the motion has any, is that of the direct tracks against no motion.

    Raises ShapeError if cameras, tracks and evidence do not fit each other.
    """
    seen = measure(rasterizer, origin.detach(), cameras, tracks, settings.measure, seen_from_origin)
    means = origin.means.detach().double()
    pixel = pixel_size(means, cameras)
    observations = Observations(displacements=seen.displacement[:, 0], variances=seen.variance[:, 0], surfaces=seen.surface)
    solved = triangulate(cameras, means, observations, settings.triangulate)
    earlier = torch.zeros_like(means) if carried is None else carried.pending_translation.double()
    is_static, trusted = judge(solved, seen.moved[:, 0], observations.variances, seen.shown, earlier, pixel, settings)
    translation = (origin.means - base.means).detach()
    turn = multiply(origin.quats.detach(), conjugate(base.quats.detach()))
    # Less than the static threshold is no mistake: refinement may have found a better place.
    elsewhere = (motion.translation - translation).norm(dim=-1) / pixel
    chosen = is_static & (elsewhere > settings.static.threshold_px) & (elsewhere <= settings.reset_static.nearest_px)
    if excluded is not None:
        chosen[excluded] = False
    evidence = None
    if motion.evidence is not None:
        none = torch.zeros_like(means)
        evidence = view_evidence(cameras, means, none, observations, seen.shown, settings.triangulate)
    pose = Pose(
        translation=translation,
        rotation=normalize(turn, dim=-1),
        pending_translation=(torch.where(trusted[:, None], solved.translation, 0.0) + earlier).float(),
        evidence=evidence,
    )
    return reset_to(motion, chosen, pose)


@dataclass(frozen=True, eq=False)
class Pose:
    """Where N Gaussians are reset to, relative to the base of a motion."""

    translation: Tensor  # (N, 3) scene units
    rotation: Tensor  # (N, 4) wxyz unit
    pending_translation: Tensor  # (N, 3) scene units, all that is carried on
    evidence: Evidence | None = None  # what shows that they are there; None keeps that of the motion


def reset_to(motion: Motion, chosen: Tensor, pose: Pose) -> Motion:
    """The same motion, but the ``chosen`` (N,) bool Gaussians take the ``pose``, without velocities."""

    def otherwise(values: Tensor, theirs: Tensor | float) -> Tensor:
        return torch.where(chosen if values.ndim == 1 else chosen[:, None], theirs, values)

    carried, evidence = motion.carried, motion.evidence
    return replace(
        motion,
        translation=otherwise(motion.translation, pose.translation),
        rotation=otherwise(motion.rotation, pose.rotation),
        is_static=motion.is_static & ~chosen,
        carried=None
        if carried is None
        else CarriedMotion(
            pending_translation=otherwise(carried.pending_translation, pose.pending_translation),
            velocity=otherwise(carried.velocity, 0.0),
            angular_velocity=otherwise(carried.angular_velocity, 0.0),
            trust=otherwise(carried.trust, 0.0),
        ),
        evidence=evidence if evidence is None or pose.evidence is None else evidence.replaced_where(chosen, pose.evidence),
    )
