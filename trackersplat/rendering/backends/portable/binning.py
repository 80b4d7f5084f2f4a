"""Which splats touch which tile, nearest first."""

# mypy: disable-error-code="no-untyped-def"
# numba infers the types of kernels; those of their arguments are in compiling.py

from __future__ import annotations

import numpy as np
from numba import njit

from trackersplat.rendering.backends.portable.projection import DEPTH, RECORD
from trackersplat.rendering.backends.portable.simd import float_bits

RADIX_BITS = 11


@njit(error_model="numpy", nogil=True, cache=True)
def order_by_depth(splats, tiles):
    """The numbers (int32) of the splats that touch a tile, nearest first, ties by number; and how many pairs they make.

    A least-significant-digit radix sort: the bits of positive floats sort like the floats.
    """
    n = tiles.shape[0]
    keys = np.empty(n, np.uint32)
    order = np.empty(n, np.int32)
    count = 0
    pairs = 0
    for g in range(n):
        if tiles[g, 1] > tiles[g, 0]:
            keys[count] = float_bits(splats[g * RECORD + DEPTH])
            order[count] = g
            count += 1
            pairs += (tiles[g, 1] - tiles[g, 0]) * (tiles[g, 3] - tiles[g, 2])
    buckets = 1 << RADIX_BITS
    histogram = np.zeros((3, buckets), np.int64)
    for i in range(count):
        key = keys[i]
        histogram[0, key & (buckets - 1)] += 1
        histogram[1, (key >> RADIX_BITS) & (buckets - 1)] += 1
        histogram[2, key >> (2 * RADIX_BITS)] += 1
    other_keys = np.empty(count, np.uint32)
    other_order = np.empty(count, np.int32)
    for digit in range(3):
        position = 0
        single = False
        for bucket in range(buckets):
            size = histogram[digit, bucket]
            single = single or size == count
            histogram[digit, bucket] = position
            position += size
        if single:  # all keys share this digit
            continue
        for i in range(count):
            key = keys[i]
            bucket = (key >> (digit * RADIX_BITS)) & (buckets - 1)
            target = histogram[digit, bucket]
            histogram[digit, bucket] = target + 1
            other_keys[target] = key
            other_order[target] = order[i]
        keys, other_keys = other_keys, keys
        order, other_order = other_order, order
    return order[:count], pairs


@njit(error_model="numpy", nogil=True, cache=True)
def fill_tiles(order, tiles, tile_columns, first, splat_of, slot_of, first_slot):
    """The splats of tile t, nearest first, are splat_of[first[t] : first[t + 1]].

    Each pair of splat and tile also gets a slot; those of splat g are consecutive from first_slot[g] on, so that what the
    tiles computed for a splat can be summed in one fixed order, whichever thread did which tile.
    """
    for i in range(order.shape[0]):
        g = order[i]
        for row in range(tiles[g, 2], tiles[g, 3]):
            for column in range(tiles[g, 0], tiles[g, 1]):
                first[row * tile_columns + column + 1] += 1
    for t in range(1, first.shape[0]):
        first[t] += first[t - 1]
    position = first.copy()
    slot = 0
    for i in range(order.shape[0]):
        g = order[i]
        first_slot[g] = slot
        for row in range(tiles[g, 2], tiles[g, 3]):
            for column in range(tiles[g, 0], tiles[g, 1]):
                tile = row * tile_columns + column
                k = position[tile]
                position[tile] = k + 1
                splat_of[k] = g
                slot_of[k] = slot
                slot += 1
