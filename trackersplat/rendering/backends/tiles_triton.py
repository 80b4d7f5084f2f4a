"""Which Gaussians each tile of an image draws: only those that reach one of its pixels, front to back."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

from trackersplat.rendering.rules import ALPHA_MIN

_BLOCK = 32  # Gaussians per program that counts (layout): a warp, so that one that covers many tiles holds few others up
_ENTRIES = 64  # entries per program that writes (layout): two per thread, so that one is searched while the other waits for memory
_MOST_SHORT = 2**15 - 2  # tiles that two bytes can number, one more for "none"


@dataclass(frozen=True, eq=False)
class TileLists:
    """The Gaussians of every tile, front to back, and where the list of a tile begins."""

    ids: Tensor  # (K,) int32: image * N + Gaussian; those of a tile one after the other
    offsets: Tensor  # (C, rows, columns) int32: the first of each tile; it ends where the next begins, the last one with ``ids``
    needed: Tensor  # scalar int64: entries that there are. More than were made room for: the farthest are left out


def tile_lists(
    means2d: Tensor,  # (C, N, 2) px
    radii: Tensor,  # (C, N, 2) int32 px, 0 where nothing is seen
    depths: Tensor,  # (C, N)
    conics: Tensor,  # (C, N, 3) inverse 2D covariances: xx, xy, yy
    opacities: Tensor,  # (N,)
    width: int,
    height: int,
    tile: int,  # px a side
    room: int | None = None,
) -> TileLists:
    """The lists of gsplat's ``isect_tiles``, without the tiles in which a Gaussian has less alpha than `rules.ALPHA_MIN` in every pixel.

    A rasteriser skips such pixels anyway, so images stay as they are, bit for bit. Tiles are found row by row, from where the ellipse of
    that alpha is widest within the row.

    With ``room``, the host need not wait for the number of entries: there are ``room`` of them, and those left over belong to a further
    row of tiles below the image, which ``offsets`` has then. It has to be masked, or it is drawn for nothing.

    Entries are written one by one, each found in its Gaussian's rows: written Gaussian by Gaussian, a large one holds up its warp.
    """
    views, count = depths.shape
    columns, rows = -(-width // tile), -(-height // tile)
    order = torch.sort(depths.reshape(-1), stable=True).indices
    counts = torch.empty(views * count, dtype=torch.int32, device=depths.device)
    geometry = (means2d.contiguous(), radii.contiguous(), conics.contiguous(), opacities.contiguous())
    grid = (triton.cdiv(views * count, _BLOCK),)
    constants = {"TILE": tile, "ALPHA_MIN": ALPHA_MIN, "num_warps": 1}
    _count[grid](order, *geometry, counts, views * count, count, columns, rows, BLOCK=_BLOCK, **constants)
    ends = counts.cumsum(0)
    needed = ends[-1] if len(ends) else ends.sum()
    entries = int(needed) if room is None else room
    places = views * columns * rows
    kind = torch.int16 if places + columns <= _MOST_SHORT else torch.int32
    tiles = torch.empty(entries, dtype=kind, device=depths.device)
    owners = torch.empty(entries, dtype=torch.int32, device=depths.device)
    if entries:
        halvings = (views * count).bit_length()
        _write[(triton.cdiv(entries, _ENTRIES),)](
            order, *geometry, ends, tiles, owners, views * count, max(count, 1), columns, rows, entries, places, halvings,
            BLOCK=_ENTRIES, **constants,
        )  # fmt: skip
    ordered, at = torch.sort(tiles, stable=True)
    listed = places if room is None else places + columns
    offsets = torch.searchsorted(ordered, torch.arange(listed, dtype=kind, device=depths.device), out_int32=True)
    shape = (views, rows, columns) if room is None else (1, views * rows + 1, columns)
    return TileLists(ids=owners[at], offsets=offsets.view(shape), needed=needed)


def entries_needed(means2d: Tensor, radii: Tensor, conics: Tensor, opacities: Tensor, width: int, height: int, tile: int) -> Tensor:
    """How many entries `tile_lists` has: scalar int64, on the device."""
    total = radii[..., 0].numel()
    counts = torch.empty(total, dtype=torch.int32, device=radii.device)
    _count[(triton.cdiv(total, _BLOCK),)](
        torch.arange(total, device=radii.device), means2d.contiguous(), radii.contiguous(), conics.contiguous(), opacities.contiguous(),
        counts, total, len(opacities), -(-width // tile), -(-height // tile), TILE=tile, ALPHA_MIN=ALPHA_MIN, BLOCK=_BLOCK, num_warps=1,
    )  # fmt: skip
    return counts.sum()


@triton.jit
def _reach(  # type: ignore[no-untyped-def]
    owner, there, means2d, radii, conics, opacities, count, columns, rows,
    TILE: tl.constexpr, ALPHA_MIN: tl.constexpr,
):  # fmt: skip
    """What `_span` needs of Gaussians: centre, conic, reach, determinant, widest, whether these are exact; their box in tiles."""
    radius_x = tl.load(radii + 2 * owner, mask=there, other=0).to(tl.float32)
    radius_y = tl.load(radii + 2 * owner + 1, mask=there, other=0).to(tl.float32)
    seen = there & (radius_x > 0) & (radius_y > 0)
    x = tl.load(means2d + 2 * owner, mask=seen, other=0.0)
    y = tl.load(means2d + 2 * owner + 1, mask=seen, other=0.0)
    a = tl.load(conics + 3 * owner, mask=seen, other=1.0)
    b = tl.load(conics + 3 * owner + 1, mask=seen, other=0.0)
    c = tl.load(conics + 3 * owner + 2, mask=seen, other=1.0)
    opacity = tl.load(opacities + owner % count, mask=seen, other=0.0)
    # alpha >= ALPHA_MIN where a dx^2 + 2 b dx dy + c dy^2 <= reach; a little more, for rounding
    reach = 2.0 * tl.log(tl.maximum(opacity, 1e-20) / ALPHA_MIN) * 1.001 + 1e-3
    seen &= reach > 0.0
    first_column = tl.minimum(tl.maximum(tl.floor((x - radius_x) / TILE), 0.0), columns).to(tl.int32)
    end_column = tl.minimum(tl.maximum(tl.ceil((x + radius_x) / TILE), 0.0), columns).to(tl.int32)
    first_row = tl.minimum(tl.maximum(tl.floor((y - radius_y) / TILE), 0.0), rows).to(tl.int32)
    end_row = tl.minimum(tl.maximum(tl.ceil((y + radius_y) / TILE), 0.0), rows).to(tl.int32)
    end_row = tl.where(seen, end_row, first_row)
    determinant = a * c - b * b
    exact = determinant > 1e-4 * a * c  # else it is mostly rounding: such thin ones keep their box
    determinant = tl.where(exact, determinant, 1.0)
    widest = tl.sqrt(tl.maximum(reach * c / determinant, 0.0))  # of dx on the whole ellipse, at dy = -b / c * widest
    slope = tl.where(exact, b / c, 0.0)
    return x, y, a, b, reach, determinant, widest, slope, exact, first_column, end_column, first_row, end_row


@triton.jit
def _span(  # type: ignore[no-untyped-def]
    row, x, y, a, b, reach, determinant, widest, slope, exact, first_column, end_column, end_row, TILE: tl.constexpr
):
    """The first column of tiles that a Gaussian reaches in a row, and how many there are."""
    top = row * TILE + 0.5 - y
    bottom = top + (TILE - 1)
    right = tl.minimum(tl.maximum(-slope * widest, top), bottom)  # dy of the rightmost point within the row
    left = tl.minimum(tl.maximum(slope * widest, top), bottom)
    right_square = a * reach - determinant * right * right
    left_square = a * reach - determinant * left * left
    right = (-b * right + tl.sqrt(tl.maximum(right_square, 0.0))) / a
    left = (-b * left - tl.sqrt(tl.maximum(left_square, 0.0))) / a
    # whole pixels whose centres lie between, and their tiles
    first_pixel = tl.ceil(tl.maximum(x + left - 0.51, -1e6))
    last_pixel = tl.floor(tl.minimum(x + right - 0.49, 1e6))
    hit = (right_square >= 0.0) & (left_square >= 0.0) & (first_pixel <= last_pixel)
    begin = tl.maximum(first_column, tl.floor(first_pixel / TILE).to(tl.int32))
    end = tl.minimum(end_column, tl.floor(last_pixel / TILE).to(tl.int32) + 1)
    begin = tl.where(exact, begin, first_column)
    end = tl.where(exact, tl.where(hit, end, begin), end_column)
    return begin, tl.where(row < end_row, tl.maximum(end - begin, 0), 0)


@triton.jit(do_not_specialize=["total", "count"])
def _count(  # type: ignore[no-untyped-def]
    order, means2d, radii, conics, opacities, counts, total, count, columns, rows,
    TILE: tl.constexpr, ALPHA_MIN: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there = place < total
    owner = tl.load(order + place, mask=there, other=0)
    x, y, a, b, reach, determinant, widest, slope, exact, first_column, end_column, first_row, end_row = _reach(
        owner, there, means2d, radii, conics, opacities, count, columns, rows, TILE, ALPHA_MIN
    )
    found = tl.zeros([BLOCK], tl.int32)
    for step in range(tl.max(end_row - first_row)):
        _begin, number = _span(
            first_row + step, x, y, a, b, reach, determinant, widest, slope, exact, first_column, end_column, end_row, TILE
        )
        found += number
    tl.store(counts + place, found, mask=there)


@triton.jit(do_not_specialize=["total", "count", "entries", "places", "halvings"])
def _write(  # type: ignore[no-untyped-def]
    order, means2d, radii, conics, opacities, ends, tiles, owners, total, count, columns, rows, entries, places, halvings,
    TILE: tl.constexpr, ALPHA_MIN: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    entry = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    # the first place whose end is behind the entry, by halving
    low = tl.zeros([BLOCK], tl.int32)
    high = low + total
    for _ in range(halvings):
        middle = (low + high) // 2
        behind = tl.load(ends + middle, mask=middle < total, other=0) > entry
        high = tl.where(behind, middle, high)
        low = tl.where(behind | (low >= high), low, middle + 1)
    there = low < total  # the others are the room that is left over
    before = tl.load(ends + low - 1, mask=there & (low > 0), other=0).to(tl.int32)
    owner = tl.load(order + low, mask=there, other=0)
    x, y, a, b, reach, determinant, widest, slope, exact, first_column, end_column, first_row, end_row = _reach(
        owner, there, means2d, radii, conics, opacities, count, columns, rows, TILE, ALPHA_MIN
    )
    left_over = tl.where(there, entry - before, -1)  # entries of the Gaussian before this one that are not passed yet
    tile = tl.zeros([BLOCK], tl.int32) + places
    row = first_row
    while tl.max(left_over) >= 0:
        begin, number = _span(row, x, y, a, b, reach, determinant, widest, slope, exact, first_column, end_column, end_row, TILE)
        here = (left_over >= 0) & (left_over < number)
        tile = tl.where(here, ((owner // count).to(tl.int32) * rows + row) * columns + begin + left_over, tile)
        left_over = tl.where(row < end_row, left_over - number, -1)
        row += 1
    tl.store(tiles + entry, tile.to(tiles.dtype.element_ty), mask=entry < entries)
    tl.store(owners + entry, tl.where(there, owner, 0).to(tl.int32), mask=entry < entries)
