"""From raw parameters to splats on the screen: 16 Gaussians at a time, one per SIMD lane.

A splat is one record of 16 float32 (one cache line). Its opacity at pixel offset (dx, dy) from its centre is
``2^(A dx^2 + B dx dy + D dy^2 + log2 opacity)``: the activation, the conic and the base of the exponential are folded into
A, B, D once per splat, not once per pixel.

Formulas: EWA splatting (Zwicker et al. 2001) as used by 3DGS (Kerbl et al. 2023): covariance J W R S S R^T W^T J^T + EPS_2D I
with the ray slopes in J clamped (see rendering/rules.py).
"""

# mypy: disable-error-code="no-untyped-def"
# numba infers the types of kernels; those of their arguments are in compiling.py

from __future__ import annotations

import numpy as np
from numba import njit, prange

from trackersplat.captures.camera import Camera
from trackersplat.rendering.backends.portable.harmonics import harmonics
from trackersplat.rendering.backends.portable.simd import (
    LANES,
    any_lane,
    binary_logarithm,
    fma,
    inline,
    inner,
    larger,
    load,
    load_columns,
    power_of_two,
    root,
    rounded_down,
    smaller,
    splat,
    store,
    take_number,
    where,
)
from trackersplat.rendering.rules import EPS_2D, FAR, LOG2_ALPHA_MIN, SLOPE_MARGIN

f4 = np.float32

RECORD = 16  # floats per splat
U, V, A, B, D, LOG_OPACITY, RED, GREEN, BLUE, DEPTH, EXTENT_X, EXTENT_Y = range(12)

CAMERA = 24  # floats per camera: rotation 9, translation 3, fx, fy, cx, cy, slope limits x 2, y 2, centre 3, near plane

TILE = LANES  # tiles are 16 x 16 pixels: a row is one vector
LOG2_E = 1.4426950408889634
LN_2 = 0.6931471805599453
EXTENT_MARGIN = 0.002  # px; the exact test is made per pixel
BLOCKS_AT_ONCE = 16  # blocks of 16 Gaussians that a thread takes at a time

# columns of the parameters of a block of Gaussians
MEAN, QUAT, SCALE, LOGIT, PARAMETERS = 0, 3, 7, 10, 11


def pack_camera(camera: Camera) -> np.ndarray:
    """The camera as the kernels want it: float32, (CAMERA,)."""
    limits = []
    for focal, principal, size in ((camera.fx, camera.cx, camera.width), (camera.fy, camera.cy, camera.height)):
        margin = 0.5 * SLOPE_MARGIN * size / focal
        limits += [-principal / focal - margin, (size - principal) / focal + margin]
    lens = camera.fx, camera.fy, camera.cx, camera.cy
    numbers = (*camera.rotation.ravel(), *camera.translation, *lens, *limits, *camera.center, camera.near)
    packed = np.zeros(CAMERA, np.float32)
    packed[: len(numbers)] = numbers
    return packed


@inline
def load_parameters(means, quats, log_scales, logits, g0, count, columns):
    """Up to 16 Gaussians from number ``g0`` on into ``columns`` (PARAMETERS x 16)."""
    load_columns(means, 3 * g0, 3, 3, count, columns[MEAN * LANES :])
    load_columns(quats, 4 * g0, 4, 4, count, columns[QUAT * LANES :])
    load_columns(log_scales, 3 * g0, 3, 3, count, columns[SCALE * LANES :])
    load_columns(logits, g0, 1, 1, count, columns[LOGIT * LANES :])


@inline
def log_sigmoid(logit):
    """log2(1 / (1 + exp(-logit)))."""
    return -binary_logarithm(power_of_two(smaller(splat(126.0), larger(splat(-126.0), logit * (-LOG2_E)))) + 1.0)


@inline
def exponential(x):
    """exp(x) kept in a range whose squares do not overflow; NaN stays NaN (so the order of the arguments matters)."""
    return power_of_two(smaller(splat(60.0), larger(splat(-60.0), x * LOG2_E)))


@inline
def to_camera(camera, x, y, z):
    """World to camera coordinates."""
    return (
        fma(splat(camera[0]), x, fma(splat(camera[1]), y, fma(splat(camera[2]), z, splat(camera[9])))),
        fma(splat(camera[3]), x, fma(splat(camera[4]), y, fma(splat(camera[5]), z, splat(camera[10])))),
        fma(splat(camera[6]), x, fma(splat(camera[7]), y, fma(splat(camera[8]), z, splat(camera[11])))),
    )


