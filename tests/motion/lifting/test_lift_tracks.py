from __future__ import annotations

import numpy as np
import pytest
from tiny_capture import cameras

from trackersplat.errors import ShapeError
from trackersplat.motion.lifting.lift import ViewTracks, lift_tracks
from trackersplat.tracking.tracks import Provenance

START = np.array([[0.1, -0.2, 0.3], [-0.4, 0.25, 0.05]])
STEP = np.array([0.05, -0.02, 0.04])
FRAMES = (0, 1, 2, 3)
TRUTH = np.stack([START + frame * STEP for frame in FRAMES])  # (F, P, 3)


def observed() -> ViewTracks:
    positions = np.stack([[camera.project(points)[0] for points in TRUTH] for camera in cameras()])
    ones = np.ones(positions.shape[:3], np.float32)
    return ViewTracks(tuple(camera.name for camera in cameras()), FRAMES, positions.astype(np.float32), ones, ones.copy())


def queries(frame: int = 0) -> np.ndarray:
    return np.concatenate((np.full((2, 1), float(frame)), TRUTH[frame]), axis=1)


def test_exact_tracks_in_all_views_are_lifted_exactly() -> None:
    lifted = lift_tracks(cameras(), queries(), observed(), Provenance("made"))
    np.testing.assert_allclose(lifted.tracks.positions, TRUTH, atol=1e-4)
    assert (lifted.tracks.visibility == 1).all()
    assert (lifted.tracks.confidence > 0.9).all()
    assert lifted.agrees.all()


def test_a_gap_in_the_views_is_a_gap_of_the_track_and_it_goes_on_afterwards() -> None:
    seen = observed()
    seen.confidence[1:, 2, 0] = 0
    lifted = lift_tracks(cameras(), queries(), seen, Provenance("made"))
    assert lifted.tracks.known.tolist() == [[True, True], [True, True], [False, True], [True, True]]
    assert lifted.tracks.confidence[2, 0] == 0
    assert lifted.tracks.visibility[2, 0] == 0
    np.testing.assert_allclose(lifted.tracks.positions[3], TRUTH[3], atol=1e-4)
    assert np.isfinite(lifted.observed.positions).all()  # as the tracker gave them


def test_a_track_begins_at_its_query_and_has_no_position_before() -> None:
    lifted = lift_tracks(cameras(), queries(2), observed(), Provenance("made"))
    assert lifted.tracks.known.tolist() == [[False] * 2, [False] * 2, [True] * 2, [True] * 2]
    assert (lifted.tracks.positions[2] == TRUTH[2]).all()


def test_a_view_in_which_the_point_is_hidden_is_not_asked() -> None:
    seen = observed()
    seen.positions[0, 1:] += 40.0  # it follows what hides the points
    hidden = np.zeros((4, 4, 2), bool)
    hidden[0, 1:] = True
    lifted = lift_tracks(cameras(), queries(), seen, Provenance("made"), hidden=hidden)
    np.testing.assert_allclose(lifted.tracks.positions, TRUTH, atol=1e-4)
    assert np.isnan(lifted.residual_px[0, 1:]).all()
    view = lifted.tracks.view_visibility
    assert view is not None
    assert (view[0, 1:] == 0).all()
    assert (view[1:] == 1).all()


def test_arrays_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ShapeError):
        lift_tracks(cameras()[:3], queries(), observed(), Provenance("made"))
    with pytest.raises(ShapeError):
        ViewTracks(("a",), (0,), np.zeros((1, 1, 2, 2)), np.zeros((1, 1, 3)), np.zeros((1, 1, 2)))
