"""The gradient of projection.py: from sums over the pixels of a splat to its raw parameters, 16 Gaussians at a time."""

# mypy: disable-error-code="no-untyped-def"
# numba infers the types of kernels; those of their arguments are in compiling.py

from __future__ import annotations

import numpy as np
from numba import njit, prange

from trackersplat.rendering.backends.portable.harmonics import direction_gradient, harmonics
from trackersplat.rendering.backends.portable.projection import (
    BLOCKS_AT_ONCE,
    LOGIT,
    RECORD,
    SCALE,
    exponential,
    load_parameters,
    log_sigmoid,
    raw_color,
    rotation,
    screen_axes,
    screen_covariance,
    slope_rows,
    to_camera,
    unit_quaternion,
    view_direction,
)
from trackersplat.rendering.backends.portable.simd import (
    LANES,
    add_columns,
    inline,
    inner,
    larger,
    load,
    load_columns,
    power_of_two,
    splat,
    store,
    take_number,
    where,
)

f4 = np.float32

# What the blend's gradient leaves in a slot: sums over pixels of the gradient with respect to the exponent (to base e) times
# 1, dx, dx^2, dy, dx dy, dy^2, then the gradients of the colours and of the depth.
S_1, S_X, S_XX, S_Y, S_XY, S_YY, S_RED, S_GREEN, S_BLUE, S_DEPTH, SUMS = range(11)


@inline
def _add_slots(tiles, first_slot, slot_sums, g0, count, records, seen):
    """The sums of every Gaussian of the block over its tiles, always in the same order; false if no tile saw any."""
    some = False
    for lane in range(count):
        total = splat(0.0)
        seen[lane] = 0.0
        g = g0 + lane
        if tiles[g, 1] > tiles[g, 0]:
            pairs = (tiles[g, 1] - tiles[g, 0]) * (tiles[g, 3] - tiles[g, 2])
            for slot in range(first_slot[g], first_slot[g] + pairs):
                total = total + load(slot_sums, slot * RECORD)
            seen[lane] = 1.0
            some = True
        store(records, lane * RECORD, total)
    for lane in range(count, LANES):
        seen[lane] = 0.0
    return some


@inline
def _covariance_gradient(conic_xx, conic_xy, conic_yy, sums):
    """xx, xy, yy of the gradient with respect to the covariance, doubled: d(cov) = -conic G conic for symmetric G."""
    g_xx, g_xy, g_yy = load(sums, S_XX * LANES) * (-0.5), load(sums, S_XY * LANES) * (-0.5), load(sums, S_YY * LANES) * (-0.5)
    a, b = conic_xx * g_xx + conic_xy * g_xy, conic_xx * g_xy + conic_xy * g_yy
    c, d = conic_xy * g_xx + conic_yy * g_xy, conic_xy * g_xy + conic_yy * g_yy
    return (
        (a * conic_xx + b * conic_xy) * (-2.0),
        (c * conic_xx + d * conic_xy) * (-2.0),
        (c * conic_xy + d * conic_yy) * (-2.0),
    )


@inline
def _quaternion_gradient(w, x, y, z, rn, d, out):
    """Gradient of the raw quaternion for the gradient d of the rotation matrix, into four columns."""
    g_w = (y * d[2] - z * d[1] + z * d[3] - x * d[5] - y * d[6] + x * d[7]) * 2.0
    g_x = (y * (d[1] + d[3]) + z * (d[2] + d[6]) - x * (d[4] + d[8]) * 2.0 + w * (d[7] - d[5])) * 2.0
    g_y = (x * (d[1] + d[3]) + z * (d[5] + d[7]) - y * (d[0] + d[8]) * 2.0 + w * (d[2] - d[6])) * 2.0
    g_z = (x * (d[2] + d[6]) + y * (d[5] + d[7]) - z * (d[0] + d[4]) * 2.0 + w * (d[3] - d[1])) * 2.0
    radial = w * g_w + x * g_x + y * g_y + z * g_z
    store(out, 0, (g_w - w * radial) * rn)
    store(out, LANES, (g_x - x * radial) * rn)
    store(out, 2 * LANES, (g_y - y * radial) * rn)
    store(out, 3 * LANES, (g_z - z * radial) * rn)


@inline
def _keep_seen(columns, fields, seen_lanes):
    """Zero in the lanes of Gaussians that no tile saw (where intermediate values may not be finite)."""
    for field in range(fields):
        store(columns, field * LANES, where(seen_lanes, load(columns, field * LANES), splat(0.0)))


