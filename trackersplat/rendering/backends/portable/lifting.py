"""``lift`` of a few features without an image: the weights are found front to back, as in blending, and summed at once.

The SIMD lanes hold the 16 pixels of a tile row. With more features than FEW, lanes that hold features are faster (`channels`).
"""

# mypy: disable-error-code="no-untyped-def"
# numba infers the types of kernels; those of their arguments are in compiling.py

from __future__ import annotations

import numpy as np
from numba import njit, prange

from trackersplat.rendering.backends.portable.blending import CHECK_EVERY, PIXELS, any_left
from trackersplat.rendering.backends.portable.channels import weigh
from trackersplat.rendering.backends.portable.projection import RECORD, TILE
from trackersplat.rendering.backends.portable.simd import LANES, fma, inner, load, splat, store, take_number

f4 = np.float32

FEW = 4  # features, from which on lanes that hold features are faster: 394 ms of processor time against 537 with 2, 612 and 623 with 4


@inner
def _lift_tiles(splats, first, splat_of, slot_of, width, height, counter, features, slot_sums):
    columns = (width + TILE - 1) // TILE
    size = features.shape[2]
    transmittance, weights = np.empty(PIXELS, f4), np.empty(PIXELS, f4)
    plane, lanes = np.empty(size * PIXELS, f4), np.empty(LANES, f4)
    while True:
        tile = take_number(counter)
        if tile >= first.shape[0] - 1:
            break
        if first[tile] == first[tile + 1]:
            continue
        x0, y0 = (tile % columns) * TILE, (tile // columns) * TILE
        transmittance[:] = 1.0
        plane[:] = 0.0
        wanted = False
        for row in range(min(TILE, height - y0)):
            for column in range(min(TILE, width - x0)):
                for c in range(size):
                    value = features[y0 + row, x0 + column, c]
                    plane[c * PIXELS + row * TILE + column] = value
                    wanted |= value != 0.0
        end = first[tile]
        for k in range(first[tile], first[tile + 1] if wanted else end):
            top, bottom, _, _ = weigh(splats, splat_of[k] * RECORD, x0, y0, transmittance, weights)
            for c in range(size):
                total = splat(0.0)
                for row in range(top, bottom):
                    total = fma(load(weights, row * TILE), load(plane, c * PIXELS + row * TILE), total)
                store(lanes, 0, total)
                half = LANES // 2
                while half:
                    for lane in range(half):
                        lanes[lane] += lanes[lane + half]
                    half //= 2
                slot_sums[slot_of[k] * size + c] = lanes[0]
            end = k + 1
            if end % CHECK_EVERY == 0 and not any_left(transmittance):
                break
        for k in range(end, first[tile + 1]):  # behind where every pixel was finished, or where no feature is
            for c in range(size):
                slot_sums[slot_of[k] * size + c] = 0.0


@inner
def _add_slots(tiles, first_slot, slot_sums, part, parts, lifted):
    n, size = lifted.shape
    for g in range(n * part // parts, n * (part + 1) // parts):
        pairs = max(tiles[g, 1] - tiles[g, 0], 0) * (tiles[g, 3] - tiles[g, 2])
        for c in range(size):
            total = f4(0.0)
            for slot in range(first_slot[g], first_slot[g] + pairs):
                total += slot_sums[slot * size + c]
            lifted[g, c] = total


@njit(parallel=True, nogil=True, cache=True, error_model="numpy")
def lift_few(splats, tiles, first, splat_of, slot_of, first_slot, width, height, threads, features, slot_sums, lifted):
    """Fills lifted (N, F) from features (H, W, F); slot_sums (pairs x F) is scratch."""
    counter = np.zeros(1, np.int64)
    for _ in prange(threads):
        _lift_tiles(splats, first, splat_of, slot_of, width, height, counter, features, slot_sums)
    for part in prange(threads):
        _add_slots(tiles, first_slot, slot_sums, part, threads, lifted)
