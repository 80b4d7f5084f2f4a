"""The training images of a frame beside what is rendered of them: colours, depths, and where the two differ."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.geometry.devices import has_triton
from trackersplat.geometry.projection import inside_image, project
from trackersplat.rendering.rasterizer import Rasterizer, rendered_together
from trackersplat.training.optimiser import Correction, TrainingViews


@dataclass(frozen=True, eq=False)
class ComparedViews:
    """V views, the pixels of each row by row and those of one view after those of another: P in all."""

    cameras: tuple[Camera, ...]
    images: Tensor  # (P, 3) uint8
    depths: Tensor  # (P,) of the surface that is rendered
    errors: Tensor  # (P,) difference of colours in [0, 1], mean of 3x3 pixels

    @cached_property
    def first(self) -> tuple[int, ...]:
        """The first pixel of each view, and P."""
        ends = [0]
        for camera in self.cameras:
            ends.append(ends[-1] + camera.width * camera.height)
        return tuple(ends)

    def at(self, view: int, points: Tensor, behind: float) -> tuple[Tensor, Tensor, Tensor]:
        """Of points (N, 3): whether a view sees them (N,), the colours there (N, 3) and the errors (N,).

        ``behind``: part of the depth by which a point may lie behind the rendered surface and still count as seen.
        """
        camera = self.cameras[view]
        pixels, depths = (values[0] for values in project([camera], points))
        inside = (depths > camera.near) & inside_image(pixels, camera.width, camera.height)
        column, row = pixels.nan_to_num(-1.0, -1.0, -1.0).floor().clamp(-1, 1e6).long().unbind(-1)
        place = self.first[view] + row.clamp(0, camera.height - 1) * camera.width + column.clamp(0, camera.width - 1)
        seen = inside & (depths < (1 + behind) * self.depths[place])
        return seen, self.images[place].float() / 255, self.errors[place]


def compare_views(
    gaussians: Gaussians, views: TrainingViews, rasterizer: Rasterizer, correct: Correction | None, at_once: int
) -> ComparedViews:
    """All of them, of which at most ``at_once`` are rendered together."""
    groups = rendered_together(views.cameras, at_once)
    order = [view for group in groups for view in group]
    total = sum(camera.width * camera.height for camera in views.cameras)
    like = gaussians.means
    images, depths, errors = torch.empty(total, 3, dtype=torch.uint8, device=like.device), like.new_empty(total), like.new_empty(total)
    end = 0
    for group in groups:
        rendering = rasterizer.render(gaussians, [views.cameras[view] for view in group])
        color = rendering.color
        if correct is not None:
            color = torch.stack([correct(view, image) for view, image in zip(group, color, strict=True)])
        shown = torch.cat([views.bytes(view) for view in group])
        begin, end = end, end + rendering.depth.numel()
        images[begin:end] = shown.flatten(0, 2)
        depths[begin:end] = (rendering.depth / rendering.alpha.clamp_min(1e-3)).flatten()
        errors[begin:end] = colour_errors(color, shown).flatten()
    return ComparedViews(tuple(views.cameras[view] for view in order), images, depths, errors)


def colour_errors(color: Tensor, images: Tensor) -> Tensor:
    """(V, H, W): mean difference of ``color`` (V, H, W, 3) and ``images`` (V, H, W, 3) uint8 over the channels of the 3x3 pixels around,
    as far as they are in the image."""
    if has_triton(color):
        from trackersplat.training.refine.compared_views_triton import colour_errors as fused

        return fused(color, images)
    difference = (color - images.float() / 255).abs().mean(dim=3)
    return F.avg_pool2d(difference, 3, 1, 1, count_include_pad=False)
