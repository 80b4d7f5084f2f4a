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

_VIEWS_AT_ONCE = 10  # rendered and compared together on a GPU, for memory


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


@dataclass(frozen=True)
class _Pictures:
    """Training images of V views of one size and near plane, and how the renderings compare with them."""

    views: tuple[int, ...]
    cameras: tuple[Camera, ...]
    images: Tensor  # (V, H, W, 3)
    depths: Tensor  # (V, H, W)
    errors: Tensor  # (V, H, W) mean of 3x3 pixels

    def at(self, points: Tensor, behind: float) -> tuple[Tensor, Tensor, Tensor]:
        """Of points (P, 3): whether they are seen (V, P), the colours there (V, P, 3) and the errors (V, P).

        ``behind``: part of the depth by which a point may lie behind the rendered surface and still count as seen.
        """
        pixels, depths = project(self.cameras, points)
        height, width = self.errors.shape[1:]
        inside = (depths > self.cameras[0].near) & inside_image(pixels, width, height)
        column, row = pixels.nan_to_num(-1.0, -1.0, -1.0).floor().clamp(-1, 1e6).long().unbind(-1)
        place = torch.arange(len(self.views), device=row.device)[:, None], row.clamp(0, height - 1), column.clamp(0, width - 1)
        seen = inside & (depths < (1 + behind) * self.depths[place])
        return seen, self.images[place], self.errors[place]

    def wrong(self, error: float) -> list[Tensor]:
        """(P, 2) row, column of the pixels of each view whose error is larger."""
        pixels = torch.nonzero(self.errors > error)
        return list(pixels[:, 1:].split(torch.bincount(pixels[:, 0], minlength=len(self.views)).tolist()))


@torch.no_grad()
def appearing(
    gaussians: Gaussians,
    views: TrainingViews,
    rasterizer: Rasterizer,
    settings: ReplaceFaintSettings,
    seed: int,
    correct: Correction | None = None,
    at_once: int | None = None,
) -> Gaussians:
    """Small round Gaussians for what the training views show and the ``gaussians`` do not, those first that the views agree on best.

    From every wrong pixel, points along its ray are tried, from a little before the surface that is rendered there to the surface. A
    point counts if enough views see it, most of these are wrong there too, and their colours are alike. Of the points of a ray the one
    whose colours differ least is taken, and of those that lie within a pixel of each other the best.

    ``at_once``: views that are rendered and compared together; many need fewer launches, few less memory. By default as the device likes.
    """
    device = gaussians.device
    if at_once is None:
        at_once = _VIEWS_AT_ONCE if device.type == "cuda" else 1
    pictures = _pictures(gaussians, views, rasterizer, correct, at_once)
    wrong = {view: pixels for group in pictures for view, pixels in zip(group.views, group.wrong(settings.error), strict=True)}
    share = min(1.0, settings.rays / max(sum(map(len, wrong.values())), 1))
    random = torch.Generator(device).manual_seed(seed)
    drawn = []
    for view in range(len(views)):
        pixels = wrong[view]
        chosen = torch.randperm(len(pixels), generator=random, device=device)[: math.ceil(share * len(pixels))]
        drawn.append(pixels[chosen.sort().values])
    groups = [[view] for view in range(len(views))] if at_once == 1 else [list(range(len(views)))]
    found = [_along_rays(pictures, group, [drawn[view] for view in group], settings) for group in groups]
    means, colours, costs, sizes = (torch.cat(parts) for parts in zip(*found, strict=True))
    best = _apart(means, costs, sizes)
    return _gaussians(means[best], colours[best], sizes[best], gaussians.sh.shape[1], settings)


def _pictures(
    gaussians: Gaussians, views: TrainingViews, rasterizer: Rasterizer, correct: Correction | None, at_once: int
) -> list[_Pictures]:
    """Of all views, at most ``at_once`` together."""
    found = []
    for group in rendered_together(views.cameras, at_once):
        cameras = tuple(views.cameras[view] for view in group)
        rendering = rasterizer.render(gaussians, cameras)
        color = rendering.color
        if correct is not None:
            color = torch.stack([correct(view, image) for view, image in zip(group, color, strict=True)])
        images = torch.cat([views.image(view) for view in group])
        difference = (color - images).abs().mean(dim=3)
        error = torch.nn.functional.avg_pool2d(difference, 3, 1, 1, count_include_pad=False)
        found.append(_Pictures(tuple(group), cameras, images, rendering.depth / rendering.alpha.clamp_min(1e-3), error))
    return found


def _along_rays(
    pictures: Sequence[_Pictures], views: Sequence[int], pixels: Sequence[Tensor], settings: ReplaceFaintSettings
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """For the ``pixels`` (P, 2) row, column of each of some ``views``, as far as there is a point: point (M, 3), colour (M, 3),
    disagreement of the colours (M,), and what a pixel spans there (M,)."""
    shown = {view: (group, place) for group in pictures for place, view in enumerate(group.views)}
    points, mine, depth, spans, owner = (
        torch.cat(parts)
        for parts in zip(*(_points(*shown[view], own, settings) for view, own in zip(views, pixels, strict=True)), strict=True)
    )
    count, wrong, difference = (torch.zeros_like(depth) for _ in range(3))
    colours = torch.zeros_like(points)
    for group in pictures:
        if len(views) == 1 and group.views == tuple(views):
            continue  # a view does not confirm its own pixels
        seen, colour, error = (values.unflatten(1, depth.shape) for values in group.at(points.flatten(0, 1), settings.behind))
        seen = seen & (owner != torch.tensor(group.views, device=owner.device)[:, None])[..., None]
        count += seen.sum(0)
        wrong += (seen & (error > 0.5 * settings.error)).sum(0)
        difference += (seen * (colour - mine[:, None]).abs().mean(dim=-1)).sum(0)
        colours += (seen[..., None] * colour).sum(0)
    difference /= count.clamp_min(1)
    agreed = (count + 1 >= settings.views) & (wrong >= settings.agree * count) & (difference < settings.alike)
    cost, best = torch.where(agreed, difference, torch.inf).min(dim=1)
    rays = torch.nonzero(cost < torch.inf)[:, 0]
    best = best[rays]
    colour = (colours[rays, best] + mine[rays]) / (count[rays, best] + 1)[:, None]
    return points[rays, best], colour, cost[rays], spans[rays, best]


def _points(group: _Pictures, place: int, pixels: Tensor, settings: ReplaceFaintSettings) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Along the rays of P pixels of a view: points (P, D, 3), colours of the pixels (P, 3), depths (P, D), what a pixel spans there (P, D),
    the view (P,)."""
    camera, shown = group.cameras[place], group.depths[place]
    row, column = pixels.unbind(1)
    depth = shown[row, column, None] * torch.linspace(1 - settings.reach, 1, settings.depths, device=shown.device)
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
    return points, group.images[place][row, column], depth, depth / camera.fx, torch.full_like(row, group.views[place])


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
