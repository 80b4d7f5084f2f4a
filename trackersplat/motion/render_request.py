"""What a view should see of moved Gaussians."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.geometry.projection import project
from trackersplat.rendering.rasterizer import Rasterizer, Rendering


@dataclass(frozen=True, eq=False)
class Prediction:
    """What one view should see of a target frame, if the motion to it is right. On one device."""

    image: Tensor  # (H, W, 3) uint8 RGB
    forward: Tensor  # (H, W, 2) float32 px: displacement of what a pixel of the base frame shows
    backward: Tensor  # (H, W, 2) float32 px: of what a pixel of ``image`` shows, back to the base frame

    def to(self, device: torch.device) -> Prediction:
        return Prediction(self.image.to(device), self.forward.to(device), self.backward.to(device))


@torch.no_grad()
def predict(
    rasterizer: Rasterizer,
    before: Gaussians,
    after: Sequence[Gaussians],
    camera: Camera,
    correct: Callable[[Tensor], Tensor] = lambda color: color,
) -> list[Prediction]:
    """One prediction per state in ``after``, each of the same Gaussians as ``before``, in the same order. On the rasteriser's device.

    A pixel moves as the Gaussians that it shows do, in the mean over their blending weights. ``correct`` turns rendered colours
    (H, W, 3) into those that the camera shows.
    """
    (found,) = predict_views(rasterizer, before, after, [camera], [correct])
    return found


@torch.no_grad()
def predict_views(
    rasterizer: Rasterizer,
    before: Gaussians,
    after: Sequence[Gaussians],
    cameras: Sequence[Camera],  # of one size and near plane
    correct: Sequence[Callable[[Tensor], Tensor]],
) -> list[list[Prediction]]:
    """`predict` for each camera with its own ``correct``, rendered together."""
    start = project(cameras, before.means.double())[0]
    # Behind a camera a projection may be anything. It is not rendered, but zero times infinity is not zero.
    ways = [(project(cameras, state.means.double())[0] - start).float().nan_to_num(0.0, 0.0, 0.0) for state in after]
    forward = _mean(rasterizer.render(before, cameras, channels=_of_each(torch.cat(ways, dim=-1)), sh_degree=0))
    predictions: list[list[Prediction]] = [[] for _ in cameras]
    for index, (state, way) in enumerate(zip(after, ways, strict=True)):
        rendering = rasterizer.render(state, cameras, channels=_of_each(-way))
        backward = _mean(rendering)
        colours = torch.stack([one(color) for one, color in zip(correct, rendering.color, strict=True)])
        images = (colours.clamp(0, 1) * 255).round().byte()
        own = forward[..., 2 * index : 2 * index + 2].contiguous()
        for view, found in enumerate(predictions):
            found.append(Prediction(image=images[view], forward=own[view], backward=backward[view]))
    return predictions


def _of_each(channels: Tensor) -> Tensor:
    """(C, N, F) as a rasteriser takes them: of a single camera (N, F), which none has to take apart."""
    return channels[0] if len(channels) == 1 else channels


def _mean(rendering: Rendering) -> Tensor:
    """(C, H, W, F) float32: the channels per blending weight, near 0 where nothing is seen."""
    assert rendering.channels is not None  # the interface returns what was asked for
    return (rendering.channels / rendering.alpha.clamp_min(1e-3)[..., None]).float()
