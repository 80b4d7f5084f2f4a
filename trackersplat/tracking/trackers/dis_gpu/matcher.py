"""Matching pairs of images at once by classical flow, on a GPU, and by a search where it is asked for: needs no weights and no network."""

from __future__ import annotations

import torch
from torch import Tensor

from trackersplat.errors import ShapeError
from trackersplat.tracking.registry import MATCHERS
from trackersplat.tracking.tracker import PointMotion
from trackersplat.tracking.trackers.dis_gpu.batch import parts, positions
from trackersplat.tracking.trackers.dis_gpu.images import images_of
from trackersplat.tracking.trackers.dis_gpu.matching import Search, match
from trackersplat.tracking.trackers.dis_gpu.settings import MatchSettings
from trackersplat.tracking.tracks import Provenance


class BatchedDISMatcher:
    """Flow there and back, each confirmed by the other; with a reach, helped by an exhaustive search where flow is unreliable."""

    facts = MATCHERS.facts("dis-gpu")

    def __init__(self, device: torch.device, settings: MatchSettings) -> None:
        self.device = device
        self.settings = settings
        self.provenance = Provenance(self.facts.name, licence=self.facts.licence)

    def match(self, source: Tensor, target: Tensor, *, search: tuple[Tensor, Tensor] | None = None, reach: float = 0.0) -> PointMotion:
        """See `tracker.Matcher`. Raises ShapeError as `match_together`."""
        masks = None if search is None else (search[0][None], search[1][None])
        return self.match_together(source[None], target[None], search=masks, reach=reach)

    @torch.no_grad()
    def match_together(
        self, sources: Tensor, targets: Tensor, *, search: tuple[Tensor, Tensor] | None = None, reach: float = 0.0
    ) -> PointMotion:
        """See `tracker.BatchMatcher`.

        Raises ShapeError if the images are not uint8 (B, H, W, 3) of one size, or the masks not bool of that size, all on the device.
        """
        size = (*sources.shape[:3], 3)
        wanted = [(sources, torch.uint8, size), (targets, torch.uint8, size), *((mask, torch.bool, size[:3]) for mask in search or ())]
        for values, dtype, shape in wanted:
            if values.device.type != self.device.type or values.dtype != dtype or tuple(values.shape) != shape:
                got = f"{values.dtype} {tuple(values.shape)} on {values.device}"
                raise ShapeError(f"Images and masks to match must be of one size on {self.device}: expected {dtype} {shape}, got {got}.")
        batch, height, width = size[:3]
        found = PointMotion(
            positions=torch.empty(batch, 1, height, width, 2, device=sources.device),
            visibility=torch.empty(batch, 1, height, width, device=sources.device),
            confidence=torch.empty(batch, 1, height, width, device=sources.device),
        )
        for part in parts(batch, height, width, sources.device):
            masks = None if search is None else (search[0][part], search[1][part])
            asked = Search(reach, masks) if reach > 0 else None
            result, _ = match(images_of(sources[part]), images_of(targets[part]), asked, self.settings)
            found.positions[part, 0] = positions(result.flow)
            found.visibility[part, 0] = result.visibility
            found.confidence[part, 0] = result.confidence
        return found
