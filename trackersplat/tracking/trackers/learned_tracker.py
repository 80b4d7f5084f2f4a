"""What all learned trackers share: loading, views one by one, the form of an answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from trackersplat.errors import InputError, ShapeError
from trackersplat.tracking.tracker import Clip, PointMotion, TrackerFacts
from trackersplat.tracking.trackers.working_size import WorkingSize
from trackersplat.tracking.tracks import Provenance
from trackersplat.tracking.upstream import Upstream
from trackersplat.tracking.weights import sha256


@dataclass(frozen=True, eq=False)
class Followed:
    """Points through T frames of one view, the frame of the queries first. Pixels of ours; probabilities of the model."""

    positions: Tensor  # (T, P, 2)
    visibility: Tensor  # (T, P) in [0, 1]
    confidence: Tensor  # (T, P) in [0, 1]; 1 where a model says none


class LearnedTracker(ABC):
    """A `Tracker` around networks that a subclass builds."""

    facts: ClassVar[TrackerFacts]

    def __init__(self, device: torch.device, settings: Any) -> None:
        """Loads the network. Raises InputError if its code or weights are missing or are others."""
        self.device = device
        self.settings = settings
        assert self.facts.upstream is not None, "a learned tracker names its code"
        self.upstream: Upstream = self.facts.upstream
        paths = weight_files(self.facts, settings)
        with self.upstream.imported():
            try:
                self.model: Any = self.build(paths).eval()
                self.model.to(device)  # in place; that of SpatialTrackerV2 returns nothing
            except InputError:
                raise
            except Exception as error:  # the border to code of others, which may raise anything
                reason = f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
                raise InputError(f"The tracker {self.facts.name} cannot be built ({reason}): check its code and its weights.") from error
        self.provenance = provenance(self.facts, paths, getattr(settings, "size", None))

    @abstractmethod
    def build(self, paths: Sequence[Path]) -> torch.nn.Module:
        """The network with the weights of these files, one per entry of ``facts.weights``."""


class QueryModel(LearnedTracker):
    """A `QueryTracker` around a network: a subclass follows the points of one view."""

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


class DenseModel(LearnedTracker):
    """A `DenseTracker` around a network: a subclass tells where the pixels of its working image go, and at which size it works."""

    @abstractmethod
    def working_size(self, size: tuple[int, int]) -> WorkingSize:
        """For images of this size (width, height)."""

    @abstractmethod
    def flow(self, video: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Displacements (F, h, w, 2) in pixels of the working image, visibility and confidence (F, h, w), from the first of the images to
        each other one; ``video`` is (T, 3, h, w) float32 in 0-255."""

    def track_dense(self, clip: Clip) -> PointMotion:
        """See `tracker.DenseTracker`."""
        height, width = clip.images.shape[2:4]
        work = self.working_size((width, height))
        views = []
        with torch.no_grad(), self.upstream.imported():
            for frames in clip.images:
                flow, visibility, confidence = self.flow(work.images(frames))
                views.append(torch.cat((flow, visibility[..., None], confidence[..., None]), dim=-1).to(self.device, torch.float32))
        pixels = _pixel_centres(width, height, self.device)
        at = work.to_model(pixels)
        there = [sample_at(field, at, work.target) for field in views]  # (F, H, W, 4) each
        return PointMotion(
            positions=torch.stack([work.from_model(at + values[..., :2]) for values in there]),
            visibility=torch.stack([values[..., 2] for values in there]).clamp(0, 1),
            confidence=torch.stack([values[..., 3] for values in there]).clamp(0, 1),
        )


def sample_at(values: Tensor, at: Tensor, size: tuple[int, int]) -> Tensor:
    """(F, H, W, C) bilinear values (F, h, w, C) at array indices ``at`` (H, W, 2) of an image of that size, continued beyond its border."""
    scale = at.new_tensor([2 / max(length - 1, 1) for length in size])
    grid = (at * scale - 1)[None].expand(len(values), -1, -1, -1)
    return grid_sample(values.permute(0, 3, 1, 2), grid, padding_mode="border", align_corners=True).permute(0, 2, 3, 1)


def _pixel_centres(width: int, height: int, device: torch.device) -> Tensor:
    columns, rows = (torch.arange(size, device=device) + 0.5 for size in (width, height))
    return torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1)


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
