"""The contract of everything that makes 2D point tracks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from trackersplat.errors import InputError, ShapeError
from trackersplat.registry import Facts
from trackersplat.tracking.upstream import Upstream
from trackersplat.tracking.weights import Weights

if TYPE_CHECKING:  # facts are listed without PyTorch
    import torch
    from torch import Tensor

    from trackersplat.tracking.tracks import Provenance


@dataclass(frozen=True)
class TrackerFacts(Facts):
    """Facts about a tracker, and how it wants to be asked.

    ``load`` names a class or function ``(device, settings) -> Tracker``; with ``stored`` it is
    ``(capture, device, settings) -> StoredSource``.
    """

    settings: str = ""  # "package.module:Class" of its settings, a frozen dataclass; "" if it has none
    devices: tuple[str, ...] = ("cpu",)  # torch device types it runs on, best first
    dense: bool = True  # answers `DenseTracker.track_dense`; otherwise `QueryTracker.track_queries`
    # Whether several views go into one call; otherwise one view per thread, or one after another if it runs code of others.
    batch: Literal["views", "view"] = "view"
    hidden_weight: float = 0.1  # how much its position of a hidden point counts, next to that of a seen one
    stride: int | None = None  # frames it is best asked for from one base, in the order of time; None: as many as there are
    upstream: Upstream | None = None  # code of others that it runs
    weights: tuple[Weights, ...] = ()  # files that the user fetches for it
    server: str = ""  # environment variable with the address of the server that it asks; "" if it asks none
    non_commercial: bool = False  # a licence of its code or weights forbids commercial use; said whenever it is used
    three_d: bool = False  # a `Tracker3D`, which follows points of the scene in all views; 2D points of each view otherwise
    time: Literal["both", "forward"] = "forward"  # whether a position depends on frames after it, too, or on earlier ones alone
    window: int | None = None  # frames that it is asked for in one call, at most; None: as many as there are
    query_bytes: int = 0  # memory that one query in one frame takes, about; 0: so little that all queries go into one call
    stored: bool = False  # its tracks are in files; nothing is tracked
    frames_between: bool = True  # it follows points through the frames between the base and a target, so it should be given them
    render_and_match: bool = True  # matching renderings with the images can improve its tracks


@dataclass(frozen=True)
class MatcherFacts(Facts):
    """Facts about a matcher of two images. ``load`` names a class or function ``(device, settings) -> Matcher``."""

    settings: str = ""  # "package.module:Class" of its settings, a frozen dataclass; "" if it has none
    devices: tuple[str, ...] = ("cpu",)  # torch device types it runs on, best first
    batch: Literal["views", "view"] = "view"  # whether it is a `BatchMatcher`; one pair of images per thread otherwise
    hidden_weight: float = 0.1  # how much its position of a hidden point counts, next to that of a seen one


@dataclass(frozen=True, eq=False)
class Clip:
    """Frames of V views of one size, on the tracker's device: the base first, then the targets in the order of time."""

    images: Tensor  # (V, 1 + F, H, W, 3) uint8 RGB
    frames: tuple[int, ...]  # 1 + F frame indices

    def __post_init__(self) -> None:
        import torch

        shape = tuple(self.images.shape)
        if len(shape) != 5 or shape[0] < 1 or shape[1] != len(self.frames) or shape[1] < 2 or shape[4] != 3:
            raise ShapeError(f"A clip needs a base, at least one target and images (V, {len(self.frames)}, H, W, 3), got {shape}.")
        if self.images.dtype != torch.uint8:
            raise ShapeError(f"The images of a clip must be uint8, got {self.images.dtype}.")


@dataclass(frozen=True, eq=False)
class PointMotion:
    """Where points of the base frame are in the F target frames. Pixels, centres at +0.5; nan where a point has no position."""

    positions: Tensor  # (V, F, ..., 2) float32
    visibility: Tensor  # (V, F, ...) float32 in [0, 1]
    confidence: Tensor  # (V, F, ...) float32 in [0, 1]

    def __post_init__(self) -> None:
        import torch

        shape = tuple(self.positions.shape)
        if len(shape) < 4 or shape[-1] != 2:
            raise ShapeError(f"The positions of points must be (V, F, ..., 2), got {shape}.")
        for name in ("visibility", "confidence"):
            if tuple(getattr(self, name).shape) != shape[:-1]:
                raise ShapeError(f"The {name} of points must be {shape[:-1]}, got {tuple(getattr(self, name).shape)}.")
        for name in ("positions", "visibility", "confidence"):
            if getattr(self, name).dtype != torch.float32:
                raise ShapeError(f"The {name} of points must be float32, got {getattr(self, name).dtype}.")

    def to(self, device: torch.device) -> PointMotion:
        """The same on another device."""
        return PointMotion(self.positions.to(device), self.visibility.to(device), self.confidence.to(device))


class TrackerFailed(InputError):
    """The code of others failed on a clip: it raised an error, ran out of memory, or answered what is no number. One sentence."""


class Tracker(Protocol):
    """What all trackers share. Thread-safe where ``facts.batch`` is "view" and it runs no code of others."""

    facts: TrackerFacts
    device: torch.device
    provenance: Provenance  # without a size, the images are tracked at their own


class DenseTracker(Tracker, Protocol):
    """Tracks every pixel of the base frame."""

    def track_dense(self, clip: Clip) -> PointMotion:
        """Positions (V, F, H, W, 2). Raises ShapeError if the images are too small."""
        ...


class QueryTracker(Tracker, Protocol):
    """Tracks chosen points of the base frame."""

    def track_queries(self, clip: Clip, queries: Sequence[Tensor]) -> Sequence[PointMotion]:
        """``queries``: per view (P, 2) float32 pixels in the base frame. One `PointMotion` per view, with V = 1: (1, F, P, 2)."""
        ...


class Matcher(Protocol):
    """Matches two pictures densely: used where a rendering is compared with a photograph, and between far-apart frames."""

    facts: MatcherFacts
    device: torch.device
    provenance: Provenance

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


class BatchMatcher(Matcher, Protocol):
    """Matches many pairs of pictures of one size at once."""

    def match_together(
        self,
        sources: Tensor,  # (B, H, W, 3) uint8 RGB
        targets: Tensor,  # (B, H, W, 3) uint8 RGB
        *,
        search: tuple[Tensor, Tensor] | None = None,  # (B, H, W) bool each, as in `match`
        reach: float = 0.0,
    ) -> PointMotion:
        """As `match` for each pair, independent of the others: positions (B, 1, H, W, 2)."""
        ...
