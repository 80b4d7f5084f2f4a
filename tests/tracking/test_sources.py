"""What callers know of a source of tracks without knowing its name."""

from __future__ import annotations

import pytest
import torch

from trackersplat.captures.capture import Capture
from trackersplat.errors import InputError
from trackersplat.tracking.registry import TRACKERS, create_tracker
from trackersplat.tracking.sources import reachable_targets, track_source
from trackersplat.tracking.views import track_views


def test_facts_tell_how_a_source_wants_to_be_asked() -> None:
    flow, exact = TRACKERS.facts("dis"), TRACKERS.facts("exact")
    assert (flow.stride, flow.hidden_weight, flow.stored) == (1, 0.1, False)
    assert (exact.stride, exact.hidden_weight, exact.stored) == (None, 1.0, True)
    assert (flow.render_and_match, flow.frames_between) == (True, True)
    assert (exact.render_and_match, exact.frames_between) == (False, False)


def test_the_source_of_a_tracker_gives_what_the_tracker_gives(small_capture: Capture) -> None:
    found = dict(track_source("dis", small_capture, "cpu")([1, 2], 0, [1, 2]))
    expected = dict(track_views(create_tracker("dis", "cpu"), small_capture, [1, 2], 0, [1, 2]))
    assert sorted(found) == [1, 2]
    for camera in found:
        assert torch.equal(found[camera].positions, expected[camera].positions)
        assert torch.equal(found[camera].confidence, expected[camera].confidence)


def test_a_tracker_reaches_every_later_frame(small_capture: Capture) -> None:
    assert reachable_targets("dis", small_capture, [0, 1], 2) == (3, 4, 5)


def test_an_unknown_source_is_refused_before_anything_is_tracked(small_capture: Capture) -> None:
    with pytest.raises(InputError, match="no tracker named 'exat'"):
        track_source("exat", small_capture, "cpu")
    with pytest.raises(InputError, match=r"flow_cam01\.npz is missing"):
        reachable_targets("exact", small_capture, [1], 0)
