"""Any number of further values per Gaussian, blended with the weights of the colours, and their gradient (which is ``lift``).

Here the SIMD lanes hold 16 channels of one pixel: no sums over lanes, and only the pixels that a splat touches cost anything.
"""

# mypy: disable-error-code="no-untyped-def"
# numba infers the types of kernels; those of their arguments are in compiling.py

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange

from trackersplat.rendering.backends.portable.blending import CHECK_EVERY, PIXELS, any_left, row_range, transmit
from trackersplat.rendering.backends.portable.projection import EXTENT_X, EXTENT_Y, LOG_OPACITY, RECORD, TILE, A, B, D, U, V
from trackersplat.rendering.backends.portable.simd import LANES, fma, inline, inner, lane_numbers, load, splat, store, take_number

f4 = np.float32


@inline
def weigh(splats, s, x0, y0, transmittance, weights):
    """Weights of one splat in the rows of the tile that it can touch; returns the rows and columns concerned."""
    u, v, extent = splats[s + U], splats[s + V], splats[s + EXTENT_X]
    top, bottom = row_range(v, splats[s + EXTENT_Y], y0)
    left = max(0, math.ceil(u - extent - f4(0.5)) - x0)
    right = min(TILE, math.floor(u + extent - f4(0.5)) + 1 - x0)
    dx = lane_numbers() + (f4(x0) + f4(0.5) - u)
    base = fma(dx * splats[s + A], dx, splat(splats[s + LOG_OPACITY]))
    slope = dx * splats[s + B]
    curve = splats[s + D]
    for row in range(top, bottom):
        dy = f4(y0 + row) + f4(0.5) - v
        exponent = fma(fma(splat(curve), splat(dy), slope), splat(dy), base)
        _, weight, behind = transmit(exponent, load(transmittance, row * TILE))
        store(transmittance, row * TILE, behind)
        store(weights, row * TILE, weight)
    return top, bottom, left, right


@inner
def _blend_tiles(splats, channels, first, splat_of, last, width, height, counter, blended):
    columns = (width + TILE - 1) // TILE
    size = blended.shape[2]
    padded = (size + LANES - 1) // LANES * LANES
    transmittance, weights = np.empty(PIXELS, f4), np.empty(PIXELS, f4)
    value, sums = np.zeros(padded, f4), np.empty(PIXELS * padded, f4)
    while True:
        tile = take_number(counter)
        if tile >= first.shape[0] - 1:
            break
        x0, y0 = (tile % columns) * TILE, (tile // columns) * TILE
        transmittance[:] = 1.0
        sums[:] = 0.0
        for k in range(first[tile], last[tile]):
            g = splat_of[k]
            top, bottom, left, right = weigh(splats, g * RECORD, x0, y0, transmittance, weights)
            for c in range(size):
                value[c] = channels[g, c]
            for block in range(0, padded, LANES):
                part = load(value, block)
                for row in range(top, bottom):
                    for i in range(row * TILE + left, row * TILE + right):
                        if weights[i] > 0.0:
                            store(sums, i * padded + block, fma(splat(weights[i]), part, load(sums, i * padded + block)))
        for row in range(min(TILE, height - y0)):
            for column in range(min(TILE, width - x0)):
                for c in range(size):
                    blended[y0 + row, x0 + column, c] = sums[(row * TILE + column) * padded + c]


@njit(parallel=True, nogil=True, cache=True, error_model="numpy")
def blend_channels(splats, channels, first, splat_of, last, width, height, threads, blended):
    """Fills blended (H, W, F) from channels (N, F)."""
    counter = np.zeros(1, np.int64)
    for _ in prange(threads):
        _blend_tiles(splats, channels, first, splat_of, last, width, height, counter, blended)


@inner
def _unblend_tiles(splats, first, splat_of, slot_of, width, height, counter, grad_blended, slot_sums):
    columns = (width + TILE - 1) // TILE
    size = grad_blended.shape[2]
    padded = (size + LANES - 1) // LANES * LANES
    transmittance, weights = np.empty(PIXELS, f4), np.empty(PIXELS, f4)
    grad = np.empty(PIXELS * padded, f4)
    while True:
        tile = take_number(counter)
        if tile >= first.shape[0] - 1:
            break
        x0, y0 = (tile % columns) * TILE, (tile // columns) * TILE
        if first[tile] == first[tile + 1]:
            continue
        transmittance[:] = 1.0
        grad[:] = 0.0
        for row in range(min(TILE, height - y0)):
            for column in range(min(TILE, width - x0)):
                for c in range(size):
                    grad[(row * TILE + column) * padded + c] = grad_blended[y0 + row, x0 + column, c]
        end = first[tile]
        for k in range(first[tile], first[tile + 1]):
            top, bottom, left, right = weigh(splats, splat_of[k] * RECORD, x0, y0, transmittance, weights)
            for block in range(0, padded, LANES):
                even, odd = splat(0.0), splat(0.0)  # two chains of additions, so that they overlap in the pipeline
                for row in range(top, bottom - 1, 2):
                    for i in range(row * TILE + left, row * TILE + right):
                        even = fma(splat(weights[i]), load(grad, i * padded + block), even)
                        odd = fma(splat(weights[i + TILE]), load(grad, (i + TILE) * padded + block), odd)
                if (bottom - top) % 2 == 1:
                    for i in range((bottom - 1) * TILE + left, (bottom - 1) * TILE + right):
                        even = fma(splat(weights[i]), load(grad, i * padded + block), even)
                store(slot_sums, slot_of[k] * padded + block, even + odd)
            end = k + 1
            if end % CHECK_EVERY == 0 and not any_left(transmittance):
                break
        for k in range(end, first[tile + 1]):  # behind where every pixel was finished
            for block in range(0, padded, LANES):
                store(slot_sums, slot_of[k] * padded + block, splat(0.0))


@inner
def _add_slots(tiles, first_slot, slot_sums, part, parts, grad_channels):
    n = tiles.shape[0]
    size = grad_channels.shape[1]
    padded = (size + LANES - 1) // LANES * LANES
    sums = np.empty(LANES, f4)
    for g in range(n * part // parts, n * (part + 1) // parts):
        if tiles[g, 1] <= tiles[g, 0]:
            continue
        pairs = (tiles[g, 1] - tiles[g, 0]) * (tiles[g, 3] - tiles[g, 2])
        for block in range(0, padded, LANES):
            total = splat(0.0)
            for slot in range(first_slot[g], first_slot[g] + pairs):
                total = total + load(slot_sums, slot * padded + block)
            store(sums, 0, total)
            for c in range(block, min(size, block + LANES)):
                grad_channels[g, c] += sums[c - block]


@njit(parallel=True, nogil=True, cache=True, error_model="numpy")
def unblend_channels(
    splats,
    tiles,
    first,
    splat_of,
    slot_of,
    first_slot,
    width,
    height,
    threads,
    grad_blended,
    slot_sums,
    grad_channels,
):
    """Adds to grad_channels (N, F) for grad_blended (H, W, F); slot_sums (flat, pairs x F rounded up to 16) is scratch."""
    counter = np.zeros(1, np.int64)
    for _ in prange(threads):
        _unblend_tiles(splats, first, splat_of, slot_of, width, height, counter, grad_blended, slot_sums)
    for part in prange(threads):
        _add_slots(tiles, first_slot, slot_sums, part, threads, grad_channels)
