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
    start = project([camera], before.means.double())[0][0]
    # Behind a camera a projection may be anything. It is not rendered, but zero times infinity is not zero.
    ways = [(project([camera], state.means.double())[0][0] - start).float().nan_to_num(0.0, 0.0, 0.0) for state in after]
    forward = _mean(rasterizer.render(before, [camera], channels=torch.cat(ways, dim=-1), sh_degree=0))
    predictions = []
    for index, (state, way) in enumerate(zip(after, ways, strict=True)):
        rendering = rasterizer.render(state, [camera], channels=-way)
        image = (correct(rendering.color[0]).clamp(0, 1) * 255).round().byte()
        own = forward[..., 2 * index : 2 * index + 2].contiguous()
        predictions.append(Prediction(image=image.contiguous(), forward=own, backward=_mean(rendering)))
    return predictions


def _mean(rendering: Rendering) -> Tensor:
    """(H, W, F) float32: the channels per blending weight, near 0 where nothing is seen."""
    assert rendering.channels is not None  # the interface returns what was asked for
    return (rendering.channels[0] / rendering.alpha[0].clamp_min(1e-3)[..., None]).float()
