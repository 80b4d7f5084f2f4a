from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from trackersplat.errors import ShapeError
from trackersplat.tracking.tracks import Provenance
from trackersplat.tracking.tracks3d import Tracks3D


def tracks() -> Tracks3D:
    positions = np.arange(2 * 3 * 3, dtype=float).reshape(2, 3, 3)
    positions[1, 2] = np.nan
    shares = np.ones((2, 3), np.float32)
    return Tracks3D(
        ids=np.array([7, 3, 5]),
        query=np.concatenate([np.zeros((3, 1)), positions[0]], axis=1),
        frames=(0, 4),
        positions=positions,
        visibility=shares,
        confidence=shares * 0.5,
        provenance=Provenance("made"),
        cameras=("left",),
        view_visibility=shares[None],
    )


def test_a_subset_keeps_every_array_of_its_tracks() -> None:
    part = tracks()[np.array([2, 0])]
    assert part.ids.tolist() == [5, 7]
    assert part.at(0).tolist() == [[6, 7, 8], [0, 1, 2]]
    assert part.known.tolist() == [[True, True], [False, True]]
    assert part.view_visibility is not None
    assert part.view_visibility.shape == (1, 2, 2)


@pytest.mark.parametrize(
    "change",
    [
        {"ids": np.array([1, 1, 2])},
        {"query": np.zeros((3, 3))},
        {"query": np.full((3, 4), np.nan)},
        {"frames": (4, 0)},
        {"visibility": np.ones((3, 2))},
        {"view_visibility": np.ones((2, 2, 3))},
        {"view_visibility": None},
    ],
)
def test_arrays_that_do_not_fit_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ShapeError, match="Tracks3D"):
        replace(tracks(), **change)


def test_the_arrays_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        tracks().positions[0] = 0
