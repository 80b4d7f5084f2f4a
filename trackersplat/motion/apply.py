"""Moves Gaussians."""

from __future__ import annotations

import torch
from torch import Tensor

from trackersplat.errors import ShapeError
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.geometry.devices import has_triton
from trackersplat.geometry.quaternions import multiply
from trackersplat.motion.motion import Motion
from trackersplat.motion.sh_rotation import rotate_sh, sample_tables


def move(gaussians: Gaussians, motion: Motion) -> Gaussians:
    """The Gaussians at the motion's target frame: means translated, axes and colour functions turned, shapes kept.

    Static Gaussians stay bit-identical, and so do the orientation and colour of those that are not turned.

    Raises ShapeError if the motion is of another number of Gaussians.
    """
    if motion.translation.shape != gaussians.means.shape:
        raise ShapeError(f"The motion is of {len(motion.translation)} Gaussians, there are {len(gaussians)}.")
    if has_triton(gaussians.means) and not any(values.requires_grad for values in gaussians.tensors().values()):
        from trackersplat.motion import apply_triton as fused

        return fused.move(gaussians, motion, *sample_tables(gaussians.device))
    moving = ~motion.is_static
    turning = moving & (motion.rotation[:, 1:] != 0).any(-1)
    means, quats, sh = gaussians.means.clone(), gaussians.quats.clone(), gaussians.sh.clone()
    means[moving] += motion.translation[moving]
    quats[turning] = _normalised(multiply(motion.rotation[turning], gaussians.quats[turning]))
    sh[turning] = rotate_sh(gaussians.sh[turning], motion.rotation[turning])
    return Gaussians(means, quats, gaussians.log_scales, gaussians.opacity_logits, sh)


def _normalised(quats: Tensor) -> Tensor:
    return torch.nn.functional.normalize(quats, dim=-1)
