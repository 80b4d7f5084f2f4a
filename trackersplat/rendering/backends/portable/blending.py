"""Colour, depth and alpha of every pixel, front to back, and the gradient back to the splats.

Each tile belongs to one thread at a time and each row of a tile is one SIMD vector. What a tile finds out about a splat goes
into the slot of that pair, so nothing is shared between threads and the results do not depend on their number or timing.

The gradient replays the blend from the front: what lies behind a splat is the final value minus what has been blended so far
(Kerbl et al. 2023 go from the back, which needs the same division by 1 - alpha).
"""

# mypy: disable-error-code="no-untyped-def"
# numba infers the types of kernels; those of their arguments are in compiling.py

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange

from trackersplat.rendering.backends.portable.projection import (
    BLUE,
    DEPTH,
    EXTENT_Y,
    GREEN,
    LOG_OPACITY,
    RECORD,
    RED,
    TILE,
    A,
    B,
    D,
    U,
    V,
)
from trackersplat.rendering.backends.portable.simd import (
    any_lane,
    fma,
    inline,
    inner,
    lane_numbers,
    larger,
    load,
    magnitude,
    power_of_two,
    smaller,
    splat,
    store,
    take_number,
    ten_sums,
    where,
)
from trackersplat.rendering.rules import ALPHA_MAX, LOG2_ALPHA_MIN, TRANSMITTANCE_MIN

f4 = np.float32

PIXELS = TILE * TILE
CHECK_EVERY = 8  # splats between two tests whether the whole tile is opaque; changes the speed only


@inline
def transmit(exponent, transmittance):
    """alpha (uncapped), the weight of the splat in the blend, and the transmittance behind it.

    A pixel is finished before the first splat that would bring its transmittance below the minimum; its transmittance is
    negated then, so that nothing is added to it any more.
    """
    alpha = power_of_two(larger(exponent, splat(-16.0)))
    capped = where(exponent >= LOG2_ALPHA_MIN, smaller(alpha, splat(ALPHA_MAX)), splat(0.0))
    weight = capped * transmittance
    behind = transmittance - weight
    going = behind >= TRANSMITTANCE_MIN
    return alpha, where(going, weight, splat(0.0)), where(going, behind, -magnitude(transmittance))


@inline
def row_range(v, extent, y0):
    """First and past-the-last row of the tile that the splat can touch."""
    top = max(0, math.ceil(v - extent - f4(0.5)) - y0)
    bottom = min(TILE, math.floor(v + extent - f4(0.5)) + 1 - y0)
    return top, bottom


@inline
def any_left(transmittance):
    """Whether any pixel of the tile is not finished."""
    most = load(transmittance, 0)
    for row in range(1, TILE):
        most = larger(most, load(transmittance, row * TILE))
    return any_lane(most > 0.0)


