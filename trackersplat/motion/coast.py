"""What the motion of the batch before leads one to expect of Gaussians that no track finds now."""

from __future__ import annotations

import torch
from torch import Tensor

from trackersplat.motion.motion import CarriedMotion
from trackersplat.motion.propagate import Expected
from trackersplat.motion.settings import CoastSettings


def coast(
    carried: CarriedMotion,
    frames: Tensor,  # (N,) from the base frame to the target
    floor: Tensor,  # (N,) scene units: motion that cannot be told from none
    bend: float,  # radians, the same for rotations
    settings: CoastSettings,
) -> Expected:
    """Constant velocity: the earlier motion goes on, with an error that grows with the motion.

    The variance of an expected motion is the square of ``velocity_change`` times its length, plus that of the floor, over the trust.
    Where nothing moved, or it was too long ago, nothing is expected.
    """
    translation, rotation = (rate.double() * frames[:, None] for rate in (carried.velocity, carried.angular_velocity))
    distance, angle, trust = translation.norm(dim=-1), rotation.norm(dim=-1), carried.trust.double()
    known = (distance > 0) & (trust >= settings.least_trust)
    change = settings.velocity_change
    precision = torch.where(known, trust / ((change * distance).square() + floor.square()).clamp_min(1e-18), 0.0)
    rotation_precision = torch.where(known, trust / ((change * angle).square() + bend**2), 0.0)
    return Expected(
        translation=translation,
        rotation=rotation,
        precision=precision,
        rotation_precision=rotation_precision,
        trust=torch.where(known, trust, 0.0),
    )
