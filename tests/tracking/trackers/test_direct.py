"""Plain flow from a frame long ago."""

from __future__ import annotations

import numpy as np
from cards import as_bytes, texture

from trackersplat.tracking.trackers.dis.direct import direct_tracks


def test_what_stayed_is_known_to_have_stayed_and_what_left_is_not() -> None:
    base = as_bytes(texture(1, 80, 120))
    target = base.copy()
    target[20:60, 30:70] = as_bytes(texture(2, 40, 40))  # something else stands there now
    tracks = direct_tracks(base, target, (3, 9))
    assert (tracks.base, tracks.targets) == (3, (9,))
    rows, columns = np.mgrid[:80, :120]
    shift = np.linalg.norm(tracks.positions[0] - np.stack((columns, rows), -1) - 0.5, axis=-1)
    certainty = tracks.visibility[0] * tracks.confidence[0]
    changed, away = np.zeros((2, 80, 120), bool)
    changed[25:55, 35:65] = True
    away[12:68, 22:78] = True
    assert shift[~away].max() < 0.2
    assert certainty[~away].min() > 0.9
    assert np.mean(certainty[changed] > 0.5) < 0.05
