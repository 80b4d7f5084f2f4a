"""TAPIR, BootsTAPIR (Doersch et al. 2023, 2024) and LocoTrack (Cho et al. 2024), which are called alike.

Their networks take images in [-1, 1] as (B, T, H, W, 3) and queries (t, y, x) in raster pixels, whose centres are at +0.5 as ours, and
answer (B, N, T, 2) as (x, y), with logits of being occluded and of being far off: those become visibility and confidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from trackersplat.tracking.registry import TRACKERS
from trackersplat.tracking.trackers.learned_tracker import Followed, QueryModel
from trackersplat.tracking.trackers.working_size import Pixels, WorkingSize
from trackersplat.tracking.weights import put_into, read_state


class TAPIR(QueryModel):
    """TAPIR with the published "panning" weights."""

    facts = TRACKERS.facts("tapir")

    def build(self, paths: Sequence[Path]) -> torch.nn.Module:
        """See `QueryModel.build`."""
        model: torch.nn.Module = self.upstream.attribute("tapnet.torch.tapir_model:TAPIR")(pyramid_level=0, extra_convs=False)
        put_into(model, read_state(paths[0]), paths[0])
        return model

    def follow(self, frames: Tensor, queries: Tensor) -> Followed:
        """See `QueryModel.follow`. Each point is followed by itself."""
        (height, width) = frames.shape[1:3]
        work = WorkingSize((width, height), tuple(self.settings.size), Pixels.RASTER)
        video = work.images(frames).permute(0, 2, 3, 1)[None] / 127.5 - 1.0
        points = work.to_model(queries)
        asked = torch.stack((torch.zeros_like(points[:, 0]), points[:, 1], points[:, 0]), dim=1)[None]
        answer = self.model(video=video.contiguous(), query_points=asked, query_chunk_size=self.settings.points_at_once)
        return Followed(
            positions=work.from_model(answer["tracks"][0].transpose(0, 1)),
            visibility=1.0 - answer["occlusion"][0].transpose(0, 1).sigmoid(),
            confidence=1.0 - answer["expected_dist"][0].transpose(0, 1).sigmoid(),
        )


class BootsTAPIR(TAPIR):
    """TAPIR with more convolutions, one more level, and weights that also learned from real video."""

    facts = TRACKERS.facts("bootstapir")

    def build(self, paths: Sequence[Path]) -> torch.nn.Module:
        """See `QueryModel.build`."""
        model: torch.nn.Module = self.upstream.attribute("tapnet.torch.tapir_model:TAPIR")(pyramid_level=1)
        put_into(model, read_state(paths[0]), paths[0])
        return model


class LocoTrackBase(TAPIR):
    """LocoTrack, the larger model."""

    facts = TRACKERS.facts("locotrack-base")
    model_size = "base"

    def build(self, paths: Sequence[Path]) -> torch.nn.Module:
        """See `QueryModel.build`."""
        model: torch.nn.Module = self.upstream.attribute("models.locotrack_model:LocoTrack")(model_size=self.model_size)
        put_into(model, read_state(paths[0], "state_dict", prefix="model."), paths[0])
        return model


class LocoTrackSmall(LocoTrackBase):
    """LocoTrack, the smaller model."""

    facts = TRACKERS.facts("locotrack-small")
    model_size = "small"
