"""The bench of trackers, with trackers of others that do not do as they should."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_capture import write_tiny_capture
from tiny_truth import write_tiny_truth
from torch import Tensor

from trackersplat.benchmarks.trackers import TrackerBenchSettings, TrackerDone, bench_trackers
from trackersplat.captures.registry import open_capture
from trackersplat.motion.lifting.point_tracks import track_points
from trackersplat.rendering.backends.portable import PortableRasterizer
from trackersplat.tracking.registry import TRACKERS
from trackersplat.tracking.tracker import Clip, PointMotion, TrackerFacts
from trackersplat.tracking.tracks import Provenance
from trackersplat.tracking.upstream import Upstream

WINDOW = 3  # frames of a call


class Still:
    """Says that nothing moves and all is seen."""

    facts: TrackerFacts
    provenance = Provenance("still")
    asked: list[tuple[int, ...]] = []  # noqa: RUF012 - of all calls

    def __init__(self, device: torch.device, settings: Any) -> None:
        self.device, self.facts = device, TRACKERS.facts("still")

    def track_queries(self, clip: Clip, queries: Sequence[Tensor]) -> list[PointMotion]:
        self.asked.append(clip.frames)
        positions = queries[0].expand(1, len(clip.frames) - 1, -1, -1)
        ones = torch.ones(positions.shape[:3])
        return [PointMotion(positions, ones, ones)]


class Upset(Still):
    """Raises what is told."""

    error: BaseException = RuntimeError()

    def __init__(self, device: torch.device, settings: Any) -> None:
        self.device, self.facts = device, TRACKERS.facts("upset")

    def track_queries(self, clip: Clip, queries: Sequence[Tensor]) -> list[PointMotion]:
        raise self.error


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TRACKERS, "_entries", dict(TRACKERS._entries))
    upstream = Upstream("others", "https://example.org", "0" * 40, "MIT", package="json")
    TRACKERS.add(TrackerFacts("still", "Still", f"{__name__}:Still", dense=False, window=WINDOW, upstream=upstream))
    TRACKERS.add(TrackerFacts("upset", "Upset", f"{__name__}:Upset", dense=False, upstream=upstream))
    Still.asked.clear()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_truth(write_tiny_capture(tmp_path_factory.mktemp("captures") / "tiny"))


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("a size"), "ValueError: a size"),
        (SystemExit("usage: demo.py"), "it ended the program: usage: demo.py"),
        (MemoryError(), "out of memory with a single point"),
    ],
)
def test_a_tracker_that_fails_is_told_in_its_row_and_the_others_go_on(
    error: BaseException, reason: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Upset, "error", error)
    settings = TrackerBenchSettings(("upset", "still"), frames=2, baselines=())
    with closing(open_capture(folder)) as capture:
        rows = [event for event in bench_trackers(capture, settings, PortableRasterizer()) if isinstance(event, TrackerDone)]
    assert [row.tracker for row in rows] == ["upset", "still"]
    assert f"The tracker upset failed between frames 1 and 2 ({reason})" in rows[0].failed
    assert rows[1].all_points is not None
    assert rows[1].all_points.values["OA"] > 90


def test_points_are_asked_for_in_windows_of_the_tracker(folder: Path) -> None:
    queries = torch.tensor([[20.5, 10.25], [40.0, 30.0]])
    with closing(open_capture(folder)) as capture:
        ((camera, motion),) = track_points("still", capture, "cpu", None, [(2, queries)], 0, (1, 2, 3, 4, 5))
    assert camera == 2
    assert max(len(frames) for frames in Still.asked) == WINDOW
    assert Still.asked[-1][-1] == 5
    assert torch.equal(motion.positions, queries.expand(1, 5, 2, 2))