@inner
def _blend_tiles(splats, first, splat_of, width, height, background, counter, color, alpha, depth, last):
    columns = (width + TILE - 1) // TILE
    transmittance = np.empty(PIXELS, f4)
    red, green, blue, z = np.empty(PIXELS, f4), np.empty(PIXELS, f4), np.empty(PIXELS, f4), np.empty(PIXELS, f4)
    while True:
        tile = take_number(counter)
        if tile >= first.shape[0] - 1:
            break
        x0, y0 = (tile % columns) * TILE, (tile // columns) * TILE
        transmittance[:] = 1.0
        red[:] = 0.0
        green[:] = 0.0
        blue[:] = 0.0
        z[:] = 0.0
        end = first[tile]
        for k in range(first[tile], first[tile + 1]):
            s = splat_of[k] * RECORD
            u, v = splats[s + U], splats[s + V]
            top, bottom = row_range(v, splats[s + EXTENT_Y], y0)
            dx = lane_numbers() + (f4(x0) + f4(0.5) - u)
            base = fma(dx * splats[s + A], dx, splat(splats[s + LOG_OPACITY]))
            slope = dx * splats[s + B]
            curve = splats[s + D]
            r, g, b, d = splat(splats[s + RED]), splat(splats[s + GREEN]), splat(splats[s + BLUE]), splat(splats[s + DEPTH])
            for row in range(top, bottom):
                dy = f4(y0 + row) + f4(0.5) - v
                exponent = fma(fma(splat(curve), splat(dy), slope), splat(dy), base)
                i = row * TILE
                _, weight, behind = transmit(exponent, load(transmittance, i))
                store(transmittance, i, behind)
                store(red, i, fma(weight, r, load(red, i)))
                store(green, i, fma(weight, g, load(green, i)))
                store(blue, i, fma(weight, b, load(blue, i)))
                store(z, i, fma(weight, d, load(z, i)))
            end = k + 1
            if end % CHECK_EVERY == 0 and not any_left(transmittance):
                break
        last[tile] = end
        for row in range(min(TILE, height - y0)):
            for column in range(min(TILE, width - x0)):
                i = row * TILE + column
                t = abs(transmittance[i])
                y, x = y0 + row, x0 + column
                color[y, x, 0] = red[i] + t * background[0]
                color[y, x, 1] = green[i] + t * background[1]
                color[y, x, 2] = blue[i] + t * background[2]
                alpha[y, x] = f4(1.0) - t
                depth[y, x] = z[i]


@njit(parallel=True, nogil=True, cache=True, error_model="numpy")
def blend(splats, first, splat_of, width, height, background, threads, color, alpha, depth, last):
    """Fills color (H, W, 3), alpha and depth (H, W), and for each tile the end of the part of its list that was used."""
    counter = np.zeros(1, np.int64)
    for _ in prange(threads):
        _blend_tiles(splats, first, splat_of, width, height, background, counter, color, alpha, depth, last)


@inner
def _unblend_tiles(
    splats,
    channels,
    first,
    splat_of,
    slot_of,
    last,
    width,
    height,
    counter,
    color,
    alpha,
    depth,
    blended,
    grad_color,
    grad_alpha,
    grad_depth,
    grad_blended,
    slot_sums,
):
    columns = (width + TILE - 1) // TILE
    extra = grad_blended.shape[2]
    transmittance, rest = np.empty(PIXELS, f4), np.empty(PIXELS, f4)
    grad = np.zeros((4 + extra) * PIXELS, f4)  # red, green, blue, depth, extra channels
    zero = splat(0.0)
    while True:
        tile = take_number(counter)
        if tile >= first.shape[0] - 1:
            break
        x0, y0 = (tile % columns) * TILE, (tile // columns) * TILE
        for k in range(last[tile], first[tile + 1]):  # behind where every pixel was finished
            store(slot_sums, slot_of[k] * RECORD, zero)
        if last[tile] == first[tile]:
            continue
        transmittance[:] = 1.0
        rest[:] = 0.0
        grad[:] = 0.0
        for row in range(min(TILE, height - y0)):
            for column in range(min(TILE, width - x0)):
                i = row * TILE + column
                y, x = y0 + row, x0 + column
                total = f4(0.0)
                if grad_color.shape[0] > 0:
                    for c in range(3):
                        grad[c * PIXELS + i] = grad_color[y, x, c]
                        total += grad_color[y, x, c] * color[y, x, c]
                if grad_depth.shape[0] > 0:
                    grad[3 * PIXELS + i] = grad_depth[y, x]
                    total += grad_depth[y, x] * depth[y, x]
                if grad_alpha.shape[0] > 0:
                    total -= grad_alpha[y, x] * (f4(1.0) - alpha[y, x])
                for c in range(extra):
                    grad[(4 + c) * PIXELS + i] = grad_blended[y, x, c]
                    total += grad_blended[y, x, c] * blended[y, x, c]
                rest[i] = total
        for k in range(first[tile], last[tile]):
            splat_number = splat_of[k]
            s = splat_number * RECORD
            u, v = splats[s + U], splats[s + V]
            top, bottom = row_range(v, splats[s + EXTENT_Y], y0)
            dx = lane_numbers() + (f4(x0) + f4(0.5) - u)
            base = fma(dx * splats[s + A], dx, splat(splats[s + LOG_OPACITY]))
            slope = dx * splats[s + B]
            curve = splats[s + D]
            r, g, b, d = splat(splats[s + RED]), splat(splats[s + GREEN]), splat(splats[s + BLUE]), splat(splats[s + DEPTH])
            sum_1, sum_y, sum_yy, sum_r, sum_g, sum_b, sum_d = zero, zero, zero, zero, zero, zero, zero
            for row in range(top, bottom):
                dy = f4(y0 + row) + f4(0.5) - v
                exponent = fma(fma(splat(curve), splat(dy), slope), splat(dy), base)
                i = row * TILE
                before = load(transmittance, i)
                opacity, weight, behind = transmit(exponent, before)
                store(transmittance, i, behind)
                grad_r, grad_g, grad_b, grad_d = (
                    load(grad, i),
                    load(grad, PIXELS + i),
                    load(grad, 2 * PIXELS + i),
                    load(grad, 3 * PIXELS + i),
                )
                value = fma(r, grad_r, fma(g, grad_g, fma(b, grad_b, d * grad_d)))
                for c in range(extra):
                    value = fma(splat(channels[splat_number, c]), load(grad, (4 + c) * PIXELS + i), value)
                left = load(rest, i) - weight * value
                store(rest, i, left)
                # d value / d alpha = T c - (what lies behind) / (1 - alpha), and d alpha / d exponent = alpha
                change = weight * value - left * opacity / (splat(1.0) - opacity)
                change = where((weight > 0.0) & (opacity < ALPHA_MAX), change, zero)
                sum_1 = sum_1 + change
                tilted = change * dy
                sum_y = sum_y + tilted
                sum_yy = fma(tilted, splat(dy), sum_yy)
                sum_r = fma(weight, grad_r, sum_r)
                sum_g = fma(weight, grad_g, sum_g)
                sum_b = fma(weight, grad_b, sum_b)
                sum_d = fma(weight, grad_d, sum_d)
            sum_x = sum_1 * dx
            sums = ten_sums(sum_1, sum_x, sum_x * dx, sum_y, sum_y * dx, sum_yy, sum_r, sum_g, sum_b, sum_d)
            store(slot_sums, slot_of[k] * RECORD, sums)


@njit(parallel=True, nogil=True, cache=True, error_model="numpy")
def unblend(
    splats,
    channels,
    first,
    splat_of,
    slot_of,
    last,
    width,
    height,
    threads,
    color,
    alpha,
    depth,
    blended,
    grad_color,
    grad_alpha,
    grad_depth,
    grad_blended,
    slot_sums,
):
    """Fills the slots (flat, pairs x 16) with the sums S_... of each pair. An empty gradient array is a zero one."""
    counter = np.zeros(1, np.int64)
    for _ in prange(threads):
        _unblend_tiles(
            splats,
            channels,
            first,
            splat_of,
            slot_of,
            last,
            width,
            height,
            counter,
            color,
            alpha,
            depth,
            blended,
            grad_color,
            grad_alpha,
            grad_depth,
            grad_blended,
            slot_sums,
        )
