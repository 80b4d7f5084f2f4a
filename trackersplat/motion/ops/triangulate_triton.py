"""Robust triangulation of many means in one pass; stands in for the elementwise solve of triangulate.py."""

from __future__ import annotations

from typing import Protocol

import torch
import triton
import triton.language as tl
from torch import Tensor

from trackersplat.geometry.quaternions_triton import turned_by
from trackersplat.motion.ops.results import Triangulation
from trackersplat.motion.settings import TriangulateSettings

_BLOCK = 64  # means per program (layout)


class ObservationTensors(Protocol):
    """`triangulate.Observations`, with turns in float64."""

    @property
    def displacements(self) -> Tensor: ...  # (V, N, 2)
    @property
    def variances(self) -> Tensor: ...  # (V, N)
    @property
    def surfaces(self) -> Tensor | None: ...  # (V, M, 3), of the first M means, repeated for the others
    @property
    def turns(self) -> Tensor | None: ...  # (N, 4) float64 unit quaternions that turn the surfaces


def solve(
    points: Tensor,  # (N, 3) float64
    rig: Tensor,  # (V, 16) float64: rotation, translation, focal lengths, principal point
    observations: ObservationTensors,
    settings: TriangulateSettings,
    *,
    tiny: float,
    tiny_depth: float,
) -> Triangulation:
    """See `triangulate.triangulate`."""
    count, views = len(points), len(rig)
    surfaces, turns = observations.surfaces, observations.turns
    translation = points.new_empty(count, 3)
    information = points.new_empty(6, count)
    trace, footprint, residual = (points.new_empty(count) for _ in range(3))
    agree, seen = (torch.empty(count, dtype=torch.int32, device=points.device) for _ in range(2))
    nothing = points.new_zeros(1)
    if count:
        _triangulate[(triton.cdiv(count, _BLOCK),)](
            points.contiguous(), rig.contiguous(), observations.displacements.contiguous(), observations.variances.contiguous(),
            nothing if surfaces is None else surfaces.contiguous(), nothing if turns is None else turns.contiguous(),
            translation, information, trace, footprint, residual, agree, seen,
            count, views, 1 if surfaces is None else surfaces.shape[1],
            ITERATIONS=settings.iterations, ROBUST_FROM=settings.robust_from, KERNEL=settings.kernel, INLIER=settings.inlier_weight,
            NEAR=settings.near, RIDGE=settings.ridge, TINY=tiny, TINY_DEPTH=tiny_depth,
            SURFACES=surfaces is not None, TURNS=turns is not None, BLOCK=_BLOCK, num_warps=2,
        )  # fmt: skip
    return Triangulation(
        translation=translation,
        information=information,
        covariance_trace=trace,
        footprint=footprint,
        residual_px=residual,
        views=agree,
        seen=seen,
    )


