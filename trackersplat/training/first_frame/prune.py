"""What is removed at the end: Gaussians that hardly show or are too large for their projection, and colour bands of noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.gaussians.gaussians import SH_C0, Gaussians
from trackersplat.geometry.projection import centers
from trackersplat.rendering.lift import lift
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.rendering.sh import sh_basis
from trackersplat.training.optimiser import TrainingViews


@dataclass(frozen=True)
class Seen:
    """What the training views show of every Gaussian."""

    weights: Tensor  # (N,) float64: with which it is blended, summed over all pixels of all views
    shift: Tensor  # (N, 3) float64: mean over the views, so weighted, of the colour (of [0, 1]) that its bands above 0 add
    spread: Tensor  # (N,) float64: standard deviation of that, of the three channels together

    def __getitem__(self, index: Tensor) -> Seen:
        """Of a subset by boolean mask or index tensor."""
        return Seen(self.weights[index], self.shift[index], self.spread[index])


@torch.no_grad()
def seen_by(gaussians: Gaussians, views: TrainingViews, rasterizer: Rasterizer) -> Seen:
    """Lifts every view once. What no view shows has weight, shift and spread 0."""
    total = torch.zeros(len(gaussians), dtype=torch.float64, device=gaussians.device)
    first, second = torch.zeros_like(total)[:, None].repeat(1, 3), torch.zeros_like(total)
    for camera in views.cameras:
        ones = torch.ones((1, camera.height, camera.width, 1), device=gaussians.device)
        weights = lift(rasterizer, gaussians, [camera], ones)[0, :, 0].double()
        center = torch.as_tensor(camera.center, dtype=torch.float32, device=gaussians.device)
        basis = sh_basis(torch.nn.functional.normalize(gaussians.means - center, dim=1), gaussians.sh_degree)
        added = torch.einsum("nk,nkc->nc", basis[:, 1:], gaussians.sh[:, 1:]).double()
        total += weights
        first += weights[:, None] * added
        second += weights * added.square().sum(1)
    share = 1 / total.clamp_min(1e-12)
    shift = share[:, None] * first
    return Seen(total, shift, (share * second - shift.square().sum(1)).clamp_min(0).sqrt())


def giants(gaussians: Gaussians, cameras: Sequence[Camera]) -> Tensor:
    """(N,) bool: longer, by their largest standard deviation, than they are away from the nearest camera.

    The projection is linearised at the centre. For such a Gaussian that is wrong nearly everywhere: what looks right in one view may
    cover another altogether.
    """
    places = torch.as_tensor(centers(cameras), dtype=torch.float32, device=gaussians.device)
    return gaussians.scales.amax(1) > torch.cdist(gaussians.means, places).amin(1)


def weighty(weights: Tensor, share: float) -> Tensor:
    """(N,) bool: all but those of least weight (N,) that together have at most ``share`` of the whole."""
    ordered, order = weights.double().sort(stable=True)
    dropped = order[ordered.cumsum(0) <= share * ordered.sum()]
    keep = torch.ones(len(weights), dtype=torch.bool, device=weights.device)
    keep[dropped] = False
    return keep


def without_faint_bands(gaussians: Gaussians, seen: Seen, threshold: float) -> Gaussians:
    """Sets bands above 0 to zero where their ``seen.spread`` is below ``threshold``, and adds their mean colour to band 0.

    Few views say little about how a colour changes with the direction: bands that hardly change it there fit noise, exposure and
    small errors of the geometry, and carry them on to every other view. The pictures of the training views change little: summed over
    all their pixels, the squared change (of the three channels together) is less than the squared threshold times the alpha.

    After the variable bands of Reduced-3DGS (Papantonakis et al. 2024). All other Gaussians keep their bits.
    """
    cut = seen.spread < threshold
    sh = gaussians.sh.clone()
    sh[cut, 0] += (seen.shift[cut] / SH_C0).float()
    sh[cut, 1:] = 0
    return replace(gaussians, sh=sh)
