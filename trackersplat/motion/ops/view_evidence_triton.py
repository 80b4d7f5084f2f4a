"""What every view says about known motions in one pass; stands in for the elementwise comparison of view_evidence.py."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from trackersplat.geometry.quaternions_triton import turned_by
from trackersplat.motion.evidence import ViewState
from trackersplat.motion.ops.results import Comparison
from trackersplat.motion.ops.triangulate_triton import ObservationTensors
from trackersplat.motion.settings import TriangulateSettings

_BLOCK = 128  # means per program (layout)


def compare(
    points: Tensor,  # (N, 3) float64
    translation: Tensor,  # (N, 3) float64
    rig: Tensor,  # (V, 16) float64: rotation, translation, focal lengths, principal point
    observations: ObservationTensors,
    shown: Tensor,  # (V, N) bool
    settings: TriangulateSettings,
    *,
    tiny: float,
    tiny_depth: float,
) -> Comparison:
    """See `view_evidence.view_evidence`."""
    count, views = len(points), len(rig)
    surfaces, turns = observations.surfaces, observations.turns
    residual, variance, weight = (torch.empty(views, count, device=points.device) for _ in range(3))
    state = torch.empty(views, count, dtype=torch.uint8, device=points.device)
    nothing = points.new_zeros(1)
    if count:
        _compare[(triton.cdiv(count, _BLOCK),)](
            points.contiguous(), translation.contiguous(), rig.contiguous(),
            observations.displacements.contiguous(), observations.variances.contiguous(),
            nothing if surfaces is None else surfaces.contiguous(), nothing if turns is None else turns.contiguous(),
            shown.contiguous().view(torch.uint8), residual, variance, weight, state,
            count, views, 1 if surfaces is None else surfaces.shape[1],
            KERNEL=settings.kernel, LEAST=settings.inlier_weight, NEAR=settings.near, TINY=tiny, TINY_DEPTH=tiny_depth,
            UNSEEN=int(ViewState.UNSEEN), MASKED=int(ViewState.MASKED),
            REJECTED=int(ViewState.REJECTED), INLIER=int(ViewState.INLIER),
            SURFACES=surfaces is not None, TURNS=turns is not None, BLOCK=_BLOCK, num_warps=4,
        )  # fmt: skip
    return Comparison(residual_px=residual, variance_px2=variance, weight=weight, state=state)


@triton.jit(do_not_specialize=["count"])
def _compare(  # type: ignore[no-untyped-def]
    points, translation, rig, displacements, variances, surfaces, turns, shown, residual, variance_out, weight_out, state,
    count, views, own,
    KERNEL: tl.constexpr, LEAST: tl.constexpr, NEAR: tl.constexpr, TINY: tl.constexpr, TINY_DEPTH: tl.constexpr,
    UNSEEN: tl.constexpr, MASKED: tl.constexpr, REJECTED: tl.constexpr, INLIER: tl.constexpr,
    SURFACES: tl.constexpr, TURNS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    n = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    there = n < count
    px = tl.load(points + 3 * n, mask=there, other=0.0)
    py = tl.load(points + 3 * n + 1, mask=there, other=0.0)
    pz = tl.load(points + 3 * n + 2, mask=there, other=0.0)
    tx = tl.load(translation + 3 * n, mask=there, other=0.0)
    ty = tl.load(translation + 3 * n + 1, mask=there, other=0.0)
    tz = tl.load(translation + 3 * n + 2, mask=there, other=0.0)
    if TURNS:
        qw = tl.load(turns + 4 * n, mask=there, other=1.0)
        qx = tl.load(turns + 4 * n + 1, mask=there, other=0.0)
        qy = tl.load(turns + 4 * n + 2, mask=there, other=0.0)
        qz = tl.load(turns + 4 * n + 3, mask=there, other=0.0)
    for view in range(views):
        at = view * count + n
        r = rig + 16 * view
        r00 = tl.load(r)
        r01 = tl.load(r + 1)
        r02 = tl.load(r + 2)
        r10 = tl.load(r + 3)
        r11 = tl.load(r + 4)
        r12 = tl.load(r + 5)
        r20 = tl.load(r + 6)
        r21 = tl.load(r + 7)
        r22 = tl.load(r + 8)
        fx = tl.load(r + 12)
        fy = tl.load(r + 13)
        sx = r00 * px + r01 * py + r02 * pz + tl.load(r + 9)
        sy = r10 * px + r11 * py + r12 * pz + tl.load(r + 10)
        depth = r20 * px + r21 * py + r22 * pz + tl.load(r + 11)
        variance = tl.load(variances + at, mask=there, other=0.0)
        valid = (variance > 0.0) & (variance < float("inf")) & (depth > NEAR)
        start = 1.0 / tl.where(tl.abs(depth) < TINY_DEPTH, TINY_DEPTH, depth)
        mx = tx
        my = ty
        mz = tz
        if SURFACES:
            place = surfaces + 3 * (view * own + n % own)
            ax = tl.load(place, mask=there, other=0.0).to(tl.float64)
            ay = tl.load(place + 1, mask=there, other=0.0).to(tl.float64)
            az = tl.load(place + 2, mask=there, other=0.0).to(tl.float64)
            if TURNS:
                bx, by, bz = turned_by(qw, qx, qy, qz, ax, ay, az)
                ax += bx
                ay += by
                az += bz
            mx += ax
            my += ay
            mz += az
        x = sx + r00 * mx + r01 * my + r02 * mz
        y = sy + r10 * mx + r11 * my + r12 * mz
        near = 1.0 / tl.maximum(depth + r20 * mx + r21 * my + r22 * mz, NEAR)
        ex = (x * near - sx * start) * fx - tl.load(displacements + 2 * at, mask=there, other=0.0).to(tl.float64)
        ey = (y * near - sy * start) * fy - tl.load(displacements + 2 * at + 1, mask=there, other=0.0).to(tl.float64)
        precision = tl.where(valid, 1.0 / tl.maximum(variance.to(tl.float64), TINY), 0.0)
        # An observation that is not valid may be nan.
        ex = tl.where(valid, ex, 0.0)
        ey = tl.where(valid, ey, 0.0)
        square = ex * ex + ey * ey
        soft = 1.0 + square * precision * (1.0 / (KERNEL * KERNEL))
        robust = tl.where(valid, 1.0 / (soft * soft), 0.0)
        seen = tl.load(shown + at, mask=there, other=0) > 0
        used = tl.where(robust > LEAST, INLIER, REJECTED)
        unused = tl.where(seen, MASKED, UNSEEN)
        tl.store(residual + at, tl.where(valid, tl.sqrt(square), float("nan")).to(tl.float32), mask=there)
        tl.store(variance_out + at, tl.where(valid, tl.maximum(variance.to(tl.float64), TINY), float("inf")).to(tl.float32), mask=there)
        tl.store(weight_out + at, robust.to(tl.float32), mask=there)
        tl.store(state + at, tl.where(valid, used, unused).to(tl.uint8), mask=there)
