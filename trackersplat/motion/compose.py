"""One motion after another."""

from __future__ import annotations

import torch

from trackersplat.errors import ShapeError
from trackersplat.geometry.quaternions import multiply
from trackersplat.motion.motion import Motion


def compose(first: Motion, second: Motion) -> Motion:
    """The motion from the base frame of ``first`` to the target of ``second``, whose base are the Gaussians that ``first`` moved.

    Static is what is static in both. Measured is what is measured in one and measured or static in the other. A Gaussian has the lower
    confidence of the two, and the residual and the views of the motion that measured it last. What is carried is that of ``second``, and
    so is the evidence: its residuals, variances and states are of the tracks of the last stride alone.

    Raises ShapeError if the motions are of different numbers of Gaussians.
    """
    if first.translation.shape != second.translation.shape:
        raise ShapeError(f"Motions to compose must be of the same Gaussians, got {len(first.translation)} and {len(second.translation)}.")
    is_static = first.is_static & second.is_static
    measured = (first.measured | first.is_static) & (second.measured | second.is_static) & ~is_static
    last = second.measured
    return Motion(
        translation=first.translation + second.translation,
        rotation=torch.nn.functional.normalize(multiply(second.rotation, first.rotation), dim=-1),
        is_static=is_static,
        measured=measured,
        confidence=torch.minimum(first.confidence, second.confidence),
        residual_px=torch.where(measured, torch.where(last, second.residual_px, first.residual_px), torch.nan),
        views=torch.where(measured, torch.where(last, second.views, first.views), 0),
        carried=second.carried,
        evidence=second.evidence,
    )
