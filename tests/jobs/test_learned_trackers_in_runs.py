"""Runs with trackers of others: what is said of their licence, and what follows where they fail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from trackersplat.captures.capture import Capture
from trackersplat.events import Event, FrameDone, Note, Remark
from trackersplat.jobs.reconstruct import reconstruct
from trackersplat.pipelines.settings import ReconstructSettings
from trackersplat.rendering.backends.portable import PortableRasterizer
from trackersplat.store.run import Run
from trackersplat.tracking.registry import TRACKERS
from trackersplat.tracking.tracker import Clip, PointMotion, TrackerFacts, TrackerFailed
from trackersplat.tracking.tracks import Provenance
from trackersplat.tracking.upstream import Upstream
from trackersplat.tracking.weights import Weights

FAILS_AT = 1  # the frame to which it cannot track


class Failing:
    """Says that nothing moves, and fails in one frame."""

    facts: TrackerFacts
    provenance = Provenance("failing")

    def __init__(self, device: torch.device, settings: Any) -> None:
        self.device, self.facts = device, TRACKERS.facts("failing")

    def track_queries(self, clip: Clip, queries: Sequence[Tensor]) -> list[PointMotion]:
        if FAILS_AT in clip.frames[1:]:
            raise RuntimeError("the network is upset")
        positions = queries[0].expand(1, len(clip.frames) - 1, -1, -1)
        ones = torch.ones(positions.shape[:3])
        return [PointMotion(positions, ones, ones)]


@pytest.fixture(autouse=True)
def failing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "failing.pth").write_bytes(b"")
    monkeypatch.setenv("TRACKERSPLAT_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setattr(TRACKERS, "_entries", dict(TRACKERS._entries))
    TRACKERS.add(
        TrackerFacts(
            "failing", "Fails", f"{__name__}:Failing", licence="CC-BY-NC-4.0", dense=False, non_commercial=True,
            upstream=Upstream("failing", "https://example.org", "0" * 40, "CC-BY-NC-4.0", package="json"),
            weights=(Weights("failing.pth", "https://example.org/failing.pth", "CC-BY-NC-4.0"),),
        )
    )  # fmt: skip


def run_of(capture: Capture, folder: Path, failure: Any) -> tuple[Run, list[Event]]:
    plain = ReconstructSettings.for_device("cpu", tracker="failing")
    points = replace(plain.first.points, strategy="patches")
    settings = replace(
        plain, first=replace(plain.first, steps=2, points=points), refine=replace(plain.refine, steps=1), tracker_failure=failure
    )
    run = Run.create(folder, capture, {"settings": settings.to_json()})
    events: list[Event] = []
    try:
        for event in reconstruct(capture, run, range(3), settings, PortableRasterizer()):
            events.append(event)
    except TrackerFailed as error:
        events.append(Note(-1, f"stopped: {error}"))
    return run, events


def test_a_failure_stops_the_run_or_the_frame_keeps_what_it_was_and_the_run_goes_on(small_capture: Capture, tmp_path: Path) -> None:
    run, events = run_of(small_capture, tmp_path / "stop", "stop")
    said = "The tracker failing failed between frames 1 and 2 (RuntimeError: the network is upset): choose another tracker."
    assert events[-1] == Note(-1, f"stopped: {said}")
    assert run.frames() == (0,)

    run, events = run_of(small_capture, tmp_path / "keep", "keep")
    assert run.frames() == (0, 1, 2)
    notes = [event for event in events if isinstance(event, Note) and "failed" in event.text]
    assert notes == [Note(1, f"{said} The Gaussians of frame 1 stay as they are until they are refined.")]
    done = {event.frame: event for event in events if isinstance(event, FrameDone)}
    assert notes[0].text in done[1].notes  # kept with the frame
    assert done[1].measured == 0.0
    assert done[2].measured > 0.0
    first, kept = (run.read_state(frame, torch.device("cpu")).gaussians.means for frame in (0, 1))
    assert (first - kept).abs().max() < 0.05  # one small step of refinement


def test_a_licence_that_forbids_commercial_use_is_said_once_in_a_run(small_capture: Capture, tmp_path: Path) -> None:
    _, events = run_of(small_capture, tmp_path / "run", "stop")
    remarks = [event.text for event in events if isinstance(event, Remark) and "commercially" in event.text]
    assert remarks == ["The tracker failing may not be used commercially (code: CC-BY-NC-4.0, weights: CC-BY-NC-4.0)."]
