"""Points of a long clip, followed anew from a key frame: a quad moves in front of a wall, all is known exactly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.scenes.quad_tracks import PIXELS, exact, hits, surface
from tests.scenes.tiny_capture import cameras, quad_center
from trackersplat.errors import ShapeError
from trackersplat.tracking.consistency.agreement import agree_on_points
from trackersplat.tracking.consistency.keyframes import KeyFrame, key_targets
from trackersplat.tracking.consistency.settings import ConsistencySettings, KeyFrameSettings
from trackersplat.tracking.tracks import DenseTracks

VIEWS, TARGETS, KEY, SETTINGS = cameras(), (1, 2, 3, 4), 2, ConsistencySettings()
SURFACES = [surface(view) for view in VIEWS]
TRACKS = [exact(view, 0, TARGETS)[0] for view in VIEWS]


def on_patch(frame: int, half: float) -> list[np.ndarray]:
    """(H, W) bool per view: pixels of the quad around its centre."""
    found = []
    for view in VIEWS:
        points, on_quad = hits(view, PIXELS, frame)
        found.append(on_quad & (np.abs(points - quad_center(frame))[..., :2].max(-1) < half))
    return found


PATCH, QUERIED = on_patch(0, 0.1), on_patch(0, 0.05)
QUERIES = [torch.from_numpy(PIXELS[chosen].astype(np.float32)) for chosen in QUERIED]
KEYS = [KeyFrame([surface(view, KEY) for view in VIEWS], [exact(view, KEY, (3, 4))[0] for view in VIEWS])]


def lost_from(target: int) -> list[DenseTracks]:
    """The tracks of all views, which have lost the patch from a target on: no confidence, and its middle goes elsewhere."""
    result = []
    for dense, chosen, middle in zip(TRACKS, PATCH, QUERIED, strict=True):
        positions, confidence = dense.positions.clone(), dense.confidence.clone()
        positions[TARGETS.index(target) :, middle] += torch.tensor([9.0, -7.0])
        confidence[TARGETS.index(target) :, chosen] = 0.0
        result.append(replace(dense, positions=positions, confidence=confidence))
    return result


def errors(tracks: list[DenseTracks], keys: list[KeyFrame], settings: KeyFrameSettings | None = None) -> tuple[np.ndarray, np.ndarray]:
    """(F, N) px of all queried points of all views, and their visibility."""
    found = agree_on_points(SURFACES, tracks, QUERIES, SETTINGS, keys, settings)
    difference = [
        (motion.positions[0] - dense.positions[:, torch.from_numpy(chosen)]).norm(dim=-1).numpy()
        for motion, dense, chosen in zip(found, TRACKS, QUERIED, strict=True)
    ]
    return np.concatenate(difference, axis=1), np.concatenate([motion.visibility[0].numpy() for motion in found], axis=1)


def test_key_frames_lead_each_to_the_next_one() -> None:
    assert key_targets(range(1, 10), 4) == [(4, (5, 6, 7, 8)), (8, (9,))]
    assert key_targets((2, 3, 5, 9), 2) == [(3, (5, 9))]
    assert key_targets(range(1, 9), 8) == []


def test_a_point_that_all_views_lose_after_a_key_frame_is_followed_from_there() -> None:
    tracks = lost_from(3)
    without, _ = errors(tracks, [])
    assert without[:2].max() < 0.1
    assert without[2:].min() > 5
    found, visible = errors(tracks, KEYS)
    assert found.max() < 0.1
    assert visible.min() > 0.5


def test_a_point_lost_before_a_key_frame_is_found_there_by_the_motion_of_those_around() -> None:
    tracks = lost_from(1)
    found, visible = errors(tracks, KEYS)
    assert found[:2].min() > 5  # nothing is known of it before the key frame
    assert found[2:].max() < 0.1
    assert visible[2:].min() > 0.5
    unpredicted, _ = errors(tracks, KEYS, KeyFrameSettings(least_predicted=1.1))
    assert unpredicted[2:].min() > 5


def test_a_point_that_the_key_frame_does_not_show_is_not_followed_from_there() -> None:
    """Depths of the key frame say that something nearer is everywhere."""
    hidden = [replace(seen, depth=0.5 * seen.depth) for seen in KEYS[0].surfaces]
    found, _ = errors(lost_from(1), [KeyFrame(hidden, KEYS[0].tracks)])
    assert found[2:].min() > 5


def test_where_no_views_agree_at_a_key_frame_the_tracks_stay_as_they_are() -> None:
    untrusted = [replace(dense, confidence=torch.zeros_like(dense.confidence)) for dense in TRACKS]
    found, _ = errors(untrusted, KEYS)
    assert found.max() < 1e-3
    for motion, dense, chosen in zip(agree_on_points(SURFACES, untrusted, QUERIES, SETTINGS, KEYS), untrusted, QUERIED, strict=True):
        assert torch.equal(motion.confidence[0], dense.confidence[:, torch.from_numpy(chosen)])


def test_tracks_that_last_stay_as_exact_with_key_frames_as_without() -> None:
    found, visible = errors(TRACKS, KEYS)
    assert found.max() < 0.1
    assert visible.min() > 0.9


def test_a_key_frame_is_one_of_the_targets_with_tracks_of_all_views_to_those_after_it() -> None:
    for wrong in (
        KeyFrame(KEYS[0].surfaces, [replace(dense, base=7) for dense in KEYS[0].tracks]),
        KeyFrame(KEYS[0].surfaces, [replace(dense, targets=(4, 5)) for dense in KEYS[0].tracks]),
        KeyFrame(KEYS[0].surfaces[:2], KEYS[0].tracks[:2]),
    ):
        with pytest.raises(ShapeError, match="no key frame"):
            agree_on_points(SURFACES, TRACKS, QUERIES, SETTINGS, [wrong])
    with pytest.raises(ShapeError, match="surface and tracks of every view"):
        KeyFrame(KEYS[0].surfaces[:2], KEYS[0].tracks)