@inline
def slope_rows(camera, rz, slope_x, slope_y):
    """The two rows of J W without their factors fx and fy, slopes clamped."""
    sx = smaller(larger(slope_x, splat(camera[16])), splat(camera[17]))
    sy = smaller(larger(slope_y, splat(camera[18])), splat(camera[19]))
    return (
        rz * (splat(camera[0]) - sx * camera[6]),
        rz * (splat(camera[1]) - sx * camera[7]),
        rz * (splat(camera[2]) - sx * camera[8]),
        rz * (splat(camera[3]) - sy * camera[6]),
        rz * (splat(camera[4]) - sy * camera[7]),
        rz * (splat(camera[5]) - sy * camera[8]),
    )


@inline
def unit_quaternion(columns):
    """w, x, y, z divided by the norm, and one over the norm."""
    w, x = load(columns, QUAT * LANES), load(columns, (QUAT + 1) * LANES)
    y, z = load(columns, (QUAT + 2) * LANES), load(columns, (QUAT + 3) * LANES)
    rn = splat(1.0) / root(w * w + x * x + y * y + z * z)
    return w * rn, x * rn, y * rn, z * rn, rn


@inline
def rotation(w, x, y, z):
    """The rotation matrix of a unit quaternion, row by row."""
    return (
        splat(1.0) - (y * y + z * z) * 2.0,
        (x * y - w * z) * 2.0,
        (x * z + w * y) * 2.0,
        (x * y + w * z) * 2.0,
        splat(1.0) - (x * x + z * z) * 2.0,
        (y * z - w * x) * 2.0,
        (x * z - w * y) * 2.0,
        (y * z + w * x) * 2.0,
        splat(1.0) - (x * x + y * y) * 2.0,
    )


@inline
def screen_axes(fx, fy, s0, s1, s2, jw, r):
    """J W R S: the three axes of the ellipsoid seen in pixels, two rows."""
    return (
        fx * s0 * (jw[0] * r[0] + jw[1] * r[3] + jw[2] * r[6]),
        fx * s1 * (jw[0] * r[1] + jw[1] * r[4] + jw[2] * r[7]),
        fx * s2 * (jw[0] * r[2] + jw[1] * r[5] + jw[2] * r[8]),
        fy * s0 * (jw[3] * r[0] + jw[4] * r[3] + jw[5] * r[6]),
        fy * s1 * (jw[3] * r[1] + jw[4] * r[4] + jw[5] * r[7]),
        fy * s2 * (jw[3] * r[2] + jw[4] * r[5] + jw[5] * r[8]),
    )


@inline
def screen_covariance(p):
    """xx, xy, yy of P P^T + EPS_2D I and its determinant (by Cauchy-Binet: no cancellation, unlike xx yy - xy^2)."""
    xx = p[0] * p[0] + p[1] * p[1] + p[2] * p[2]
    yy = p[3] * p[3] + p[4] * p[4] + p[5] * p[5]
    xy = p[0] * p[3] + p[1] * p[4] + p[2] * p[5]
    n0, n1, n2 = p[1] * p[5] - p[2] * p[4], p[2] * p[3] - p[0] * p[5], p[0] * p[4] - p[1] * p[3]
    determinant = n0 * n0 + n1 * n1 + n2 * n2 + (xx + yy + EPS_2D) * EPS_2D
    return xx + EPS_2D, xy, yy + EPS_2D, determinant


@inline
def view_direction(camera, mx, my, mz):
    """Unit vector from the camera to the mean, and one over the distance."""
    x, y, z = mx - camera[20], my - camera[21], mz - camera[22]
    rn = splat(1.0) / root(x * x + y * y + z * z)
    return x * rn, y * rn, z * rn, rn


@inline
def raw_color(basis, coefficients, used):
    """0.5 + the sum over the harmonics, before the clamp at 0. ``coefficients`` are columns (3 used x 16)."""
    red, green, blue = splat(0.5), splat(0.5), splat(0.5)
    for k in range(used):
        value = load(basis, k * LANES)
        red = fma(value, load(coefficients, 3 * k * LANES), red)
        green = fma(value, load(coefficients, (3 * k + 1) * LANES), green)
        blue = fma(value, load(coefficients, (3 * k + 2) * LANES), blue)
    return red, green, blue


