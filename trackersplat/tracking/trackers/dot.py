"""DOT, dense optical tracking (Le Moing et al. 2024): some points are tracked, what lies between is flow that starts from them.

Its parts take images in [0, 1], have pixel centres at integers, and positions as shares of (width - 1, height - 1). Its copy of CoTracker3
has the published weights and takes 0-255, although DOT gives it [0, 1]; here it gets what it was trained on.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from trackersplat.errors import InputError
from trackersplat.tracking.registry import TRACKERS
from trackersplat.tracking.trackers.learned_tracker import DenseModel, at_least
from trackersplat.tracking.trackers.working_size import Pixels, WorkingSize
from trackersplat.tracking.weights import put_into, read_state

_PREFIXES = ("", "model.", "model.model.")  # before the names of weights, by who saved them


class _Parts(nn.Module):
    """The three networks."""

    def __init__(self, points: nn.Module, estimator: nn.Module, refiner: nn.Module) -> None:
        super().__init__()
        self.points, self.estimator, self.refiner = points, estimator, refiner


class _In255(nn.Module):
    """A point tracker that is given images in [0, 1] and takes 0-255."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, video: Tensor, queries: Tensor, backward_tracking: bool, cache_features: bool = False) -> Any:
        return self.inner(video * 255.0, queries=queries, backward_tracking=backward_tracking)


class _DOT(DenseModel):
    """What all front ends share."""

    config = ""  # of the front end, below ``configs``
    shortest = 2  # frames that the front end needs

    def front_end(self, path: Path) -> nn.Module:
        """The point tracker, called as DOT calls it."""
        arguments = self.upstream.attribute("dot.utils.io:read_config")(self._config(self.config))
        model: nn.Module = self.upstream.attribute(f"dot.models.shelf:{self.front_class}")(arguments)
        _put_by_any_name(model, path)
        return model

    front_class = ""

    def build(self, paths: Sequence[Path]) -> nn.Module:
        """See `LearnedTracker.build`: the front end, the estimator of motion boundaries, the refiner."""
        width, height = self.settings.size
        flow = self.upstream.attribute("dot.models.optical_flow:OpticalFlow")
        estimator = flow(height, width, self._config("raft_patch_8.json"), None)
        refiner = flow(height, width, self._config("raft_patch_4_alpha.json"), None)
        put_into(estimator.model, read_state(paths[1]), paths[1])
        put_into(refiner.model, read_state(paths[2]), paths[2])
        return _Parts(self.front_end(paths[0]), estimator, refiner)

    def working_size(self, size: tuple[int, int]) -> WorkingSize:
        """See `DenseModel.working_size`."""
        return WorkingSize(size, tuple(self.settings.size), Pixels.INTEGER_CENTRES)

    def flow(self, video: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See `DenseModel.flow`. It says visibility, and no confidence."""
        torch.manual_seed(self.settings.seed)
        np.random.seed(self.settings.seed)  # noqa: NPY002 - which its code draws from
        images = video / 255.0
        points = self._tracked_points(at_least(images, self.shortest)[None])[:, : len(images)]
        interpolate = self.upstream.attribute("dot.models.interpolation:interpolate")
        base = self.model.refiner.model.encode(images[:1])
        flows, alphas = [], []
        for target in range(1, len(images)):
            coarse, alpha = interpolate(points[:, 0], points[:, target], self.model.refiner.coarse_grid, version="torch")
            there = self.model.refiner.model.encode(images[target : target + 1])
            flow, alpha = self.model.refiner.model(src_feats=base, tgt_feats=there, coarse_flow=coarse, coarse_alpha=alpha)
            flows.append(flow[0])
            alphas.append(alpha[0])
        visibility = torch.stack(alphas)
        return torch.stack(flows), visibility, torch.ones_like(visibility)

    def _tracked_points(self, video: Tensor) -> Tensor:
        """(1, T, N, 3): x and y as shares of the image, and whether seen, of the points that DOT tracks in all frames."""
        height, width = video.shape[-2:]
        track = self.upstream.attribute("dot.models.point_tracking:PointTracker").get_tracks_at_motion_boundaries
        parts = SimpleNamespace(model=self.model.points, optical_flow_estimator=self.model.estimator)
        found = track(parts, {"video": video}, num_tracks=self.settings.tracks, sim_tracks=self.settings.tracks_at_once)["tracks"]
        scaled: Tensor = found / found.new_tensor((width - 1, height - 1, 1))
        return scaled

    def _config(self, name: str) -> str:
        root = self.upstream.root()
        assert root is not None, "DOT is used from a clone only"
        return str(root / "configs" / name)


class DOTCoTracker2(_DOT):
    """DOT on CoTracker2."""

    facts = TRACKERS.facts("dot-cotracker2")
    config, front_class, shortest = "cotracker2_patch_4_wind_8.json", "CoTracker2", 8


class DOTCoTracker3(_DOT):
    """DOT on CoTracker3, with the published weights of CoTracker3."""

    facts = TRACKERS.facts("dot-cotracker3")

    def front_end(self, path: Path) -> nn.Module:
        """See `_DOT.front_end`."""
        predictor = self.upstream.attribute("dot.models.shelf.cotracker3_utils.predictor:CoTrackerPredictor")
        model = predictor(checkpoint=None, offline=True, v2=False, window_len=60)
        put_into(model.model, read_state(path, "model"), path)
        return _In255(model)


class DOTTAPIR(_DOT):
    """DOT on TAPIR."""

    facts = TRACKERS.facts("dot-tapir")
    config, front_class = "tapir.json", "Tapir"


class DOTBootsTAPIR(_DOT):
    """DOT on BootsTAPIR."""

    facts = TRACKERS.facts("dot-bootstapir")
    config, front_class = "bootstapir.json", "Tapir"


def _put_by_any_name(model: nn.Module, path: Path) -> None:
    """Gives a front end its weights, whose names have the prefix of whoever saved them.

    Raises InputError if they are those of another model.
    """
    state, wanted = read_state(path, "model"), model.state_dict()
    for there in _PREFIXES:
        for here in _PREFIXES:
            named = {here + name.removeprefix(there): value for name, value in state.items() if name.startswith(there)}
            if all(name in named for name, _ in model.named_parameters()):
                put_into(model, {**wanted, **{name: value for name, value in named.items() if name in wanted}}, path)
                return
    raise InputError(f"{path} holds weights of another model: use the file that `trackersplat trackers` names.")
