"""Gaussians too faint to be seen are given up for what appears: places where the views agree that something is that is not rendered.

The number of Gaussians and their order stay, so what lies on disk, moves and is compared goes on as before; only a place in the order
holds another Gaussian from then on, and whoever follows one through time has to know (`Progress.born`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.gaussians.gaussians import SH_C0, Gaussians
from trackersplat.geometry.projection import project
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.training.optimiser import Correction, TrainingViews

DEPTHS = 48  # places that are tried along the ray of a pixel
PIXELS = 20_000  # rays at most, drawn from those of all views
BEHIND = 0.01  # of the depth, by which a place may lie behind what a view shows and still count as seen
OPACITY = 0.6
WIDTH = 0.8  # standard deviation in pixels


@dataclass(frozen=True)
class ExchangeSettings:
    """How much is exchanged in a frame, and when the views agree that something has appeared.

    Where nothing does, nothing is exchanged: what a motion leaves wrong is mended in part by the steps before, and the rest is hardly
    ever a thing that several views show in one place and in one colour.
    """

    share: float = 0.01  # of the Gaussians at most; 0: nothing is looked for
    after: float = 0.2  # part of the steps of a refinement that come before
    faint: float = 0.02  # opacity below which a Gaussian may be given up
    error: float = 0.12  # difference of colours in [0, 1], mean of 3x3 pixels, from which on a pixel is wrong; half of it confirms another
    views: int = 4  # that must see a place
    agree: float = 0.8  # part of the others of them in which it must be wrong too
    alike: float = 0.12  # largest mean difference of the colours that they show there
    reach: float = 0.4  # how far before the surface that is rendered, as part of its depth


@torch.no_grad()
def exchange(
    gaussians: Gaussians,
    views: TrainingViews,
    rasterizer: Rasterizer,
    settings: ExchangeSettings,
    seed: int,
    correct: Correction | None = None,
) -> tuple[Tensor, Gaussians]:
    """Places (B,) int64, ascending, of the ``gaussians`` to give up, and the B others that take them.

    The faintest are given up first, and none that can be seen. Held-out cameras are not looked at.
    """
    faint = int((gaussians.opacities < settings.faint).sum())
    most = min(int(settings.share * len(gaussians)), faint)
    if not most:
        return torch.zeros(0, dtype=torch.long, device=gaussians.device), gaussians[:0]
    born = appearing(gaussians, views, rasterizer, settings, seed, correct)[:most]
    return gaussians.opacity_logits.argsort(stable=True)[: len(born)].sort().values, born


@dataclass(frozen=True)
class _Picture:
    """A training image and how the rendering compares with it."""

    camera: Camera
    image: Tensor  # (H, W, 3)
    depth: Tensor  # (H, W)
    error: Tensor  # (H, W) mean of 3x3 pixels

    def at(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of points (P, 3): whether they are seen (P,), the colours there (P, 3) and the errors (P,)."""
        places, depths = project([self.camera], points)
        column, row = places[0].nan_to_num(-1.0, -1.0, -1.0).floor().clamp(-1, 1e6).long().unbind(-1)
        inside = (depths[0] > self.camera.near) & (column >= 0) & (row >= 0) & (column < self.camera.width) & (row < self.camera.height)
        row, column = row.clamp(0, self.camera.height - 1), column.clamp(0, self.camera.width - 1)
        seen = inside & (depths[0] < (1 + BEHIND) * self.depth[row, column])
        return seen, self.image[row, column], self.error[row, column]


