"""Trackers of others asked in parts: long clips in windows, many queries in chunks; what goes wrong in them becomes one sentence."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar, cast

import torch
from torch import Tensor

from trackersplat.errors import InputError, ShapeError
from trackersplat.tracking.settings import GridSettings
from trackersplat.tracking.tracker import Clip, DenseTracker, PointMotion, QueryTracker, Tracker, TrackerFailed
from trackersplat.tracking.tracker3d import Clip3D, PointMotion3D, Tracker3D

T = TypeVar("T")

_LESS_MEMORY = "make its working size smaller, or track fewer frames"
# How PyTorch, on Linux and Windows, and the libraries of a GPU say that there is too little of it, in errors that have no type for it.
_NO_MEMORY = ("out of memory", "not enough memory", "can't allocate memory", "alloc_failed")
_NO_NUMBERS = "it answered values that are no numbers"
_OTHER_WEIGHTS = "choose another tracker or other weights"
_OTHER_COMMIT = "check that its code is the version that `trackersplat trackers` names"
_ROUNDING = 1e-3  # by which a probability may miss 0 to 1


@dataclass(frozen=True, eq=False)
class Answer:
    """What a tracker says about one view."""

    motion: PointMotion  # V = 1
    remarks: tuple[str, ...] = ()  # sentences about how it was asked


class _OutOfMemory(Exception):
    """A call needed more memory than there is."""


def follow_queries(tracker: QueryTracker, clip: Clip, queries: Tensor, settings: GridSettings) -> Answer:
    """The motion (1, F, P, 2) of the queries (P, 2) of one view, asked for in windows and chunks.

    A clip longer than the tracker's window is asked for in windows that overlap; in each, points start where the last one saw them in its
    first frame. A point that is hidden there has no position afterwards, and confidence 0. A chunk that runs out of memory is halved.

    Raises TrackerFailed if the tracker fails, or answers what its contract does not allow.
    """
    ask = _Chunks(tracker, settings)
    frames = len(clip.frames)
    window = min(frames, tracker.facts.window or frames)
    step = max(1, window - settings.window_overlap)
    motion = ask(_between(clip, 0, window), queries)
    start = 0
    while start + window < frames:
        start += step
        stop = min(frames, start + window)
        motion = _stitched(motion, start, stop, clip, ask)
    return Answer(motion, tuple(ask.remarks))


def follow_pixels(tracker: DenseTracker, clip: Clip) -> Answer:
    """The motion (1, F, H, W, 2) of all pixels of one view. Raises TrackerFailed as `follow_queries` does."""
    try:
        motion = _guarded(tracker, clip.frames, lambda: tracker.track_dense(clip))
        return Answer(_checked(tracker, motion, clip, tuple(clip.images.shape[2:4])))
    except _OutOfMemory as error:
        raise TrackerFailed(_sentence(tracker, clip.frames, "out of memory", _LESS_MEMORY)) from error


def follow_points(tracker: Tracker3D, clip: Clip3D, queries: Tensor) -> tuple[PointMotion3D, tuple[str, ...]]:
    """Where the points of the scene (P, 4: index into the frames of the clip, x, y, z) are, and remarks about how the tracker was asked.

    A chunk that runs out of memory is halved. Raises TrackerFailed as `follow_queries` does.
    """

    def in_chunks(size: int) -> list[PointMotion3D]:
        chunks = math.ceil(len(queries) / size)
        return [_points(tracker, clip, queries[chunk::chunks].contiguous()) for chunk in range(chunks)]

    size = max(1, len(queries))
    found, fitted = _halved(tracker, clip.frames, size, in_chunks)
    whole = PointMotion3D(
        positions=queries.new_empty(len(clip.frames), len(queries), 3),
        visibility=queries.new_empty(len(clip.frames), len(queries)),
        confidence=queries.new_empty(len(clip.frames), len(queries)),
    )
    for chunk, motion in enumerate(found):
        for name in ("positions", "visibility", "confidence"):
            getattr(whole, name)[:, chunk :: len(found)] = getattr(motion, name).to(queries.device)
    return whole, (_fewer(tracker, fitted),) if fitted < size else ()


def _points(tracker: Tracker3D, clip: Clip3D, queries: Tensor) -> PointMotion3D:
    motion = _guarded(tracker, clip.frames, lambda: tracker.track_points(clip, queries))
    expected = (len(clip.frames), len(queries))
    _check_shape(tracker, clip.frames, "positions", motion.positions, (*expected, 3))
    _check_shape(tracker, clip.frames, "visibility", motion.visibility, expected)
    _check_shape(tracker, clip.frames, "confidence", motion.confidence, expected)
    after = torch.arange(len(clip.frames), device=queries.device)[:, None] >= queries[:, 0].round()
    known = torch.isfinite(motion.positions).all(-1).to(queries.device)
    shares = torch.isfinite(motion.visibility).all() & torch.isfinite(motion.confidence).all()
    if not bool((known | ~after).all()) or not bool(shares):
        raise TrackerFailed(_sentence(tracker, clip.frames, _NO_NUMBERS, _OTHER_WEIGHTS))
    return replace(
        motion,
        visibility=_probability(tracker, clip.frames, "visibility", motion.visibility),
        confidence=_probability(tracker, clip.frames, "confidence", motion.confidence),
    )


def _stitched(motion: PointMotion, start: int, stop: int, clip: Clip, ask: _Chunks) -> PointMotion:
    """The motion with that of the window from index ``start`` of the clip to ``stop``; it replaces what is known after the start."""
    known = motion.positions.shape[1]
    at, seen = motion.positions[0, start - 1], motion.visibility[0, start - 1] >= 0.5
    goes_on = seen & torch.isfinite(at).all(-1)
    length = stop - 1  # targets so far
    positions = at.new_full((length, len(at), 2), torch.nan)
    visibility, confidence = (torch.zeros(length, len(at), device=at.device) for _ in range(2))
    for whole, part in ((positions, motion.positions), (visibility, motion.visibility), (confidence, motion.confidence)):
        whole[:known] = part[0]
    if goes_on.any():
        found = ask(_between(clip, start, stop), at[goes_on])
        positions[start:, goes_on], visibility[start:, goes_on] = found.positions[0], found.visibility[0]
        # A point is followed no better than where it started.
        confidence[start:, goes_on] = torch.minimum(found.confidence[0], motion.confidence[0, start - 1, goes_on])
    return PointMotion(positions[None], visibility[None], confidence[None])


def _between(clip: Clip, start: int, stop: int) -> Clip:
    return Clip(clip.images[:, start:stop], clip.frames[start:stop])


class _Chunks:
    """Asks for queries in as many chunks as the memory needs, and remembers what it learned about it."""

    def __init__(self, tracker: QueryTracker, settings: GridSettings) -> None:
        self.tracker = tracker
        self.budget = settings.memory_gib * 2**30
        self.most: int | None = None  # queries that fitted where more did not
        self.remarks: list[str] = []

    def __call__(self, clip: Clip, queries: Tensor) -> PointMotion:
        """The motion (1, F, P, 2) of the queries (P, 2)."""
        per_query = self.tracker.facts.query_bytes * len(clip.frames)
        size = len(queries) if not per_query else max(1, int(self.budget // per_query))
        size = min(size, self.most or size, len(queries))

        def in_chunks(size: int) -> PointMotion:
            return self._in_chunks(clip, queries, math.ceil(len(queries) / size))

        found, fitted = _halved(self.tracker, clip.frames, size, in_chunks)
        if fitted < size:
            self.most = fitted
            self.remarks = [_fewer(self.tracker, fitted)]
        return found

    def _in_chunks(self, clip: Clip, queries: Tensor, count: int) -> PointMotion:
        """Every chunk has points all over the image, because some trackers let points help each other."""
        found = []
        for chunk in range(count):
            part = [queries[chunk::count].contiguous()]
            (motion,) = _guarded(self.tracker, clip.frames, lambda part=part: self.tracker.track_queries(clip, part))  # type: ignore[misc]
            found.append(_checked(self.tracker, motion, clip, (len(part[0]),)))
        if count == 1:
            return found[0]
        shape = (1, len(clip.frames) - 1, len(queries))
        positions, visibility, confidence = (queries.new_empty(*shape, *last) for last in ((2,), (), ()))
        for chunk, motion in enumerate(found):
            positions[:, :, chunk::count], visibility[:, :, chunk::count] = motion.positions, motion.visibility
            confidence[:, :, chunk::count] = motion.confidence
        return PointMotion(positions, visibility, confidence)


def _halved(tracker: Tracker | Tracker3D, frames: tuple[int, ...], size: int, ask: Callable[[int], T]) -> tuple[T, int]:
    """What ``ask`` returns with ``size`` points at a time, or with half as many as often as memory runs out, and with how many it did."""
    while True:
        try:
            return ask(size), size
        except _OutOfMemory as error:
            if size <= 1:
                reason = "out of memory with a single point"
                raise TrackerFailed(_sentence(tracker, frames, reason, _LESS_MEMORY)) from error
            size //= 2


def _guarded(tracker: Tracker | Tracker3D, frames: tuple[int, ...], call: Callable[[], T]) -> T:
    """What the call returns. Raises _OutOfMemory or TrackerFailed for what the code of others raises."""
    try:
        return call()
    except InputError:
        raise
    except (MemoryError, torch.OutOfMemoryError) as error:
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()
        raise _OutOfMemory from error
    except SystemExit as error:  # code that was written as a program of its own
        why = "" if error.code is None else f": {_words(error.code)}"
        raise TrackerFailed(_sentence(tracker, frames, f"it ended the program{why}", "choose another tracker")) from error
    except ShapeError as error:
        if tracker.facts.upstream is None and not tracker.facts.server:
            raise  # ours: a defect
        raise TrackerFailed(_sentence(tracker, frames, _words(error).rstrip("."), _OTHER_COMMIT)) from error
    except Exception as error:  # the border to code of others, which may raise anything
        if isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _NO_MEMORY):
            raise _OutOfMemory from error
        reason = f"{type(error).__name__}: {_words(error)}"
        raise TrackerFailed(_sentence(tracker, frames, reason, "choose another tracker")) from error


def _words(said: object) -> str:
    return " ".join(str(said).split())[:160]


def _checked(tracker: Tracker, motion: PointMotion, clip: Clip, points: tuple[int, ...]) -> PointMotion:
    """The motion, if it is one of the ``points`` (their shape) in every target, and all of it are numbers."""
    _check_shape(tracker, clip.frames, "positions", motion.positions, (1, len(clip.frames) - 1, *points, 2))
    if not all(bool(torch.isfinite(values).all()) for values in (motion.positions, motion.visibility, motion.confidence)):
        raise TrackerFailed(_sentence(tracker, clip.frames, _NO_NUMBERS, _OTHER_WEIGHTS))
    return replace(
        motion,
        visibility=_probability(tracker, clip.frames, "visibility", motion.visibility),
        confidence=_probability(tracker, clip.frames, "confidence", motion.confidence),
    )


def _check_shape(tracker: Tracker | Tracker3D, frames: tuple[int, ...], name: str, values: Tensor, expected: tuple[int, ...]) -> None:
    if tuple(values.shape) != expected:
        raise TrackerFailed(_sentence(tracker, frames, f"it answered {name} {tuple(values.shape)}, expected {expected}", _OTHER_COMMIT))


def _probability(tracker: Tracker | Tracker3D, frames: tuple[int, ...], name: str, values: Tensor) -> Tensor:
    """The values within 0 to 1. Logits or percent are no probabilities: tracks would look certain that are not."""
    if values.numel() and not (float(values.min()) >= -_ROUNDING and float(values.max()) <= 1 + _ROUNDING):
        reason = f"it answered a {name} of {float(values.min()):.3g} to {float(values.max()):.3g}, expected 0 to 1"
        raise TrackerFailed(_sentence(tracker, frames, reason, _OTHER_COMMIT))
    return values.clamp(0, 1)


def _fewer(tracker: Tracker | Tracker3D, size: int) -> str:
    return f"The tracker {tracker.facts.name} ran out of memory, so it was asked for {size} points at a time, not more."


def _sentence(tracker: Tracker | Tracker3D, frames: tuple[int, ...], reason: str, advice: str) -> str:
    first, last = frames[0] + 1, frames[-1] + 1
    return f"The tracker {tracker.facts.name} failed between frames {first} and {last} ({reason}): {advice}."


def follow(tracker: Tracker, clip: Clip, queries: Tensor | None, settings: GridSettings) -> Answer:
    """The motion of the queries (P, 2) of one view, or of all its pixels where there are none.

    Raises TrackerFailed as `follow_queries` does.
    """
    if queries is None:
        return follow_pixels(cast(DenseTracker, tracker), clip)
    return follow_queries(cast(QueryTracker, tracker), clip, queries, settings)
