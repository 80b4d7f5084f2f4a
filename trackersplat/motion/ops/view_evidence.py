"""What every view says about a motion that is known: residual, weight and state per view and Gaussian."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.geometry.devices import has_triton
from trackersplat.motion.evidence import Evidence, ViewState
from trackersplat.motion.ops.results import Comparison
from trackersplat.motion.ops.triangulate import TINY, TINY_DEPTH, Observations, camera_rows, reproject, robust_weight, slices
from trackersplat.motion.settings import TriangulateSettings


def view_evidence(
    cameras: Sequence[Camera],
    means: Tensor,  # (N, 3)
    translation: Tensor,  # (N, 3) scene units: the motion that the views are compared with
    observations: Observations,  # those that the motion was solved from
    shown: Tensor,  # (V, N) bool: the view shows the Gaussian in the base frame
    settings: TriangulateSettings,
) -> Evidence:
    """The reprojection error of the motion in every view, and what becomes of the view's observation.

    An observation is valid as in `reproject`. Valid ones are INLIER where their robust weight (Geman-McClure at the residual and the
    variance) is above ``settings.inlier_weight``, the rule by which views agree in `triangulate`, and REJECTED otherwise. Of those that
    are not valid, what the view shows in the base frame is MASKED, because tracks of what is seen are missing for want of confidence
    alone, and the rest is UNSEEN. (A tracker that gives hidden points no weight makes what hides in the target frame MASKED, too.)

    Costs little beside the solve: one pass over (V, N), in a kernel on CUDA, elementwise elsewhere.
    """
    points, moved = means.double(), translation.double()
    rig = camera_rows(cameras, points)
    if has_triton(points):
        from trackersplat.motion.ops import view_evidence_triton as fused

        turns = None if observations.turns is None else observations.turns.double()
        tensors = observations._replace(turns=turns)
        found = fused.compare(points, moved, rig, tensors, shown, settings, tiny=TINY, tiny_depth=TINY_DEPTH)
    else:
        found = compare_elementwise(points, moved, rig, observations, shown, settings)
    names = tuple(camera.name for camera in cameras)
    return Evidence(cameras=names, residual_px=found.residual_px, variance_px2=found.variance_px2, weight=found.weight, state=found.state)


def compare_elementwise(
    points: Tensor, moved: Tensor, rig: Tensor, observations: Observations, shown: Tensor, settings: TriangulateSettings
) -> Comparison:
    """`view_evidence` in plain PyTorch, in float64; ``points`` and ``moved`` (N, 3), ``rig`` (V, 16)."""
    views, count = shown.shape
    residual, variance, weight = (torch.empty(views, count, device=points.device) for _ in range(3))
    state = torch.empty(views, count, dtype=torch.uint8, device=points.device)
    for chosen in slices(points):
        now = reproject(points[chosen], moved[chosen], rig, observations.part(chosen), settings.near)
        valid = now.precision > 0
        square = now.error_x * now.error_x + now.error_y * now.error_y
        left = torch.where(valid, robust_weight(square, now.precision, settings.kernel), 0.0)
        residual[:, chosen] = torch.where(valid, square.sqrt(), torch.nan).float()
        variance[:, chosen] = torch.where(valid, 1.0 / now.precision, torch.inf).float()
        weight[:, chosen] = left.float()
        unused = torch.where(shown[:, chosen], int(ViewState.MASKED), int(ViewState.UNSEEN))
        used = torch.where(left > settings.inlier_weight, int(ViewState.INLIER), int(ViewState.REJECTED))
        state[:, chosen] = torch.where(valid, used, unused).to(torch.uint8)
    return Comparison(residual_px=residual, variance_px2=variance, weight=weight, state=state)
