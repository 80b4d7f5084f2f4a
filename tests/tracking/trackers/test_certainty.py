from __future__ import annotations

import numpy as np

from trackersplat.tracking.trackers.dis.certainty import agreement, supported

HEIGHT, WIDTH = 40, 40


def test_tracks_that_move_alike_keep_their_certainty() -> None:
    flow = np.full((HEIGHT, WIDTH, 2), 7.0, np.float32)
    np.testing.assert_allclose(supported(flow, np.ones((HEIGHT, WIDTH), np.float32)), 1.0, atol=1e-6)


def test_a_track_alone_among_others_is_doubted() -> None:
    flow = np.zeros((HEIGHT, WIDTH, 2), np.float32)
    flow[20, 20] = (15, 0)
    certainty = supported(flow, np.ones((HEIGHT, WIDTH), np.float32))
    assert certainty[20, 20] < 0.1
    assert certainty[5, 5] > 0.99
    assert certainty[20, 22] > 0.9  # its neighbours lose little by it


def test_uncertain_surroundings_support_nothing() -> None:
    certainty = np.zeros((HEIGHT, WIDTH), np.float32)
    certainty[20, 20] = 1.0
    assert not supported(np.zeros((HEIGHT, WIDTH, 2), np.float32), certainty).any()


def test_each_side_of_an_edge_of_motion_is_supported_by_its_own() -> None:
    flow = np.zeros((HEIGHT, WIDTH, 2), np.float32)
    flow[:, 20:] = (12, -3)
    assert supported(flow, np.ones((HEIGHT, WIDTH), np.float32)).min() > 0.85


def test_agreement_is_one_for_equals_and_a_half_at_the_tolerance() -> None:
    first, second = np.zeros((1, 2, 2), np.float32), np.zeros((1, 2, 2), np.float32)
    second[0, 1] = (0.9, 1.2)
    np.testing.assert_allclose(agreement(first, second, 1.5), [[1.0, 0.5]], atol=1e-6)
