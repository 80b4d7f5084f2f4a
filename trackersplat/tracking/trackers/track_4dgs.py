"""The trackers of the package track-4dgs, by the names of its registry: those that follow points in one view.

Its pixel centres are at integers, as where it projects points; its images are (3, H, W) in [0, 1], but its CoTracker3, which hands them to
a network that takes 0-255.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trackersplat.errors import InputError
from trackersplat.tracking.registry import TRACKERS
from trackersplat.tracking.trackers.learned_tracker import Followed, QueryModel
from trackersplat.tracking.weights import read_state

PREFIX = "track-4dgs-"  # before the names of its registry
INSIDE = ("state_dict", "model", "module", "network", "net")  # names of dictionaries in its files that hold the tensors


class _Holder(nn.Module):
    """A tracker of the package, which is no module itself."""

    def __init__(self, tracker: Any) -> None:
        super().__init__()
        self.tracker = tracker

    def to(self, device: torch.device) -> _Holder:  # type: ignore[override]
        self.tracker = self.tracker.to(device)
        return self


class Track4DGS(QueryModel):
    """One tracker of the package."""

    def __init__(self, name: str, device: torch.device, settings: Any) -> None:
        """``name`` is that of our registry."""
        self.facts = TRACKERS.facts(name)  # type: ignore[misc]
        self.theirs = name.removeprefix(PREFIX)
        super().__init__(device, settings)

    def build(self, paths: Sequence[Path]) -> nn.Module:
        """See `LearnedTracker.build`. The package reads its weights itself, and some of its trackers take any names.

        Raises InputError if a file holds no weights or those of another model, or the settings name one where the package reads only
        Hugging Face's cache.
        """
        make = self.upstream.attribute("track_4dgs:build_point_tracker")
        if self.facts.weights[0].hub:
            if self.settings.weights:
                raise InputError(
                    f"The tracker {self.facts.name} reads {self.facts.weights[0].hub} from Hugging Face's cache: name no weights."
                )
            return _Holder(make(self.theirs))
        names = set(read_state(paths[0], *INSIDE))
        made = make(self.theirs, checkpoint=str(paths[0]))
        wanted = made.model.state_dict()
        if names.isdisjoint(wanted) and names.isdisjoint(name.partition(".")[2] for name in wanted):
            raise InputError(f"{paths[0]} holds weights of another model: use the file that `trackersplat trackers` names.")
        return _Holder(made)

    def follow(self, frames: Tensor, queries: Tensor) -> Followed:
        """See `QueryModel.follow`."""
        scale = 1.0 if self.theirs == "cotracker3" else 255.0
        images = list(frames.permute(0, 3, 1, 2).float() / scale)
        times = torch.zeros(len(queries), dtype=torch.int64, device=queries.device)
        track = self.model.tracker.track_view(queries - 0.5, times, images, [None] * len(images))
        return Followed(
            positions=track.points + 0.5,
            visibility=track.visibility.float() * track.mask,
            confidence=track.confidence.float() * track.mask,
        )


cotracker3 = partial(Track4DGS, f"{PREFIX}cotracker3")
vggt = partial(Track4DGS, f"{PREFIX}vggt")
vggsfm = partial(Track4DGS, f"{PREFIX}vggsfm")
d4rt = partial(Track4DGS, f"{PREFIX}d4rt")
matcha = partial(Track4DGS, f"{PREFIX}matcha")
mvroma = partial(Track4DGS, f"{PREFIX}mvroma")
uniflowmatch = partial(Track4DGS, f"{PREFIX}uniflowmatch")
