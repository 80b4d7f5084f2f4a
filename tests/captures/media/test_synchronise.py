from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from trackersplat.captures.media.synchronise import match_times, nearest_in


@given(
    times=st.lists(st.integers(0, 1000), min_size=1, max_size=20, unique=True).map(sorted),
    wanted=st.lists(st.integers(-50, 1050), min_size=1, max_size=20),
)
def test_the_nearest_time_is_found(times: list[int], wanted: list[int]):
    own, targets = np.array(times, float), np.array(wanted, float)
    expected = np.abs(own[None] - targets[:, None]).min(axis=1)
    np.testing.assert_array_equal(np.abs(own[nearest_in(own, targets)] - targets), expected)


def test_frames_follow_the_camera_with_most_images_and_skip_what_others_lack():
    leader = np.array([0.0, 100, 200, 300, 400])
    late = np.array([110.0, 190, 420])  # nothing near 0 and 300
    matched = match_times([late, leader], tolerance=40)
    assert matched.frames == [[0, 1, 2], [1, 2, 4]]
    assert (matched.spread, matched.dropped) == (20.0, 2)
    assert matched.interval == 100.0


def test_cameras_that_share_no_time_share_no_frame():
    matched = match_times([np.array([0.0, 1.0]), np.array([500.0])], tolerance=100)
    assert matched.frames == [[], []]
    assert matched.dropped == 2


def test_no_image_serves_two_frames():
    # 269 is nearer to 312 than to 212, so the frame at 212 has no image of the second camera.
    matched = match_times([np.array([12.0, 112, 212, 312]), np.array([-31.0, 69, 269])], tolerance=100)
    assert matched.frames == [[0, 1, 3], [0, 1, 2]]
