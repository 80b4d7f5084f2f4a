"""The contract of everything that makes 2D point tracks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from trackersplat.registry import Facts
from trackersplat.tracking.tracks import Provenance


@dataclass(frozen=True)
class TrackerFacts(Facts):
    """Facts about a tracker, and how it wants to be asked. ``load`` names a class or function ``(device, settings) -> Tracker``."""

    settings: str = ""  # "package.module:Class" of its settings, a frozen dataclass; "" if it has none
    devices: tuple[str, ...] = ("cpu",)  # torch device types it runs on, best first
    dense: bool = True  # answers `DenseTracker.track_dense`; otherwise `QueryTracker.track_queries`
    batch: Literal["views", "view"] = "view"  # whether several views go into one call; one view per thread otherwise
    hidden_weight: float = 0.1  # how much its position of a hidden point counts, next to that of a seen one
    stride: int | None = None  # frames it is best asked for from one base, in the order of time; None: as many as there are
    weights: str = ""  # what it needs to download, for people; "" if nothing


@dataclass(frozen=True, eq=False)
class Clip:
    """Frames of V views of one size, on the tracker's device: the base first, then the targets in the order of time."""

    images: Tensor  # (V, 1 + F, H, W, 3) uint8 RGB
    frames: tuple[int, ...]  # 1 + F frame indices


@dataclass(frozen=True, eq=False)
class PointMotion:
    """Where points of the base frame are in the F target frames. Pixels, centres at +0.5."""

    positions: Tensor  # (V, F, ..., 2) float32
    visibility: Tensor  # (V, F, ...) float32 in [0, 1]
    confidence: Tensor  # (V, F, ...) float32 in [0, 1]


class Tracker(Protocol):
    """What all trackers share. Thread-safe where ``facts.batch`` is "view"."""

    facts: TrackerFacts
    device: torch.device
    provenance: Provenance


class DenseTracker(Tracker, Protocol):
    """Tracks every pixel of the base frame."""

    def track_dense(self, clip: Clip) -> PointMotion:
        """Positions (V, F, H, W, 2). Raises ShapeError if the clip has no target or is too small."""
        ...


class QueryTracker(Tracker, Protocol):
    """Tracks chosen points of the base frame."""

    def track_queries(self, clip: Clip, queries: Sequence[Tensor]) -> Sequence[PointMotion]:
        """``queries``: per view (P, 2) float32 pixels in the base frame. One `PointMotion` per view, with V = 1: (1, F, P, 2)."""
        ...


class Matcher(Protocol):
    """Matches two pictures densely: used where a rendering is compared with a photograph, and between far-apart frames."""

    device: torch.device

    def match(
        self,
        source: Tensor,  # (H, W, 3) uint8 RGB
        target: Tensor,  # (H, W, 3) uint8 RGB
        *,
        search: tuple[Tensor, Tensor] | None = None,  # (H, W) bool of the source and of the target: where to search beyond plain flow
        reach: float = 0.0,  # how far the search goes, as a share of the longest side; 0: plain flow alone
    ) -> PointMotion:
        """Where every pixel of the source is in the target, as one view and one target: positions (1, 1, H, W, 2). Thread-safe."""
        ...
