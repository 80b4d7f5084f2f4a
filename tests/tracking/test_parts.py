"""Trackers of others asked in windows and chunks, and what happens when they fail."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from trackersplat.captures.capture import Capture
from trackersplat.errors import ShapeError
from trackersplat.tracking.parts import follow, follow_queries
from trackersplat.tracking.settings import GridSettings
from trackersplat.tracking.track_cache import TrackCache
from trackersplat.tracking.tracker import Clip, PointMotion, TrackerFacts, TrackerFailed
from trackersplat.tracking.tracks import Provenance
from trackersplat.tracking.upstream import Upstream
from trackersplat.tracking.views import track_views

QUERIES = torch.tensor([[10.0, 20.0], [30.5, 7.0], [2.0, 40.0], [55.0, 33.0], [21.0, 11.0]])
Spoil = Callable[..., tuple[Tensor, ...]]
UPSTREAM = Upstream("nobody", "https://example.org/nobody", "0" * 40, "MIT")


class Shifting:
    """Every point moves by (1, -2) px per frame index. Hidden where x is above 60; says who asked for what."""

    provenance = Provenance("shifting", weights="ab")
    device = torch.device("cpu")

    def __init__(self, *, window: int | None = None, query_bytes: int = 0, memory: int = 10**9, error: Exception | None = None) -> None:
        self.facts = TrackerFacts("shifting", "", "", dense=False, window=window, query_bytes=query_bytes, upstream=UPSTREAM)
        self.memory, self.error = memory, error
        self.calls: list[tuple[tuple[int, ...], int]] = []
        self.tried: list[int] = []  # queries of all calls, those that failed included

    def track_queries(self, clip: Clip, queries: Sequence[Tensor]) -> list[PointMotion]:
        (points,) = queries
        self.tried.append(len(points))
        if len(points) * len(clip.frames) > self.memory:
            raise RuntimeError("CUDA out of memory. Tried to allocate 3 GiB")
        if self.error is not None:
            raise self.error
        self.calls.append((clip.frames, len(points)))
        steps = torch.tensor([frame - clip.frames[0] for frame in clip.frames[1:]], dtype=torch.float32)
        positions = points + steps[:, None, None] * torch.tensor((1.0, -2.0))
        visibility = (positions[..., 0] < 60).float()
        return [PointMotion(positions[None], visibility[None], torch.full_like(visibility, 0.75)[None])]


def clip(count: int) -> Clip:
    return Clip(torch.zeros(1, count, 8, 8, 3, dtype=torch.uint8), tuple(range(3, 3 + count)))


def expected(count: int) -> Tensor:
    return QUERIES + torch.arange(1.0, count)[:, None, None] * torch.tensor((1.0, -2.0))


def test_a_short_clip_is_asked_for_at_once() -> None:
    tracker = Shifting(window=8, query_bytes=1)
    answer = follow_queries(tracker, clip(8), QUERIES, GridSettings())
    assert tracker.calls == [(tuple(range(3, 11)), 5)]
    torch.testing.assert_close(answer.motion.positions[0], expected(8))
    assert answer.remarks == ()


def test_windows_are_stitched_where_points_are_seen() -> None:
    tracker = Shifting(window=8)
    answer = follow_queries(tracker, clip(15), QUERIES, GridSettings(window_overlap=3))
    # The windows start at frames 3, 8 and 13; the point at x = 55 is hidden from frame 8 on, when it reaches 60.
    assert tracker.calls == [(tuple(range(3, 11)), 5), (tuple(range(8, 16)), 4), (tuple(range(13, 18)), 4)]
    known = torch.isfinite(answer.motion.positions[0]).all(-1)
    assert known[:, [0, 1, 2, 4]].all()
    assert known[:, 3].tolist() == [True] * 7 + [False] * 7
    torch.testing.assert_close(answer.motion.positions[0][known], expected(15)[known])
    assert answer.motion.confidence[0][known].unique().tolist() == [0.75]
    assert answer.motion.confidence[0][~known].unique().tolist() == [0.0]
    assert answer.motion.visibility[0][~known].unique().tolist() == [0.0]


def test_queries_go_in_chunks_that_fit_the_memory_and_come_back_in_order() -> None:
    tracker = Shifting(query_bytes=2**28)  # of 4 frames: one GiB per query
    answer = follow_queries(tracker, clip(4), QUERIES, GridSettings(memory_gib=2.0))
    assert [count for _, count in tracker.calls] == [2, 2, 1]
    torch.testing.assert_close(answer.motion.positions[0], expected(4))
    assert answer.remarks == ()


def test_a_chunk_that_runs_out_of_memory_is_halved_and_that_is_said() -> None:
    tracker = Shifting(memory=10)  # two queries in four frames
    answer = follow_queries(tracker, clip(4), QUERIES, GridSettings())
    assert [count for _, count in tracker.calls] == [2, 2, 1]
    torch.testing.assert_close(answer.motion.positions[0], expected(4))
    assert answer.remarks == ("The tracker shifting ran out of memory, so it was asked for 2 points at a time, not more.",)


def test_what_did_not_fit_once_is_not_tried_again() -> None:
    tracker = Shifting(window=4, memory=10)
    answer = follow_queries(tracker, clip(7), QUERIES, GridSettings(window_overlap=1))
    assert tracker.tried == [5, 2, 2, 1, 2, 2, 1]
    torch.testing.assert_close(answer.motion.positions[0], expected(7))


def error_of_the_allocator() -> RuntimeError:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**55)  # more than a process can address
    return caught.value


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes"),  # as on Windows
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        error_of_the_allocator(),
    ],
)
def test_no_memory_for_a_single_point_is_a_failure_in_one_sentence(error: Exception) -> None:
    with pytest.raises(TrackerFailed, match=r"The tracker shifting failed between frames 4 and 5 \(out of memory with a single point\)"):
        follow_queries(Shifting(error=error), clip(2), QUERIES, GridSettings())


def test_an_error_of_the_code_of_others_is_one_sentence_that_names_it() -> None:
    with pytest.raises(TrackerFailed, match=r"failed between frames 4 and 6 \(KeyError: 'flow'\): choose another tracker") as caught:
        follow_queries(Shifting(error=KeyError("flow")), clip(3), QUERIES, GridSettings())
    assert isinstance(caught.value.__cause__, KeyError)


def test_stopping_by_hand_is_no_failure_of_the_tracker() -> None:
    class Interrupted(Shifting):
        def track_queries(self, clip: Clip, queries: Sequence[Tensor]) -> list[PointMotion]:
            if self.calls:
                raise KeyboardInterrupt
            return super().track_queries(clip, queries)

    tracker = Interrupted(query_bytes=2**28)
    with pytest.raises(KeyboardInterrupt):
        follow_queries(tracker, clip(4), QUERIES, GridSettings(memory_gib=2.0))
    assert len(tracker.calls) == 1


class Wrong(Shifting):
    """`Shifting`, answering what ``spoil`` makes of its positions, visibility and confidence."""

    def __init__(self, spoil: Spoil) -> None:
        super().__init__()
        self.spoil = spoil

    def track_queries(self, clip: Clip, queries: Sequence[Tensor]) -> list[PointMotion]:
        (motion,) = super().track_queries(clip, queries)
        return [PointMotion(*self.spoil(motion.positions, motion.visibility, motion.confidence))]

    def track_dense(self, clip: Clip) -> PointMotion:
        height, width = clip.images.shape[2:4]
        (motion,) = super().track_queries(clip, [torch.zeros(height * width, 2)])
        parts = (motion.positions, motion.visibility, motion.confidence)
        return PointMotion(*self.spoil(*(values.unflatten(2, (height, width)) for values in parts)))


def with_nan(which: int) -> Spoil:
    def spoil(*parts: Tensor) -> tuple[Tensor, ...]:
        parts[which][0, 0, 0] = torch.nan
        return parts

    return spoil


@pytest.mark.parametrize("dense", [True, False])
@pytest.mark.parametrize("which", [0, 1, 2])
def test_answers_that_are_no_numbers_are_a_failure(which: int, dense: bool) -> None:
    tracker: Any = Wrong(with_nan(which))
    with pytest.raises(TrackerFailed, match="it answered values that are no numbers"):
        follow(tracker, clip(3), None if dense else QUERIES, GridSettings())


@pytest.mark.parametrize("dense", [True, False])
@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda *parts: tuple(values[:, :-1] for values in parts), r"it answered positions \(1, 1, .*\), expected \(1, 2, "),  # a frame
        (lambda *parts: tuple(values[:, :, :-1] for values in parts), r"it answered positions \(1, 2, .*\), expected \(1, 2, "),  # a point
        (lambda at, seen, sure: (torch.cat((at, at), -1)[..., :3], seen, sure), r"must be \(V, F, ..., 2\), got "),
        (lambda at, seen, sure: (at, seen[:, :, 1:], sure), "The visibility of points must be "),
        (lambda at, seen, sure: (at, seen * -4, sure), "it answered a visibility of -4 to -?[04], expected 0 to 1"),  # logits
        (lambda at, seen, sure: (at, seen, sure * 100), "it answered a confidence of 75 to 75, expected 0 to 1"),  # percent
    ],
)
def test_answers_that_the_contract_does_not_allow_are_a_failure(spoil: Spoil, reason: str, dense: bool) -> None:
    tracker: Any = Wrong(spoil)
    with pytest.raises(TrackerFailed, match=rf"failed between frames 4 and 6 \(.*{reason}.*\): check that its code is the version"):
        follow(tracker, clip(3), None if dense else QUERIES, GridSettings())


def test_probabilities_that_rounding_put_past_one_are_one() -> None:
    tracker: Any = Wrong(lambda at, seen, sure: (at, seen * (1 + 1e-6), sure - 0.75 - 1e-6))
    motion = follow_queries(tracker, clip(3), QUERIES, GridSettings()).motion
    assert motion.visibility.max() == 1.0
    assert motion.confidence.unique().tolist() == [0.0]


@pytest.mark.parametrize(("code", "why"), [(0, ": 0"), (1, ": 1"), ("usage: demo.py VIDEO", ": usage: demo.py VIDEO"), (None, "")])
def test_code_that_ends_the_program_is_a_failure_of_the_tracker(code: int | str | None, why: str) -> None:
    class Ending(Shifting):
        def track_queries(self, clip: Clip, queries: Sequence[Tensor]) -> list[PointMotion]:
            raise SystemExit(code)

    with pytest.raises(TrackerFailed, match=rf"\(it ended the program{why}\): choose another tracker"):
        follow_queries(Ending(), clip(3), QUERIES, GridSettings())


def test_a_wrong_shape_of_a_tracker_of_ours_is_a_defect() -> None:
    tracker: Any = Wrong(lambda at, seen, sure: (at, seen[:, :, 1:], sure))
    tracker.facts = TrackerFacts("ours", "", "", dense=False)
    with pytest.raises(ShapeError):
        follow_queries(tracker, clip(3), QUERIES, GridSettings())


def test_views_of_others_are_tracked_one_after_another_and_answers_are_kept(small_capture: Capture, tmp_path: Path) -> None:
    tracker: Any = Shifting()
    cache = TrackCache(tmp_path / "tracks")
    first = dict(track_views(tracker, small_capture, [2, 0], 0, [1, 2], cache=cache))
    assert len(tracker.calls) == 2
    again = dict(track_views(tracker, small_capture, [2, 0], 0, [1, 2], cache=cache))
    assert len(tracker.calls) == 2
    for camera, tracks in first.items():
        assert tracks.positions[0, 10, 20].tolist() == pytest.approx([21.5, 8.5], abs=1e-4)
        assert torch.equal(tracks.positions, again[camera].positions)
        assert torch.equal(tracks.confidence, again[camera].confidence)
    for other in ({"base": 1}, {"grid": GridSettings(step_px=5)}):
        dict(track_views(tracker, small_capture, [2], other.get("base", 0), [2], cache=cache, grid=other.get("grid")))  # type: ignore[arg-type]
    assert len(tracker.calls) == 4
    tracker.provenance = Provenance("shifting", weights="cd")
    dict(track_views(tracker, small_capture, [2], 0, [1, 2], cache=cache))
    assert len(tracker.calls) == 5


def test_a_damaged_answer_is_made_anew(small_capture: Capture, tmp_path: Path) -> None:
    tracker: Any = Shifting()
    cache = TrackCache(tmp_path)
    list(track_views(tracker, small_capture, [1], 0, [1], cache=cache))
    (kept,) = tmp_path.glob("*.npz")
    kept.write_bytes(kept.read_bytes()[:100])
    list(track_views(tracker, small_capture, [1], 0, [1], cache=cache))
    assert len(tracker.calls) == 2
    list(track_views(tracker, small_capture, [1], 0, [1], cache=cache))
    assert len(tracker.calls) == 2


def test_the_cache_removes_what_was_used_longest_ago(tmp_path: Path) -> None:
    cache = TrackCache(tmp_path, limit=5000)
    tracker: Any = Shifting()
    answer = follow_queries(tracker, clip(3), torch.rand(100, 2), GridSettings())  # 100 x 2 x 4 values of 4 bytes
    for age, key in enumerate(("c", "b", "a")):
        cache.write(key, answer)
        os.utime(tmp_path / f"{key}.npz", (1000 + age, 1000 + age))
    assert cache.read("a") is not None
    assert not (tmp_path / "c.npz").exists()
    assert np.sum([path.stat().st_size for path in tmp_path.glob("*.npz")]) <= 5000