@inner
def _unproject_block(
    means,
    quats,
    log_scales,
    logits,
    sh,
    stored,
    degree,
    camera,
    tiles,
    first_slot,
    slot_sums,
    g0,
    count,
    scratch,
    grad_means,
    grad_quats,
    grad_scales,
    grad_logits,
    grad_sh,
):
    columns, basis, coefficients = scratch[:256], scratch[256:512], scratch[512:1280]
    records, sums, out, seen = scratch[1280:1536], scratch[1536:1792], scratch[1792:2560], scratch[2560:]
    if not _add_slots(tiles, first_slot, slot_sums, g0, count, records, seen):
        return
    seen_lanes = load(seen, 0) > 0.0
    load_columns(records, 0, RECORD, SUMS, count, sums)
    load_parameters(means, quats, log_scales, logits, g0, count, columns)

    # forward again
    mx, my, mz = load(columns, 0), load(columns, LANES), load(columns, 2 * LANES)
    x, y, z = to_camera(camera, mx, my, mz)
    rz = splat(1.0) / z
    slope_x, slope_y = x * rz, y * rz
    fx, fy = splat(camera[12]), splat(camera[13])
    jw = slope_rows(camera, rz, slope_x, slope_y)
    qw, qx, qy, qz, rn = unit_quaternion(columns)
    r = rotation(qw, qx, qy, qz)
    s0, s1, s2 = (
        exponential(load(columns, SCALE * LANES)),
        exponential(load(columns, (SCALE + 1) * LANES)),
        exponential(load(columns, (SCALE + 2) * LANES)),
    )
    p = screen_axes(fx, fy, s0, s1, s2, jw, r)
    xx, xy, yy, determinant = screen_covariance(p)
    rd = splat(1.0) / determinant
    conic_xx, conic_xy, conic_yy = yy * rd, -xy * rd, xx * rd

    # screen position and axes
    sum_x, sum_y = load(sums, S_X * LANES), load(sums, S_Y * LANES)
    g_u = conic_xx * sum_x + conic_xy * sum_y
    g_v = conic_xy * sum_x + conic_yy * sum_y
    g_xx, g_xy, g_yy = _covariance_gradient(conic_xx, conic_xy, conic_yy, sums)
    g_p0, g_p1, g_p2 = g_xx * p[0] + g_xy * p[3], g_xx * p[1] + g_xy * p[4], g_xx * p[2] + g_xy * p[5]
    g_p3, g_p4, g_p5 = g_yy * p[3] + g_xy * p[0], g_yy * p[4] + g_xy * p[1], g_yy * p[5] + g_xy * p[2]

    store(out, 0, g_p0 * p[0] + g_p3 * p[3])
    store(out, LANES, g_p1 * p[1] + g_p4 * p[4])
    store(out, 2 * LANES, g_p2 * p[2] + g_p5 * p[5])
    _keep_seen(out, 3, seen_lanes)
    add_columns(out, grad_scales, 3 * g0, 3, 3, count)

    # J W R, whose factors S are known
    v0, v1, v2 = g_p0 * s0 * fx, g_p1 * s1 * fx, g_p2 * s2 * fx
    v3, v4, v5 = g_p3 * s0 * fy, g_p4 * s1 * fy, g_p5 * s2 * fy
    g_rotation = (
        jw[0] * v0 + jw[3] * v3,
        jw[0] * v1 + jw[3] * v4,
        jw[0] * v2 + jw[3] * v5,
        jw[1] * v0 + jw[4] * v3,
        jw[1] * v1 + jw[4] * v4,
        jw[1] * v2 + jw[4] * v5,
        jw[2] * v0 + jw[5] * v3,
        jw[2] * v1 + jw[5] * v4,
        jw[2] * v2 + jw[5] * v5,
    )
    _quaternion_gradient(qw, qx, qy, qz, rn, g_rotation, out)
    _keep_seen(out, 4, seen_lanes)
    add_columns(out, grad_quats, 4 * g0, 4, 4, count)

    opacity = power_of_two(larger(log_sigmoid(load(columns, LOGIT * LANES)), splat(-126.0)))
    store(out, 0, load(sums, S_1 * LANES) * (splat(1.0) - opacity))
    _keep_seen(out, 1, seen_lanes)
    add_columns(out, grad_logits, g0, 1, 1, count)

    # mean: J W row 0 = rz (R_0 - sx R_2), row 1 = rz (R_1 - sy R_2), u = fx slope_x + cx, v = fy slope_y + cy
    w0, w1, w2 = v0 * r[0] + v1 * r[1] + v2 * r[2], v0 * r[3] + v1 * r[4] + v2 * r[5], v0 * r[6] + v1 * r[7] + v2 * r[8]
    w3, w4, w5 = v3 * r[0] + v4 * r[1] + v5 * r[2], v3 * r[3] + v4 * r[4] + v5 * r[5], v3 * r[6] + v4 * r[7] + v5 * r[8]
    zero = splat(0.0)
    g_sx = -rz * (w0 * camera[6] + w1 * camera[7] + w2 * camera[8])
    g_sy = -rz * (w3 * camera[6] + w4 * camera[7] + w5 * camera[8])
    g_slope_x = g_u * fx + where((slope_x > camera[16]) & (slope_x < camera[17]), g_sx, zero)
    g_slope_y = g_v * fy + where((slope_y > camera[18]) & (slope_y < camera[19]), g_sy, zero)
    g_rz = jw[0] * w0 + jw[1] * w1 + jw[2] * w2 + jw[3] * w3 + jw[4] * w4 + jw[5] * w5
    g_rz = g_rz * z + g_slope_x * x + g_slope_y * y
    g_cx, g_cy, g_cz = g_slope_x * rz, g_slope_y * rz, load(sums, S_DEPTH * LANES) - g_rz * rz * rz
    g_mx = g_cx * camera[0] + g_cy * camera[3] + g_cz * camera[6]
    g_my = g_cx * camera[1] + g_cy * camera[4] + g_cz * camera[7]
    g_mz = g_cx * camera[2] + g_cy * camera[5] + g_cz * camera[8]

    # colour: no gradient where it was clamped at 0
    used = (degree + 1) * (degree + 1)
    dx, dy, dz, ro = view_direction(camera, mx, my, mz)
    harmonics(basis, degree, dx, dy, dz)
    load_columns(sh, g0 * stored * 3, stored * 3, used * 3, count, coefficients)
    red, green, blue = raw_color(basis, coefficients, used)
    g_red = where(seen_lanes & (red > 0.0), load(sums, S_RED * LANES), zero)
    g_green = where(seen_lanes & (green > 0.0), load(sums, S_GREEN * LANES), zero)
    g_blue = where(seen_lanes & (blue > 0.0), load(sums, S_BLUE * LANES), zero)
    for k in range(used):
        value = load(basis, k * LANES)
        i = 3 * k * LANES
        store(out, i, value * g_red)
        store(out, i + LANES, value * g_green)
        store(out, i + 2 * LANES, value * g_blue)
        g_value = g_red * load(coefficients, i) + g_green * load(coefficients, i + LANES) + g_blue * load(coefficients, i + 2 * LANES)
        store(basis, k * LANES, g_value)
    _keep_seen(out, 3 * used, seen_lanes)
    add_columns(out, grad_sh, g0 * stored * 3, stored * 3, used * 3, count)
    if degree > 0:
        g_dx, g_dy, g_dz = direction_gradient(basis, degree, dx, dy, dz)
        radial = dx * g_dx + dy * g_dy + dz * g_dz
        g_mx = g_mx + (g_dx - dx * radial) * ro
        g_my = g_my + (g_dy - dy * radial) * ro
        g_mz = g_mz + (g_dz - dz * radial) * ro
    store(out, 0, g_mx)
    store(out, LANES, g_my)
    store(out, 2 * LANES, g_mz)
    _keep_seen(out, 3, seen_lanes)
    add_columns(out, grad_means, 3 * g0, 3, 3, count)