@triton.jit(do_not_specialize=["count"])
def _triangulate(  # type: ignore[no-untyped-def]
    points, rig, displacements, variances, surfaces, turns,
    translation, information, trace_out, footprint_out, residual_out, agree_out, seen_out,
    count, views, own,
    ITERATIONS: tl.constexpr, ROBUST_FROM: tl.constexpr, KERNEL: tl.constexpr, INLIER: tl.constexpr,
    NEAR: tl.constexpr, RIDGE: tl.constexpr, TINY: tl.constexpr, TINY_DEPTH: tl.constexpr,
    SURFACES: tl.constexpr, TURNS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    n = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    there = n < count
    px = tl.load(points + 3 * n, mask=there, other=0.0)
    py = tl.load(points + 3 * n + 1, mask=there, other=0.0)
    pz = tl.load(points + 3 * n + 2, mask=there, other=0.0)
    if TURNS:
        qw = tl.load(turns + 4 * n, mask=there, other=1.0)
        qx = tl.load(turns + 4 * n + 1, mask=there, other=0.0)
        qy = tl.load(turns + 4 * n + 2, mask=there, other=0.0)
        qz = tl.load(turns + 4 * n + 3, mask=there, other=0.0)
    tx = px * 0.0
    ty = tx
    tz = tx
    nxx = tx
    nxy = tx
    nxz = tx
    nyy = tx
    nyz = tx
    nzz = tx
    trace = tx
    squares = tx
    total = tx
    footprint = tx
    agree = tx
    seen = tx
    # The round after the last takes no step: it says which views agree.
    for iteration in range(ITERATIONS + 1):
        sxx = px * 0.0
        sxy = sxx
        sxz = sxx
        syy = sxx
        syz = sxx
        szz = sxx
        gx = sxx
        gy = sxx
        gz = sxx
        for view in range(views):
            at = view * count + n
            variance = tl.load(variances + at, mask=there, other=0.0)
            valid = (variance > 0.0) & (variance < float("inf"))
            # Neighbours along the curve are seen by the same views, so whole blocks have nothing to add.
            if tl.max(valid.to(tl.int32)) > 0:
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
                # Division is the dearest of all.
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
                x = x * near
                y = y * near
                ex = (x - sx * start) * fx - tl.load(displacements + 2 * at, mask=there, other=0.0).to(tl.float64)
                ey = (y - sy * start) * fy - tl.load(displacements + 2 * at + 1, mask=there, other=0.0).to(tl.float64)
                valid = valid & (depth > NEAR)
                precision = tl.where(valid, 1.0 / tl.maximum(variance.to(tl.float64), TINY), 0.0)
                # An observation that is not valid may be nan.
                ex = tl.where(valid, ex, 0.0)
                ey = tl.where(valid, ey, 0.0)
                square = ex * ex + ey * ey
                soft = 1.0 + square * precision * (1.0 / (KERNEL * KERNEL))
                robust = 1.0 / (soft * soft)
                if iteration < ITERATIONS:
                    weight = precision
                    if iteration >= ROBUST_FROM:
                        weight = precision * robust
                    ux = fx * near * (r00 - x * r20)
                    uy = fx * near * (r01 - x * r21)
                    uz = fx * near * (r02 - x * r22)
                    vx = fy * near * (r10 - y * r20)
                    vy = fy * near * (r11 - y * r21)
                    vz = fy * near * (r12 - y * r22)
                    sxx += weight * (ux * ux + vx * vx)
                    sxy += weight * (ux * uy + vx * vy)
                    sxz += weight * (ux * uz + vx * vz)
                    syy += weight * (uy * uy + vy * vy)
                    syz += weight * (uy * uz + vy * vz)
                    szz += weight * (uz * uz + vz * vz)
                    gx += weight * (ux * ex + vx * ey)
                    gy += weight * (uy * ex + vy * ey)
                    gz += weight * (uz * ex + vz * ey)
                else:
                    agrees = valid & (robust > INLIER)
                    squares += tl.where(agrees, precision * robust * square, 0.0)
                    total += tl.where(agrees, precision * robust, 0.0)
                    footprint += tl.where(agrees, depth / (0.5 * (fx + fy)), 0.0)
                    agree += tl.where(agrees, 1.0, 0.0)
                    seen += tl.where(valid, 1.0, 0.0)
        if iteration < ITERATIONS:
            nxx, nxy, nxz, nyy, nyz, nzz = sxx, sxy, sxz, syy, syz, szz
            # Pixels only define the answer up to this much along a lone ray; it keeps the 3x3 systems regular.
            ridge = RIDGE * (sxx + syy + szz) + TINY
            a = sxx + ridge
            d = syy + ridge
            f = szz + ridge
            c00 = d * f - syz * syz
            c01 = sxz * syz - sxy * f
            c02 = sxy * syz - sxz * d
            c11 = a * f - sxz * sxz
            c12 = sxy * sxz - a * syz
            c22 = a * d - sxy * sxy
            inverse = 1.0 / (a * c00 + sxy * c01 + sxz * c02)
            tx -= inverse * (c00 * gx + c01 * gy + c02 * gz)
            ty -= inverse * (c01 * gx + c11 * gy + c12 * gz)
            tz -= inverse * (c02 * gx + c12 * gy + c22 * gz)
            trace = inverse * (c00 + c11 + c22)
    inflation = tl.maximum(squares / tl.maximum(2.0 * agree - 3.0, 1.0), 1.0)
    any_view = seen > 0.0
    tl.store(translation + 3 * n, tl.where(any_view, tx, 0.0), mask=there)
    tl.store(translation + 3 * n + 1, tl.where(any_view, ty, 0.0), mask=there)
    tl.store(translation + 3 * n + 2, tl.where(any_view, tz, 0.0), mask=there)
    at = information + n
    tl.store(at, nxx / inflation, mask=there)
    tl.store(at + count, nxy / inflation, mask=there)
    tl.store(at + 2 * count, nxz / inflation, mask=there)
    tl.store(at + 3 * count, nyy / inflation, mask=there)
    tl.store(at + 4 * count, nyz / inflation, mask=there)
    tl.store(at + 5 * count, nzz / inflation, mask=there)
    tl.store(trace_out + n, trace * inflation, mask=there)
    tl.store(footprint_out + n, footprint / tl.maximum(agree, 1.0), mask=there)
    tl.store(residual_out + n, tl.sqrt(squares / tl.maximum(total, TINY)), mask=there)
    tl.store(agree_out + n, agree.to(tl.int32), mask=there)
    tl.store(seen_out + n, seen.to(tl.int32), mask=there)
