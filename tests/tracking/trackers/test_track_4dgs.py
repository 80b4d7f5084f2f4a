"""The trackers of the package track-4dgs, on a stand-in of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from stand_in_places import install_stand_in

from trackersplat.tracking.registry import TRACKERS, create_tracker
from trackersplat.tracking.tracker import Clip

PACKAGE = """
import torch
from types import SimpleNamespace

class Tracker:
    def __init__(self, name, checkpoint=None):
        self.name, self.checkpoint, self.device = name, checkpoint, None

    def to(self, device):
        self.device = device
        return self

    def track_view(self, points, frame_indices, frames, frame_masks, batch_size=None):
        assert points.dtype == torch.float32 and frame_indices.dtype == torch.int64 and not frame_indices.any()
        assert all(frame.shape == (3, 12, 16) for frame in frames) and frame_masks == [None] * len(frames)
        most = max(frame.max().item() for frame in frames)
        assert most == (255 if self.name == "cotracker3" else 1), "the range of the images"
        # The value at a query, with pixel centres at integers: red is 8 per pixel to the right, green is 16 per pixel down.
        red, green = (frames[0][:2] * (1 if self.name == "cotracker3" else 255)).round()
        x, y = points.round().long().unbind(-1)
        assert red[y, x].tolist() == (8 * points[:, 0]).tolist() and green[y, x].tolist() == (16 * points[:, 1]).tolist()
        there = points[None] + torch.arange(len(frames))[:, None, None] * torch.tensor((3.0, -2.0))
        mask = torch.ones(there.shape[:2], dtype=torch.bool)
        mask[-1, 0] = False
        return SimpleNamespace(points=there, visibility=torch.full(mask.shape, 0.75), confidence=torch.full(mask.shape, 0.5), mask=mask)

def build_point_tracker(name, **configs):
    return Tracker(name, **configs)
"""
NAMES = [name for name in TRACKERS.names() if name.startswith("track-4dgs-")]


@pytest.fixture
def package(places: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (places / "track_4dgs.py").write_text(PACKAGE)
    monkeypatch.syspath_prepend(places)
    yield places
    sys.modules.pop("track_4dgs", None)


@pytest.mark.parametrize("name", NAMES)
def test_a_known_translation_is_reported_exactly(package: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    install_stand_in(name, lambda code, clone: None, package, monkeypatch)
    facts = TRACKERS.facts(name)
    tracker: Any = create_tracker(name, "cpu")
    columns, rows = torch.meshgrid(torch.arange(16), torch.arange(12), indexing="xy")
    image = torch.stack((8 * columns, 16 * rows, torch.full_like(rows, 255)), -1).to(torch.uint8)
    queries = torch.tensor([[4.5, 7.5], [12.5, 2.5]])
    (motion,) = tracker.track_queries(Clip(image.expand(1, 3, -1, -1, -1).contiguous(), (0, 1, 2)), [queries])
    torch.testing.assert_close(motion.positions[0, 1], queries + torch.tensor((6.0, -4.0)))
    assert motion.visibility[0].tolist() == [[0.75, 0.75], [0.0, 0.75]]
    assert motion.confidence[0].tolist() == [[0.5, 0.5], [0.0, 0.5]]
    theirs = tracker.model.tracker
    assert (theirs.name, theirs.device) == (name.removeprefix("track-4dgs-"), torch.device("cpu"))
    assert theirs.checkpoint == (str(package / "weights" / facts.weights[0].file) if facts.weights else None)


def test_the_names_are_those_of_its_registry() -> None:
    assert [name.removeprefix("track-4dgs-") for name in NAMES] == [
        "cotracker3", "vggt", "vggsfm", "d4rt", "matcha", "mvroma", "uniflowmatch",
    ]  # fmt: skip
