"""Which Gaussians each tile of an image draws: only those that reach one of its pixels, front to back."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

from trackersplat.rendering.rules import ALPHA_MIN

_BLOCK = 32  # Gaussians per program (layout): a warp, so that one that covers many tiles holds few others up
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
    """
    views, count = depths.shape
    columns, rows = -(-width // tile), -(-height // tile)
    order = torch.sort(depths.reshape(-1), stable=True).indices
    counts = torch.empty(views * count, dtype=torch.int32, device=depths.device)
    geometry = (means2d.contiguous(), radii.contiguous(), conics.contiguous(), opacities.contiguous())
    grid = (triton.cdiv(views * count, _BLOCK),)
    constants = {"TILE": tile, "ALPHA_MIN": ALPHA_MIN, "BLOCK": _BLOCK, "num_warps": 1}
    none = counts  # stands for what a first pass does not write
    _tiles[grid](order, *geometry, counts, none, none, none, views * count, count, columns, rows, 0, WRITE=False, **constants)
    ends = counts.cumsum(0)
    needed = ends[-1] if len(ends) else ends.sum()
    entries = int(needed) if room is None else room
    places = views * columns * rows
    kind = torch.int16 if places + columns <= _MOST_SHORT else torch.int32
    tiles = torch.full((entries,), places, dtype=kind, device=depths.device)
    owners = torch.zeros(entries, dtype=torch.int32, device=depths.device)
    _tiles[grid](order, *geometry, counts, ends, tiles, owners, views * count, count, columns, rows, entries, WRITE=True, **constants)
    ordered, at = torch.sort(tiles, stable=True)
    listed = places if room is None else places + columns
    offsets = torch.searchsorted(ordered, torch.arange(listed, dtype=kind, device=depths.device), out_int32=True)
    shape = (views, rows, columns) if room is None else (1, views * rows + 1, columns)
    return TileLists(ids=owners[at], offsets=offsets.view(shape), needed=needed)


def entries_needed(means2d: Tensor, radii: Tensor, conics: Tensor, opacities: Tensor, width: int, height: int, tile: int) -> Tensor:
    """How many entries `tile_lists` has: scalar int64, on the device."""
    total, none = radii[..., 0].numel(), radii
    counts = torch.empty(total, dtype=torch.int32, device=radii.device)
    _tiles[(triton.cdiv(total, _BLOCK),)](
        torch.arange(total, device=radii.device), means2d.contiguous(), radii.contiguous(), conics.contiguous(), opacities.contiguous(),
        counts, none, none, none, total, len(opacities), -(-width // tile), -(-height // tile), 0,
        WRITE=False, TILE=tile, ALPHA_MIN=ALPHA_MIN, BLOCK=_BLOCK, num_warps=1,
    )  # fmt: skip
    return counts.sum()


@triton.jit(do_not_specialize=["entries", "room"])
def _tiles(  # type: ignore[no-untyped-def]
    order, means2d, radii, conics, opacities, counts, ends, tiles, owners, entries, count, columns, rows, room,
    TILE: tl.constexpr, ALPHA_MIN: tl.constexpr, BLOCK: tl.constexpr, WRITE: tl.constexpr,
):  # fmt: skip
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there = place < entries
    owner = tl.load(order + place, mask=there, other=0)
    radius_x = tl.load(radii + 2 * owner, mask=there, other=0).to(tl.float32)
    radius_y = tl.load(radii + 2 * owner + 1, mask=there, other=0).to(tl.float32)
    there &= (radius_x > 0) & (radius_y > 0)
    x = tl.load(means2d + 2 * owner, mask=there, other=0.0)
    y = tl.load(means2d + 2 * owner + 1, mask=there, other=0.0)
    a = tl.load(conics + 3 * owner, mask=there, other=1.0)
    b = tl.load(conics + 3 * owner + 1, mask=there, other=0.0)
    c = tl.load(conics + 3 * owner + 2, mask=there, other=1.0)
    opacity = tl.load(opacities + owner % count, mask=there, other=0.0)
    # alpha >= ALPHA_MIN where a dx^2 + 2 b dx dy + c dy^2 <= reach; a little more, for rounding
    reach = 2.0 * tl.log(tl.maximum(opacity, 1e-20) / ALPHA_MIN) * 1.001 + 1e-3
    there &= reach > 0.0
    first_column = tl.minimum(tl.maximum(tl.floor((x - radius_x) / TILE), 0.0), columns).to(tl.int32)
    end_column = tl.minimum(tl.maximum(tl.ceil((x + radius_x) / TILE), 0.0), columns).to(tl.int32)
    first_row = tl.minimum(tl.maximum(tl.floor((y - radius_y) / TILE), 0.0), rows).to(tl.int32)
    end_row = tl.minimum(tl.maximum(tl.ceil((y + radius_y) / TILE), 0.0), rows).to(tl.int32)
    end_row = tl.where(there, end_row, first_row)
    determinant = a * c - b * b
    exact = determinant > 1e-4 * a * c  # else it is mostly rounding: such thin ones keep their box
    determinant = tl.where(exact, determinant, 1.0)
    widest = tl.sqrt(tl.maximum(reach * c / determinant, 0.0))  # of dx on the whole ellipse, at dy = -b / c * widest
    slope = tl.where(exact, b / c, 0.0)
    image = (owner // count).to(tl.int32)
    total = tl.zeros([BLOCK], tl.int32)
    if WRITE:
        at = tl.load(ends + place, mask=there, other=0) - tl.load(counts + place, mask=there, other=0)
    for step in range(tl.max(end_row - first_row)):
        row = first_row + step
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
        number = tl.where(there & (row < end_row), tl.maximum(end - begin, 0), 0)
        if WRITE:
            key = (image * rows + row) * columns + begin
            for column in range(tl.max(number)):
                chosen = (column < number) & (at + total + column < room)
                tl.store(tiles + at + total + column, (key + column).to(tiles.dtype.element_ty), mask=chosen)
                tl.store(owners + at + total + column, owner.to(tl.int32), mask=chosen)
        total += number
    if not WRITE:
        tl.store(counts + place, total, mask=place < entries)