@torch.no_grad()
def appearing(
    gaussians: Gaussians,
    views: TrainingViews,
    rasterizer: Rasterizer,
    settings: ExchangeSettings,
    seed: int,
    correct: Correction | None = None,
) -> Gaussians:
    """Small round Gaussians for what the training views show and the ``gaussians`` do not, those first that the views agree on best.

    From every wrong pixel, places along its ray are tried, from a little before the surface that is rendered there to the surface. A
    place counts if enough views see it, most of these are wrong there too, and their colours are alike; of those of a ray the one of most
    alike colours is taken, and of those that lie within a pixel the best.
    """
    pictures = [_picture(gaussians, views, view, rasterizer, correct) for view in range(len(views))]
    wrong = [torch.nonzero(picture.error > settings.error) for picture in pictures]
    share = min(1.0, PIXELS / max(sum(map(len, wrong)), 1))
    random = torch.Generator().manual_seed(seed)
    found = []
    for view, pixels in enumerate(wrong):
        drawn = torch.randperm(len(pixels), generator=random)[: math.ceil(share * len(pixels))].sort().values.to(pixels.device)
        found.append(_along_rays(pictures, view, pixels[drawn], settings))
    means, colours, costs, sizes = (torch.cat(parts) for parts in zip(*found, strict=True))
    best = _apart(means, costs, sizes)
    return _gaussians(means[best], colours[best], sizes[best], gaussians.sh.shape[1])


def _picture(gaussians: Gaussians, views: TrainingViews, view: int, rasterizer: Rasterizer, correct: Correction | None) -> _Picture:
    rendering = rasterizer.render(gaussians, [views.cameras[view]])
    color = rendering.color if correct is None else correct(view, rendering.color)
    image = views.image(view)
    difference = (color - image).abs().mean(dim=3)
    error = torch.nn.functional.avg_pool2d(difference, 3, 1, 1, count_include_pad=False)
    return _Picture(views.cameras[view], image[0], rendering.depth[0] / rendering.alpha[0].clamp_min(1e-3), error[0])


def _along_rays(pictures: list[_Picture], view: int, pixels: Tensor, settings: ExchangeSettings) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """For the ``pixels`` (P, 2) row, column of a view, as far as there is one: place (M, 3), colour (M, 3), disagreement of the colours
    (M,), and what a pixel spans there (M,)."""
    own = pictures[view]
    camera, device = own.camera, own.depth.device
    row, column = pixels.unbind(1)
    depth = own.depth[row, column, None] * torch.linspace(1 - settings.reach, 1, DEPTHS, device=device)
    local = torch.stack(
        (
            (column[:, None] + 0.5 - camera.cx) / camera.fx * depth,
            (row[:, None] + 0.5 - camera.cy) / camera.fy * depth,
            depth,
        ),
        dim=2,
    )
    rotation, translation = (local.new_tensor(part.tolist()) for part in (camera.rotation, camera.translation))
    points = (local - translation) @ rotation
    mine = own.image[row, column]
    count, wrong, difference = (torch.zeros_like(depth) for _ in range(3))
    colours = torch.zeros_like(points)
    for other in pictures[:view] + pictures[view + 1 :]:
        seen, colour, error = (values.unflatten(0, depth.shape) for values in other.at(points.flatten(0, 1)))
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
    return points[rays, best], colour, cost[rays], depth[rays, best] / camera.fx


def _apart(means: Tensor, costs: Tensor, sizes: Tensor) -> Tensor:
    """Indices of those of least cost in their cell of a grid of the median size, cheapest first."""
    if not len(means):
        return torch.zeros(0, dtype=torch.long, device=means.device)
    order = costs.argsort(stable=True)
    cells = torch.unique((means[order] / sizes.median()).floor().long(), dim=0, return_inverse=True)[1]
    first = torch.full((int(cells.max()) + 1,), len(order), device=cells.device)
    first.scatter_reduce_(0, cells, torch.arange(len(order), device=cells.device), "amin")
    return order[first.sort().values]


def _gaussians(means: Tensor, colours: Tensor, sizes: Tensor, coefficients: int) -> Gaussians:
    count = len(means)
    quats, sh = means.new_zeros((count, 4)), means.new_zeros((count, coefficients, 3))
    quats[:, 0] = 1
    sh[:, 0] = (colours - 0.5) / SH_C0
    log_scales = torch.log(WIDTH * sizes)[:, None].repeat(1, 3)
    return Gaussians(means, quats, log_scales, means.new_full((count,), math.log(OPACITY / (1 - OPACITY))), sh)