@inner
def _project_block(means, quats, log_scales, logits, sh, stored, degree, camera, width, height, g0, count, scratch, splats, tiles):
    """One block of Gaussians; false if none of them is seen, in which case ``tiles`` is left alone."""
    columns, basis, coefficients, out = scratch[:256], scratch[256:512], scratch[512:1280], scratch[1280:]
    load_parameters(means, quats, log_scales, logits, g0, count, columns)
    mx, my, mz = load(columns, 0), load(columns, LANES), load(columns, 2 * LANES)
    x, y, z = to_camera(camera, mx, my, mz)
    logit = load(columns, LOGIT * LANES)
    log_opacity = log_sigmoid(logit)
    visible = (z > splat(camera[23])) & (z < FAR) & (log_opacity > LOG2_ALPHA_MIN) & (logit > -6.0)  # NaN compares false
    if not any_lane(visible):
        return False
    rz = splat(1.0) / z
    slope_x, slope_y = x * rz, y * rz
    fx, fy = splat(camera[12]), splat(camera[13])
    u, v = fma(fx, slope_x, splat(camera[14])), fma(fy, slope_y, splat(camera[15]))
    w, qx, qy, qz, _ = unit_quaternion(columns)
    s0, s1, s2 = (
        exponential(load(columns, SCALE * LANES)),
        exponential(load(columns, (SCALE + 1) * LANES)),
        exponential(load(columns, (SCALE + 2) * LANES)),
    )
    axes = screen_axes(fx, fy, s0, s1, s2, slope_rows(camera, rz, slope_x, slope_y), rotation(w, qx, qy, qz))
    xx, xy, yy, determinant = screen_covariance(axes)
    rd = splat(LOG2_E) / determinant

    # alpha >= ALPHA_MIN within this many pixels of the centre
    reach = (log_opacity - LOG2_ALPHA_MIN) * (2.0 * LN_2)
    extent_x, extent_y = root(reach * xx) + EXTENT_MARGIN, root(reach * yy) + EXTENT_MARGIN
    left = larger(-rounded_down(extent_x - u + 0.5), splat(0.0))
    right = smaller(rounded_down(u + extent_x - 0.5), splat(width - 1.0))
    top = larger(-rounded_down(extent_y - v + 0.5), splat(0.0))
    bottom = smaller(rounded_down(v + extent_y - 0.5), splat(height - 1.0))
    visible = visible & (left <= right) & (top <= bottom) & (extent_x < 1e9) & (extent_y < 1e9) & (rd > 0.0)
    if not any_lane(visible):
        return False

    used = (degree + 1) * (degree + 1)
    dx, dy, dz, _ = view_direction(camera, mx, my, mz)
    harmonics(basis, degree, dx, dy, dz)
    load_columns(sh, g0 * stored * 3, stored * 3, used * 3, count, coefficients)
    red, green, blue = raw_color(basis, coefficients, used)

    store(out, U * LANES, u)
    store(out, V * LANES, v)
    store(out, A * LANES, yy * rd * (-0.5))
    store(out, B * LANES, xy * rd)
    store(out, D * LANES, xx * rd * (-0.5))
    store(out, LOG_OPACITY * LANES, log_opacity)
    store(out, RED * LANES, larger(red, splat(0.0)))
    store(out, GREEN * LANES, larger(green, splat(0.0)))
    store(out, BLUE * LANES, larger(blue, splat(0.0)))
    store(out, DEPTH * LANES, z)
    store(out, EXTENT_X * LANES, extent_x)
    store(out, EXTENT_Y * LANES, extent_y)
    store(out, 12 * LANES, where(visible, left, splat(-1.0)))
    store(out, 13 * LANES, right)
    store(out, 14 * LANES, top)
    store(out, 15 * LANES, bottom)
    for lane in range(count):
        g = g0 + lane
        if out[12 * LANES + lane] >= 0.0:
            for field in range(12):
                splats[g * RECORD + field] = out[field * LANES + lane]
            tiles[g, 0] = int(out[12 * LANES + lane]) // TILE
            tiles[g, 1] = int(out[13 * LANES + lane]) // TILE + 1
            tiles[g, 2] = int(out[14 * LANES + lane]) // TILE
            tiles[g, 3] = int(out[15 * LANES + lane]) // TILE + 1
        else:
            tiles[g, 0] = 0
            tiles[g, 1] = 0
    return True


@inner
def _project_blocks(means, quats, log_scales, logits, sh, stored, degree, camera, width, height, counter, splats, tiles):
    n = logits.shape[0]
    scratch = np.empty(1536, f4)
    while True:
        start = take_number(counter) * BLOCKS_AT_ONCE * LANES
        if start >= n:
            break
        for g0 in range(start, min(n, start + BLOCKS_AT_ONCE * LANES), LANES):
            count = min(LANES, n - g0)
            if not _project_block(
                means, quats, log_scales, logits, sh, stored, degree, camera, width, height, g0, count, scratch, splats, tiles
            ):
                for g in range(g0, g0 + count):
                    tiles[g, 0] = 0
                    tiles[g, 1] = 0


@njit(parallel=True, nogil=True, cache=True, error_model="numpy")
def project(means, quats, log_scales, logits, sh, stored, degree, camera, width, height, threads, splats, tiles):
    """Fills ``splats`` (flat, N x 16) and ``tiles`` (N, 4): first and past-the-last tile in x, then y; empty if not seen.

    The parameters are flat arrays; ``stored`` SH coefficients per Gaussian, of which those up to ``degree`` are used.
    """
    counter = np.zeros(1, np.int64)
    for _ in prange(threads):
        _project_blocks(means, quats, log_scales, logits, sh, stored, degree, camera, width, height, counter, splats, tiles)
