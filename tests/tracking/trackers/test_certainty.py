from __future__ import annotations

import numpy as np

from trackersplat.tracking.trackers.dis.certainty import agreement, supported
from trackersplat.tracking.trackers.dis.settings import SupportSettings

HEIGHT, WIDTH = 40, 40
SETTINGS = SupportSettings()


def test_tracks_that_move_alike_keep_their_certainty() -> None:
    flow = np.full((HEIGHT, WIDTH, 2), 7.0, np.float32)
    np.testing.assert_allclose(supported(flow, np.ones((HEIGHT, WIDTH), np.float32), SETTINGS), 1.0, atol=1e-6)


def test_a_track_alone_among_others_is_unreliable() -> None:
    flow = np.zeros((HEIGHT, WIDTH, 2), np.float32)
    flow[20, 20] = (15, 0)
    certainty = supported(flow, np.ones((HEIGHT, WIDTH), np.float32), SETTINGS)
    assert certainty[20, 20] < 0.1
    assert certainty[5, 5] > 0.99
    assert certainty[20, 22] > 0.9  # its neighbours lose little by it


def test_uncertain_surroundings_support_nothing() -> None:
    certainty = np.zeros((HEIGHT, WIDTH), np.float32)
    certainty[20, 20] = 1.0
    assert not supported(np.zeros((HEIGHT, WIDTH, 2), np.float32), certainty, SETTINGS).any()


def test_each_side_of_an_edge_of_motion_is_supported_by_its_own() -> None:
    flow = np.zeros((HEIGHT, WIDTH, 2), np.float32)
    flow[:, 20:] = (12, -3)
    assert supported(flow, np.ones((HEIGHT, WIDTH), np.float32), SETTINGS).min() > 0.85


def test_agreement_is_one_for_equals_and_a_half_at_the_tolerance() -> None:
    first, second = np.zeros((1, 2, 2), np.float32), np.zeros((1, 2, 2), np.float32)
    second[0, 1] = (0.9, 1.2)
    np.testing.assert_allclose(agreement(first, second, 1.5), [[1.0, 0.5]], atol=1e-6)


def test_the_surroundings_reach_as_far_as_the_settings_say() -> None:
    flow = np.zeros((HEIGHT, WIDTH, 2), np.float32)
    flow[:, 20:] = (30, 0)
    certainty = np.zeros((HEIGHT, WIDTH), np.float32)
    certainty[20, 19] = certainty[:, 24] = 1.0
    assert supported(flow, certainty, SupportSettings(reach_px=4, step_px=1))[20, 19] < 0.01
    alike = SupportSettings(reach_px=5, step_px=1, alike_px=100.0)
    assert supported(flow, certainty, alike)[20, 19] > 0.15  # counts what moves otherwise, once it is near enough and alike enough
    assert supported(flow, certainty, SupportSettings(reach_px=4, step_px=1, alike_px=100.0))[20, 19] == 0