@inner
def _unproject_blocks(
    means,
    quats,
    log_scales,
    logits,
    sh,
    stored,
    degree,
    camera,
    tiles,
    first_slot,
    slot_sums,
    counter,
    grad_means,
    grad_quats,
    grad_scales,
    grad_logits,
    grad_sh,
):
    n = logits.shape[0]
    scratch = np.empty(2560 + LANES, f4)
    while True:
        start = take_number(counter) * BLOCKS_AT_ONCE * LANES
        if start >= n:
            break
        for g0 in range(start, min(n, start + BLOCKS_AT_ONCE * LANES), LANES):
            _unproject_block(
                means,
                quats,
                log_scales,
                logits,
                sh,
                stored,
                degree,
                camera,
                tiles,
                first_slot,
                slot_sums,
                g0,
                min(LANES, n - g0),
                scratch,
                grad_means,
                grad_quats,
                grad_scales,
                grad_logits,
                grad_sh,
            )


@njit(parallel=True, nogil=True, cache=True, error_model="numpy")
def unproject(
    means,
    quats,
    log_scales,
    logits,
    sh,
    stored,
    degree,
    camera,
    threads,
    tiles,
    first_slot,
    slot_sums,
    grad_means,
    grad_quats,
    grad_scales,
    grad_logits,
    grad_sh,
):
    """Adds the gradients of the raw parameters (flat arrays) for the sums in the slots (flat, pairs x 16) of each splat."""
    counter = np.zeros(1, np.int64)
    for _ in prange(threads):
        _unproject_blocks(
            means,
            quats,
            log_scales,
            logits,
            sh,
            stored,
            degree,
            camera,
            tiles,
            first_slot,
            slot_sums,
            counter,
            grad_means,
            grad_quats,
            grad_scales,
            grad_logits,
            grad_sh,
        )
