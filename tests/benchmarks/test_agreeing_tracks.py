"""Chosen points of all views, joined by matched depth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_capture import write_tiny_capture
from tiny_truth import write_tiny_truth

from tests.scenes.quad_tracks import exact
from trackersplat.benchmarks import agreeing_tracks
from trackersplat.benchmarks.agreeing_tracks import agreeing_points
from trackersplat.captures.capture import Capture
from trackersplat.captures.registry import open_capture
from trackersplat.errors import InputError
from trackersplat.metrics.points import read_point_truth
from trackersplat.tracking.consistency.settings import KeyFrameSettings
from trackersplat.tracking.sources import track_source
from trackersplat.tracking.tracks import DenseTracks

TARGETS, LOST = (2, 5), 1


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Capture:
    return open_capture(write_tiny_truth(write_tiny_capture(tmp_path_factory.mktemp("captures") / "tiny")))


def test_a_view_that_is_six_pixels_off_is_corrected_where_views_match(capture: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    exact = track_source("exact", capture, "cpu")

    def source(cameras: Sequence[int], base: int, targets: Sequence[int]) -> Iterator[tuple[int, DenseTracks]]:
        for camera, dense in exact(cameras, base, targets):
            off = torch.tensor([5.0, -3.3] if camera == LOST else [0.0, 0.0])
            yield camera, replace(dense, positions=dense.positions + off)

    monkeypatch.setattr(agreeing_tracks, "track_source", lambda *_: source)
    truth = read_point_truth(capture)
    seen = [np.flatnonzero(truth.visible[view, 0]) for view in range(4)]
    queries = [
        (view, torch.from_numpy(capture.cameras[view].project(truth.positions[0][chosen])[0].astype(np.float32)))
        for view, chosen in enumerate(seen)
    ]
    found = dict(agreeing_points("exact", capture, "cpu", None, queries, 0, TARGETS))
    for index, target in enumerate(TARGETS):
        there, _ = capture.cameras[LOST].project(truth.positions[target][seen[LOST]])
        error = np.linalg.norm(found[LOST].positions[0, index].numpy() - there, axis=-1)
        corrected, kept = error < 1.0, np.abs(error - np.hypot(5.0, 3.3)) < 0.3
        assert corrected.mean() > 0.4  # the others have no depth in these small images that two views share
        assert (corrected | kept).mean() > 0.85


def test_a_tracker_is_asked_from_each_key_frame_to_the_next_one_and_stored_tracks_are_not(
    capture: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, tuple[int, ...]]] = []

    def source(cameras: Sequence[int], base: int, targets: Sequence[int]) -> Iterator[tuple[int, DenseTracks]]:
        asked.append((base, tuple(targets)))
        return ((camera, exact(capture.cameras[camera], base, tuple(targets))[0]) for camera in cameras)

    monkeypatch.setattr(agreeing_tracks, "track_source", lambda *_: source)
    queries = [(view, torch.tensor([[30.5, 20.5]])) for view in range(4)]
    for name, expected in (("dis", [(0, (1, 2, 3, 4, 5)), (2, (3, 4)), (4, (5,))]), ("exact", [(0, (1, 2, 3, 4, 5))])):
        asked.clear()
        found = dict(agreeing_points(name, capture, "cpu", None, queries, 0, range(1, 6), key_frames=KeyFrameSettings(every=2)))
        assert asked == expected
        for view, motion in found.items():
            truth = exact(capture.cameras[view], 0, tuple(range(1, 6)))[0].positions[:, 20, 30]
            assert (motion.positions[0, :, 0] - truth).norm(dim=-1).max() < 1.5


def test_one_camera_cannot_be_joined_with_others(capture: Capture) -> None:
    with pytest.raises(InputError, match="two cameras"):
        next(agreeing_points("dis", capture, "cpu", None, [(0, torch.zeros(1, 2))], 0, TARGETS))
