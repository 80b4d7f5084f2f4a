"""Points along the rays of wrong pixels where the views agree that something is that is not rendered."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trackersplat.geometry.devices import has_triton
from trackersplat.training.refine.compared_views import ComparedViews
from trackersplat.training.refine.settings import ReplaceFaintSettings


@dataclass(frozen=True, eq=False)
class AgreeingPoints:
    """At most one on each of R rays."""

    means: Tensor  # (R, 3)
    colours: Tensor  # (R, 3) in [0, 1], mean of the views
    costs: Tensor  # (R,) by how much these differ; infinite where there is no point
    sizes: Tensor  # (R,) what a pixel spans there, scene units


def wrong_pixels(views: ComparedViews, error: float, most: int, random: torch.Generator) -> Tensor:
    """(R,) int64, ascending: pixels of larger errors, one of each of R equal parts of the list of all, or all if they are fewer.

    On a GPU there are always ``most``, those that are too many being -1: nobody waits for how many there are.
    """
    wrong = views.errors > error
    ends = wrong.cumsum(0, dtype=torch.int32 if len(wrong) < 2**31 else torch.int64)
    total = ends[-1]
    count = most if wrong.is_cuda else min(most, int(total))
    index = torch.arange(count, device=wrong.device)
    part = torch.rand(count, dtype=torch.float64, device=wrong.device, generator=random)
    rank = ((index + part) * (total.double() / most).clamp_min(1.0)).to(ends.dtype).minimum(total - 1)
    return torch.where(index < total, torch.searchsorted(ends, rank + 1), -1)


def agreeing_points(views: ComparedViews, pixels: Tensor, settings: ReplaceFaintSettings) -> AgreeingPoints:
    """For each of the ``pixels`` (R,) int64, ascending, the point of its ray of which the colours differ least.

    Points are tried from a little before the surface that is rendered to the surface. One counts if enough views see it, most of these
    are wrong there too, and their colours are alike. On a GPU, there is none where the pixel is -1.
    """
    if has_triton(pixels):
        from trackersplat.training.refine.agreeing_points_triton import agreeing_points as fused

        means, colours, costs, sizes = fused(views, pixels, settings).split((3, 3, 1, 1), dim=1)
        return AgreeingPoints(means=means, colours=colours, costs=costs[:, 0], sizes=sizes[:, 0])
    own = torch.bucketize(pixels, torch.tensor(views.first[1:]), right=True)
    counts = torch.bincount(own, minlength=len(views.cameras)).tolist()
    points, depth, spans = (
        torch.cat(parts)
        for parts in zip(*(_points(views, view, at, settings) for view, at in enumerate(pixels.split(counts))), strict=True)
    )
    mine = views.images[pixels].float() / 255
    count, wrong, difference = (torch.zeros_like(depth) for _ in range(3))
    colours = torch.zeros_like(points)
    for view in range(len(views.cameras)):
        seen, colour, error = (values.unflatten(0, depth.shape) for values in views.at(view, points.flatten(0, 1), settings.behind))
        seen &= (own != view)[:, None]  # a view does not confirm its own pixels
        count += seen
        wrong += seen & (error > 0.5 * settings.error)
        difference += seen * (colour - mine[:, None]).abs().mean(dim=-1)
        colours += seen[..., None] * colour
    difference /= count.clamp_min(1)
    agreed = (count + 1 >= settings.views) & (wrong >= settings.agree * count) & (difference < settings.alike)
    costs, best = torch.where(agreed, difference, torch.inf).min(dim=1)
    ray = torch.arange(len(pixels))
    colour = (colours[ray, best] + mine) / (count[ray, best] + 1)[:, None]
    return AgreeingPoints(means=points[ray, best], colours=colour, costs=costs, sizes=spans[ray, best])


def _points(views: ComparedViews, view: int, pixels: Tensor, settings: ReplaceFaintSettings) -> tuple[Tensor, Tensor, Tensor]:
    """Along the rays of M pixels of a view: points (M, D, 3), depths (M, D), and what a pixel spans there (M, D)."""
    camera, place = views.cameras[view], pixels - views.first[view]
    row, column = place.div(camera.width, rounding_mode="floor"), place % camera.width
    depth = views.depths[pixels, None] * torch.linspace(1 - settings.reach, 1, settings.depths)
    local = torch.stack(
        (
            (column[:, None] + 0.5 - camera.cx) / camera.fx * depth,
            (row[:, None] + 0.5 - camera.cy) / camera.fy * depth,
            depth,
        ),
        dim=2,
    )
    pose = local.new_tensor(np.concatenate((camera.rotation, camera.translation[None])))
    return (local - pose[3]) @ pose[:3], depth, depth / camera.fx
