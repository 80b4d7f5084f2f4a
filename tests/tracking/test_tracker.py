from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from trackersplat.tracking.registry import tracker_info
from trackersplat.tracking.tracks import DenseTracks


@pytest.mark.parametrize("on_device", [False, True])
def test_tracks_to_some_of_the_targets_come_in_the_order_asked_for(on_device: bool) -> None:
    rng = np.random.default_rng(0)
    fields: dict[str, Any] = {
        name: rng.uniform(size=shape).astype(np.float32)
        for name, shape in (("positions", (3, 4, 5, 2)), ("visibility", (3, 4, 5)), ("confidence", (3, 4, 5)))
    }
    given = {name: torch.from_numpy(values) for name, values in fields.items()} if on_device else fields
    tracks = DenseTracks(2, (4, 6, 9), **given, tracker=tracker_info("dis"))
    some = tracks.only((9, 4))
    assert (some.base, some.targets, some.tracker) == (2, (9, 4), tracks.tracker)
    for name, values in fields.items():
        np.testing.assert_array_equal(getattr(some, name), values[[2, 0]])
    assert tracks.only([6]).targets == (6,)
    with pytest.raises(ValueError, match="not in"):
        tracks.only((4, 5))
    back = replace(some, visibility=1 - some.visibility)
    joined = tracks.replaced(back)
    assert (joined.base, joined.targets) == (2, (4, 6, 9))
    assert all(isinstance(values, np.ndarray) for values in (joined.positions, joined.visibility, joined.confidence))
    np.testing.assert_array_equal(joined.visibility, [1 - fields["visibility"][0], fields["visibility"][1], 1 - fields["visibility"][2]])
    np.testing.assert_array_equal(joined.positions, fields["positions"])
    np.testing.assert_array_equal(np.asarray(tracks.visibility), fields["visibility"])  # a copy
    with pytest.raises(ValueError, match="not in"):
        tracks.only([4]).replaced(back)
