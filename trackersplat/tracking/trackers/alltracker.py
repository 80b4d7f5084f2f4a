"""AllTracker (Harley et al. 2025): where every pixel of the first frame goes, in overlapping windows.

Its network takes images in 0-255, has pixel centres at integers, and says visibility and confidence of every pixel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from trackersplat.tracking.registry import TRACKERS
from trackersplat.tracking.trackers.learned_tracker import DenseModel, at_least
from trackersplat.tracking.trackers.working_size import Pixels, WorkingSize
from trackersplat.tracking.weights import put_into, read_state


class AllTracker(DenseModel):
    """The full model."""

    facts = TRACKERS.facts("alltracker")

    def build(self, paths: Sequence[Path]) -> torch.nn.Module:
        """See `LearnedTracker.build`. Its own first weights, which it would download, are not wanted: they are replaced."""
        model: torch.nn.Module = self.upstream.attribute("nets.alltracker:Net")(self.settings.window, init_weights=False)
        put_into(model, read_state(paths[0], "model"), paths[0])
        return model

    def working_size(self, size: tuple[int, int]) -> WorkingSize:
        """See `DenseModel.working_size`: the image, scaled to between the shortest and the longest side."""
        scale = max(min(1.0, self.settings.longest_side / max(size)), self.settings.shortest_side / min(size))
        width, height = (math.ceil(length * scale / 8) * 8 for length in size)
        return WorkingSize(size, (width, height), Pixels.INTEGER_CENTRES)

    def flow(self, video: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See `DenseModel.flow`. Frames fill the windows, as the network fills them itself, but on a GPU only."""
        window = self.settings.window
        stride = window // 2
        count = window + max(0, math.ceil((len(video) - window) / stride)) * stride
        # What it does for training is the same, but that it leaves the images on their device; otherwise it needs CUDA.
        flows, both, *_ = self.model.forward_sliding(
            at_least(video, count)[None], iters=self.settings.iterations, is_training=self.device.type == "cpu"
        )
        flows, both = flows[0, 1 : len(video)], both[0, 1 : len(video)]
        return flows.permute(0, 2, 3, 1), both[:, 0], both[:, 1]


class AllTrackerTiny(AllTracker):
    """The small model."""

    facts = TRACKERS.facts("alltracker-tiny")

    def build(self, paths: Sequence[Path]) -> torch.nn.Module:
        """See `LearnedTracker.build`."""
        network = self.upstream.attribute("nets.alltracker:Net")
        model: torch.nn.Module = network(self.settings.window, use_basicencoder=True, no_split=True)
        put_into(model, read_state(paths[0], "model"), paths[0])
        return model
