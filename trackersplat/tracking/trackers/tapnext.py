"""TAPNext (Zholus et al. 2025) and TAPNext++: points frame by frame, with a state that is carried on.

Images are in [-1, 1] as (B, T, H, W, 3), queries (t, y, x) in raster pixels, whose centres are at +0.5 as ours, and answers (y, x), too.
Confidence is the probability that the network gives to positions near the one it answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from trackersplat.errors import InputError
from trackersplat.files import NPZ_DAMAGE
from trackersplat.tracking.registry import TRACKERS
from trackersplat.tracking.trackers.learned_tracker import Followed, QueryModel
from trackersplat.tracking.trackers.working_size import Pixels, WorkingSize
from trackersplat.tracking.weights import put_into, read_state


class TAPNext(QueryModel):
    """TAPNext with the published "bootstrapped" weights, which are those of its JAX code."""

    facts = TRACKERS.facts("tapnext")

    def build(self, paths: Sequence[Path]) -> nn.Module:
        """See `LearnedTracker.build`."""
        model = self._network()
        restore = self.upstream.attribute("tapnet.tapnext.tapnext_torch_utils:restore_model_from_jax_checkpoint")
        try:
            restored: nn.Module = restore(model, str(paths[0]))  # NumPy loads it, without unpickling
        except (RuntimeError, *NPZ_DAMAGE) as error:
            raise InputError(f"{paths[0]} holds no weights of TAPNext ({type(error).__name__}: {error}): download it again.") from error
        return restored

    def follow(self, frames: Tensor, queries: Tensor) -> Followed:
        """See `QueryModel.follow`."""
        certainty = self.upstream.attribute("tapnet.tapnext.tapnext_torch_utils:tracker_certainty")
        height, width = frames.shape[1:3]
        work = WorkingSize((width, height), tuple(self.settings.size), Pixels.RASTER)
        points = work.to_model(queries)
        asked: Tensor | None = torch.stack((torch.zeros_like(points[:, 0]), points[:, 1], points[:, 0]), dim=1)[None]
        state, found = None, []
        for frame in frames:
            image = work.images(frame[None]).permute(0, 2, 3, 1)[None] / 127.5 - 1.0
            tracks, logits, visible, state = self.model(video=image.contiguous(), query_points=asked, state=state)
            asked = None
            sure = certainty(tracks, logits, self.settings.certainty_px)
            found.append((tracks[0, 0].flip(-1), visible[0, 0, :, 0].sigmoid(), sure[0, 0, :, 0].clamp(0, 1)))
        positions, visibility, confidence = (torch.stack(values) for values in zip(*found, strict=True))
        return Followed(work.from_model(positions), visibility, confidence)

    def _network(self) -> nn.Module:
        width, height = self.settings.size
        network: nn.Module = self.upstream.attribute("tapnet.tapnext.tapnext_torch:TAPNext")(image_size=(height, width))
        return network


class TAPNextPP(TAPNext):
    """TAPNext++: the same network, trained on longer clips."""

    facts = TRACKERS.facts("tapnext++")

    def build(self, paths: Sequence[Path]) -> nn.Module:
        """See `LearnedTracker.build`."""
        model = self._network()
        put_into(model, read_state(paths[0], "state_dict", prefix="tapnext."), paths[0])
        return model
