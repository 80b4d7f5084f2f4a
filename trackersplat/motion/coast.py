"""What the motion of the batch before leads one to expect of Gaussians that no track finds now."""

from __future__ import annotations

import torch
from torch import Tensor

from trackersplat.motion.motion import Carried
from trackersplat.motion.propagate import Expected

_FORGOTTEN = 0.1  # trust below which an earlier velocity says nothing any more


def coast(
    carried: Carried,
    frames: Tensor,  # (N,) from the base frame to the target
    floor: Tensor,  # (N,) scene units: motion that cannot be told from none
    unsteadiness: float,
    bend: float,  # radians, the same for rotations
) -> Expected:
    """Constant velocity: the earlier motion goes on, with an error that grows with the motion.

    The standard deviation of an expected motion is ``unsteadiness`` times its length, and the floor. Where nothing moved, or
    it was too long ago, nothing is expected.
    """
    translation, rotation = (rate.double() * frames[:, None] for rate in (carried.velocity, carried.spin))
    distance, angle, trust = translation.norm(dim=-1), rotation.norm(dim=-1), carried.trust.double()
    known = (distance > 0) & (trust >= _FORGOTTEN)
    precision = torch.where(known, trust / ((unsteadiness * distance).square() + floor.square()).clamp_min(1e-18), 0.0)
    rotation_precision = torch.where(known, trust / ((unsteadiness * angle).square() + bend**2), 0.0)
    return Expected(translation, rotation, precision, rotation_precision, torch.where(known, trust, 0.0))
