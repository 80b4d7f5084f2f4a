from __future__ import annotations

import pytest

from trackersplat.captures.capture import Capture
from trackersplat.captures.summary import describe


def test_a_summary_has_the_facts_of_the_capture(small_capture: Capture):
    summary = describe(small_capture)
    assert (summary.name, summary.layout, summary.frame_count, summary.fps) == ("tiny", "n3dv", 6, 30.0)
    assert summary.seconds == pytest.approx(0.2)
    assert summary.sizes == ((64, 48),)
    assert summary.held_out == ("cam00",)
    assert summary.point_count is None
    assert [camera.held_out for camera in summary.cameras] == [True, False, False, False]
    assert summary.cameras[1].position == pytest.approx((-1.1, -0.4, -2.8))
    assert (summary.cameras[2].fx, summary.cameras[2].fy) == (pytest.approx(64.0), pytest.approx(64.0))
