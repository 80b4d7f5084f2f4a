"""Gaussians too faint to be seen are replaced by what appears: points where the views agree that something is that is not rendered.

The number of Gaussians and their order stay, so that files, motions and comparisons stay valid; only some indices stand for another
Gaussian from then on, and whoever follows one through time has to know them (`fit.FitDone.replaced`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.gaussians.gaussians import SH_C0, Gaussians
from trackersplat.geometry.projection import inside_image, project
from trackersplat.rendering.rasterizer import Rasterizer, rendered_together
from trackersplat.training.optimiser import Correction, TrainingViews
from trackersplat.training.refine.settings import ReplaceFaintSettings

_VIEWS_AT_ONCE = 10  # rendered together on a GPU, for memory


@torch.no_grad()
def replace_faint(
    gaussians: Gaussians,
    views: TrainingViews,
    rasterizer: Rasterizer,
    settings: ReplaceFaintSettings,
    seed: int,
    correct: Correction | None = None,
) -> tuple[Tensor, Gaussians]:
    """Indices (B,) int64, ascending, of the ``gaussians`` to replace, and the B others that replace them.

    The faintest are replaced first, and none that can be seen. Held-out cameras are not looked at.
    """
    faint = int((gaussians.opacities < settings.faint).sum())
    most = min(int(settings.share * len(gaussians)), faint)
    if not most:
        return torch.zeros(0, dtype=torch.long, device=gaussians.device), gaussians[:0]
    added = appearing(gaussians, views, rasterizer, settings, seed, correct)[:most]
    return gaussians.opacity_logits.argsort(stable=True)[: len(added)].sort().values, added


def _wrong_pixels(pictures: Sequence[_Picture], error: float) -> list[Tensor]:
    """(P, 2) row, column of every picture; pictures of one size together, as a GPU waits for each search."""
    found: dict[int, Tensor] = {}
    sizes = [picture.error.shape for picture in pictures]
    for size in dict.fromkeys(sizes):
        members = [index for index, own in enumerate(sizes) if own == size]
        pixels = torch.nonzero(torch.stack([pictures[index].error for index in members]) > error)
        counts = torch.bincount(pixels[:, 0], minlength=len(members)).tolist()
        found.update(zip(members, pixels[:, 1:].split(counts), strict=True))
    return [found[index] for index in range(len(pictures))]


@dataclass(frozen=True)
class _Picture:
    """A training image and how the rendering compares with it."""

    camera: Camera
    image: Tensor  # (H, W, 3)
    depth: Tensor  # (H, W)
    error: Tensor  # (H, W) mean of 3x3 pixels

    def at(self, points: Tensor, behind: float) -> tuple[Tensor, Tensor, Tensor]:
        """Of points (P, 3): whether they are seen (P,), the colours there (P, 3) and the errors (P,).

        ``behind``: part of the depth by which a point may lie behind the rendered surface and still count as seen.
        """
        pixels, depths = project([self.camera], points)
        inside = (depths[0] > self.camera.near) & inside_image(pixels[0], self.camera.width, self.camera.height)
        column, row = pixels[0].nan_to_num(-1.0, -1.0, -1.0).floor().clamp(-1, 1e6).long().unbind(-1)
        row, column = row.clamp(0, self.camera.height - 1), column.clamp(0, self.camera.width - 1)
        seen = inside & (depths[0] < (1 + behind) * self.depth[row, column])
        return seen, self.image[row, column], self.error[row, column]


@torch.no_grad()
def appearing(
    gaussians: Gaussians,
    views: TrainingViews,
    rasterizer: Rasterizer,
    settings: ReplaceFaintSettings,
    seed: int,
    correct: Correction | None = None,
) -> Gaussians:
    """Small round Gaussians for what the training views show and the ``gaussians`` do not, those first that the views agree on best.

    From every wrong pixel, points along its ray are tried, from a little before the surface that is rendered there to the surface. A
    point counts if enough views see it, most of these are wrong there too, and their colours are alike. Of the points of a ray the one
    whose colours differ least is taken, and of those that lie within a pixel of each other the best.
    """
    pictures = _pictures(gaussians, views, rasterizer, correct)
    wrong = _wrong_pixels(pictures, settings.error)
    share = min(1.0, settings.rays / max(sum(map(len, wrong)), 1))
    device = gaussians.device
    random = torch.Generator(device).manual_seed(seed)
    drawn = []
    for pixels in wrong:
        chosen = torch.randperm(len(pixels), generator=random, device=device)[: math.ceil(share * len(pixels))]
        drawn.append(pixels[chosen.sort().values])
    # All views at once need fewer launches, one after the other less memory.
    groups = [list(range(len(views)))] if device.type == "cuda" else [[view] for view in range(len(views))]
    found = [_along_rays(pictures, group, [drawn[view] for view in group], settings) for group in groups]
    means, colours, costs, sizes = (torch.cat(parts) for parts in zip(*found, strict=True))
    best = _apart(means, costs, sizes)
    return _gaussians(means[best], colours[best], sizes[best], gaussians.sh.shape[1], settings)


def _pictures(gaussians: Gaussians, views: TrainingViews, rasterizer: Rasterizer, correct: Correction | None) -> list[_Picture]:
    """Of all views; on a GPU several are rendered together."""
    found: dict[int, _Picture] = {}
    for group in rendered_together(views.cameras, _VIEWS_AT_ONCE if gaussians.means.is_cuda else 1):
        rendering = rasterizer.render(gaussians, [views.cameras[view] for view in group])
        color = rendering.color
        if correct is not None:
            color = torch.stack([correct(view, image) for view, image in zip(group, color, strict=True)])
        images = torch.cat([views.image(view) for view in group])
        difference = (color - images).abs().mean(dim=3)
        error = torch.nn.functional.avg_pool2d(difference, 3, 1, 1, count_include_pad=False)
        depth = rendering.depth / rendering.alpha.clamp_min(1e-3)
        for place, view in enumerate(group):
            found[view] = _Picture(views.cameras[view], images[place], depth[place], error[place])
    return [found[view] for view in range(len(views))]


def _along_rays(
    pictures: list[_Picture], views: Sequence[int], pixels: Sequence[Tensor], settings: ReplaceFaintSettings
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """For the ``pixels`` (P, 2) row, column of each of some ``views``, as far as there is a point: point (M, 3), colour (M, 3),
    disagreement of the colours (M,), and what a pixel spans there (M,)."""
    points, mine, depth, spans, owner = (
        torch.cat(parts)
        for parts in zip(*(_points(pictures, view, own, settings) for view, own in zip(views, pixels, strict=True)), strict=True)
    )
    count, wrong, difference = (torch.zeros_like(depth) for _ in range(3))
    colours = torch.zeros_like(points)
    for index, other in enumerate(pictures):
        if index in views and len(views) == 1:
            continue
        seen, colour, error = (values.unflatten(0, depth.shape) for values in other.at(points.flatten(0, 1), settings.behind))
        if index in views:
            seen = seen & (owner != index)[:, None]
        count += seen
        wrong += seen & (error > 0.5 * settings.error)
        difference += seen * (colour - mine[:, None]).abs().mean(dim=2)
        colours += seen[..., None] * colour
    difference /= count.clamp_min(1)
    agreed = (count + 1 >= settings.views) & (wrong >= settings.agree * count) & (difference < settings.alike)
    cost, best = torch.where(agreed, difference, torch.inf).min(dim=1)
    rays = torch.nonzero(cost < torch.inf)[:, 0]
    best = best[rays]
    colour = (colours[rays, best] + mine[rays]) / (count[rays, best] + 1)[:, None]
    return points[rays, best], colour, cost[rays], spans[rays, best]


def _points(
    pictures: list[_Picture], view: int, pixels: Tensor, settings: ReplaceFaintSettings
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Along the rays of P pixels: points (P, D, 3), colours of the pixels (P, 3), depths (P, D), what a pixel spans there (P, D), the view
    (P,)."""
    own = pictures[view]
    camera, device = own.camera, own.depth.device
    row, column = pixels.unbind(1)
    depth = own.depth[row, column, None] * torch.linspace(1 - settings.reach, 1, settings.depths, device=device)
    local = torch.stack(
        (
            (column[:, None] + 0.5 - camera.cx) / camera.fx * depth,
            (row[:, None] + 0.5 - camera.cy) / camera.fy * depth,
            depth,
        ),
        dim=2,
    )
    pose = local.new_tensor(np.concatenate((camera.rotation, camera.translation[None])))
    points = (local - pose[3]) @ pose[:3]
    return points, own.image[row, column], depth, depth / camera.fx, torch.full_like(row, view)


def _apart(means: Tensor, costs: Tensor, sizes: Tensor) -> Tensor:
    """Indices of those of least cost in their cell of a grid of the median size, cheapest first."""
    if not len(means):
        return torch.zeros(0, dtype=torch.long, device=means.device)
    order = costs.argsort(stable=True)
    cells = torch.unique((means[order] / sizes.median()).floor().long(), dim=0, return_inverse=True)[1]
    first = torch.full((int(cells.max()) + 1,), len(order), device=cells.device)
    first.scatter_reduce_(0, cells, torch.arange(len(order), device=cells.device), "amin")
    return order[first.sort().values]


def _gaussians(means: Tensor, colours: Tensor, sizes: Tensor, coefficients: int, settings: ReplaceFaintSettings) -> Gaussians:
    count, opacity = len(means), settings.opacity
    quats, sh = means.new_zeros((count, 4)), means.new_zeros((count, coefficients, 3))
    quats[:, 0] = 1
    sh[:, 0] = (colours - 0.5) / SH_C0
    log_scales = torch.log(settings.width * sizes)[:, None].repeat(1, 3)
    return Gaussians(means, quats, log_scales, means.new_full((count,), math.log(opacity / (1 - opacity))), sh)
