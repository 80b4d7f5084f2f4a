"""The part that all learned trackers of chosen points share: loading, views one by one, and what an answer must be."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from trackersplat.errors import ShapeError
from trackersplat.tracking.tracker import Clip, PointMotion, TrackerFacts
from trackersplat.tracking.tracks import Provenance
from trackersplat.tracking.upstream import Upstream
from trackersplat.tracking.weights import sha256


@dataclass(frozen=True, eq=False)
class Followed:
    """Points through T frames of one view, the frame of the queries first. Pixels of ours; probabilities of the model."""

    positions: Tensor  # (T, P, 2)
    visibility: Tensor  # (T, P) in [0, 1]
    confidence: Tensor  # (T, P) in [0, 1]; 1 where a model says none


class QueryModel(ABC):
    """A `QueryTracker` around a network: a subclass builds it and follows the points of one view."""

    facts: ClassVar[TrackerFacts]

    def __init__(self, device: torch.device, settings: Any) -> None:
        """Loads the network. Raises InputError if its code or weights are missing or are others."""
        self.device = device
        self.settings = settings
        assert self.facts.upstream is not None, "a learned tracker names its code"
        self.upstream: Upstream = self.facts.upstream
        paths = weight_files(self.facts, settings)
        with self.upstream.imported():
            self.model = self.build(paths).eval().to(device)
        self.provenance = provenance(self.facts, paths, settings.size)

    @abstractmethod
    def build(self, paths: Sequence[Path]) -> torch.nn.Module:
        """The network with the weights of these files, one per entry of ``facts.weights``."""

    @abstractmethod
    def follow(self, frames: Tensor, queries: Tensor) -> Followed:
        """Points (P, 2) of the first of the frames (T, H, W, 3) uint8, through all of them."""

    def track_queries(self, clip: Clip, queries: Sequence[Tensor]) -> Sequence[PointMotion]:
        """See `tracker.QueryTracker`."""
        if len(queries) != clip.images.shape[0]:
            raise ShapeError(f"A clip of {clip.images.shape[0]} views needs queries for each, got {len(queries)}.")
        found = []
        with torch.no_grad(), self.upstream.imported():
            for frames, points in zip(clip.images, queries, strict=True):
                answer = self.follow(frames, points)
                found.append(
                    PointMotion(
                        positions=answer.positions[None, 1:].float(),
                        visibility=answer.visibility[None, 1:].float(),
                        confidence=answer.confidence[None, 1:].float(),
                    )
                )
        return found


def weight_files(facts: TrackerFacts, settings: Any) -> list[Path]:
    """The files of the weights of a tracker that can be used (`TrackerRegistry.why_unavailable`); settings may name the first."""
    named = [settings.weights, *[""] * len(facts.weights)]
    paths = [file.path(name) for file, name in zip(facts.weights, named, strict=False)]
    return [path for path in paths if path is not None]


def provenance(facts: TrackerFacts, paths: Sequence[Path], size: tuple[int, int] | None) -> Provenance:
    """Where the tracks of a learned tracker come from, at its working size (width, height)."""
    assert facts.upstream is not None, "a learned tracker names its code"
    licences = [f"code {facts.licence}", *(f"weights {file.licence}" for file in facts.weights)]
    return Provenance(
        tracker=facts.name,
        version=facts.upstream.version(),
        weights=" ".join(map(sha256, paths)),
        licence=", ".join(dict.fromkeys(licences)),
        size=None if size is None else (size[0], size[1]),
    )


def at_least(frames: Tensor, count: int) -> Tensor:
    """The frames (T, ...), the last repeated where there are fewer than ``count``."""
    if len(frames) >= count:
        return frames
    return torch.cat((frames, frames[-1:].expand(count - len(frames), *frames.shape[1:])))
