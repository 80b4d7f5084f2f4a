"""The CoTracker family (Karaev et al. 2023, 2024) on its own networks: probabilities as the network says them, nothing thresholded.

Its networks take images in 0-255 and queries (t, x, y) with pixel centres at integers, and scale the images themselves. Networks with
windows answer zeros where a clip is not longer than half a window, so short clips are prolonged by their last frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from trackersplat.tracking.registry import TRACKERS
from trackersplat.tracking.trackers.learned_tracker import Followed, QueryModel, at_least
from trackersplat.tracking.trackers.working_size import Pixels, WorkingSize
from trackersplat.tracking.weights import put_into, read_state


class _CoTracker(QueryModel):
    """What all of them share: working size, support grid, prolonging."""

    pixels = Pixels.CORNER_CENTRES
    grid = "cotracker.models.core.model_utils:get_points_on_a_grid"

    def window_length(self) -> int:
        """Frames that the network needs."""
        return int(self.model.window_len)

    def follow(self, frames: Tensor, queries: Tensor) -> Followed:
        """See `QueryModel.follow`. The network has no more than the support grid beside the queries to tell what moves together."""
        count, (height, width) = len(frames), frames.shape[1:3]
        work = WorkingSize((width, height), tuple(self.settings.size), self.pixels)
        video = at_least(work.images(frames), self.window_length())[None]
        points = torch.cat((work.to_model(queries), self._support(queries.device)))
        answer = self.network(video, torch.cat((torch.zeros_like(points[:, :1]), points), dim=1)[None])
        positions, visibility, confidence = (values[0, :count, : len(queries)] for values in answer)
        return Followed(work.from_model(positions), visibility, confidence)

    def network(self, video: Tensor, queries: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Positions (1, T, N, 2), visibility and confidence (1, T, N) for video (1, T, 3, h, w) and queries (1, N, 3) of (t, x, y)."""
        positions, visibility, confidence, *_ = self.model(video=video, queries=queries, iters=self.settings.iterations)
        return positions, visibility, confidence

    def _support(self, device: torch.device) -> Tensor:
        side = self.settings.support_grid
        if not side:
            return torch.zeros(0, 2, device=device)
        points: Tensor = self.upstream.attribute(self.grid)(side, tuple(self.settings.size[::-1]), device=device)
        return points[0]


class CoTracker3Offline(_CoTracker):
    """CoTracker3, all frames at once."""

    facts = TRACKERS.facts("cotracker3")

    def build(self, paths: Sequence[Path]) -> torch.nn.Module:
        """See `QueryModel.build`."""
        build = self.upstream.attribute("cotracker.models.build_cotracker:build_cotracker")
        model: torch.nn.Module = build(checkpoint=None, offline=True, window_len=self.settings.window or 60, v2=False)
        put_into(model, read_state(paths[0], "model"), paths[0])
        return model

    def window_length(self) -> int:
        """It takes any length."""
        return 1


class CoTracker3Online(_CoTracker):
    """CoTracker3, window after window."""

    facts = TRACKERS.facts("cotracker3-online")

    def build(self, paths: Sequence[Path]) -> torch.nn.Module:
        """See `QueryModel.build`."""
        build = self.upstream.attribute("cotracker.models.build_cotracker:build_cotracker")
        model: torch.nn.Module = build(checkpoint=None, offline=False, window_len=self.settings.window or 16, v2=False)
        put_into(model, read_state(paths[0], "model"), paths[0])
        return model

    def network(self, video: Tensor, queries: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See `_CoTracker.network`. The network keeps what it has seen, and every call adds half a window to its answer."""
        step = self.model.window_len // 2
        self.model.init_video_online_processing()
        for start in range(0, video.shape[1] - step, step):
            positions, visibility, confidence, *_ = self.model(
                video=video[:, start : start + 2 * step], queries=queries, iters=self.settings.iterations, is_online=True
            )
        return positions, visibility, confidence


class CoTracker2(_CoTracker):
    """CoTracker2. It says no confidence."""

    facts = TRACKERS.facts("cotracker2")

    def build(self, paths: Sequence[Path]) -> torch.nn.Module:
        """See `QueryModel.build`."""
        build = self.upstream.attribute("cotracker.models.build_cotracker:build_cotracker")
        model: torch.nn.Module = build(checkpoint=None, window_len=self.settings.window, v2=True)
        put_into(model, read_state(paths[0], "model"), paths[0])
        return model

    def network(self, video: Tensor, queries: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See `_CoTracker.network`."""
        positions, visibility, *_ = self.model(video=video, queries=queries, iters=self.settings.iterations)
        return positions, visibility, torch.ones_like(visibility)


class CoTracker1(_CoTracker):
    """The first CoTracker. It says no confidence."""

    facts = TRACKERS.facts("cotracker")
    pixels = Pixels.INTEGER_CENTRES
    grid = "cotracker.models.core.cotracker.cotracker:get_points_on_a_grid"

    def build(self, paths: Sequence[Path]) -> torch.nn.Module:
        """See `QueryModel.build`."""
        model: torch.nn.Module = self.upstream.attribute("cotracker.models.build_cotracker:build_cotracker_stride_4_wind_8")()
        put_into(model, read_state(paths[0], "model"), paths[0])
        return model

    def window_length(self) -> int:
        """Frames of its window."""
        return int(self.model.S)

    def network(self, video: Tensor, queries: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See `_CoTracker.network`."""
        positions, _, visibility, *_ = self.model(rgbs=video, queries=queries, iters=self.settings.iterations)
        return positions, visibility, torch.ones_like(visibility)
