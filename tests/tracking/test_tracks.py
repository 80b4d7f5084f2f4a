from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from trackersplat.errors import ShapeError
from trackersplat.tracking.tracks import DenseTracks, Provenance, Tracks


def dense(targets: tuple[int, ...] = (4, 6, 9)) -> DenseTracks:
    random = torch.Generator().manual_seed(0)
    shape = (len(targets), 4, 5)
    positions, visibility, confidence = (torch.rand(size, generator=random) for size in ((*shape, 2), shape, shape))
    return DenseTracks(2, targets, positions, visibility, confidence, hidden_weight=0.3, provenance=Provenance("made", size=(5, 4)))


def test_tracks_to_some_of_the_targets_come_in_the_order_asked_for() -> None:
    tracks = dense()
    some = tracks.only((9, 4))
    assert (some.base, some.targets, some.hidden_weight, some.provenance) == (2, (9, 4), 0.3, tracks.provenance)
    for name in ("positions", "visibility", "confidence"):
        assert torch.equal(getattr(some, name), getattr(tracks, name)[[2, 0]])
    assert tracks.only([6]).targets == (6,)
    assert tracks.only([]).positions.shape == (0, *tracks.positions.shape[1:])
    with pytest.raises(ValueError, match="not in"):
        tracks.only((4, 5))


def test_a_part_takes_the_place_of_the_tracks_to_its_targets_in_a_copy() -> None:
    tracks = dense()
    before = tracks.visibility.clone()
    part = tracks.only((9, 4))
    joined = tracks.with_part(replace(part, visibility=1 - part.visibility))
    assert (joined.base, joined.targets) == (2, (4, 6, 9))
    assert torch.equal(joined.visibility, torch.stack((1 - before[0], before[1], 1 - before[2])))
    assert torch.equal(joined.positions, tracks.positions)
    assert torch.equal(tracks.visibility, before)
    with pytest.raises(ValueError, match="not in"):
        tracks.only([4]).with_part(part)


def test_a_part_to_all_targets_takes_the_place_of_all() -> None:
    tracks = dense()
    other = replace(tracks, positions=tracks.positions + 1, visibility=1 - tracks.visibility, confidence=0.5 * tracks.confidence)
    joined = tracks.with_part(other)
    for name in ("positions", "visibility", "confidence"):
        assert torch.equal(getattr(joined, name), getattr(other, name))


def test_tensors_that_do_not_fit_each_other_are_refused() -> None:
    tracks = dense()
    with pytest.raises(ShapeError, match="positions must be"):
        replace(tracks, targets=(4, 6))
    with pytest.raises(ShapeError, match="confidence must be"):
        replace(tracks, confidence=tracks.confidence[:, 1:])


def test_sparse_tracks_need_an_id_a_query_and_an_end_for_every_point() -> None:
    fields = {
        "ids": torch.tensor([7, 9]),
        "query": torch.zeros(2, 3),
        "positions": torch.zeros(3, 2, 2),
        "visibility": torch.zeros(3, 2),
        "confidence": torch.zeros(3, 2),
        "ends": torch.zeros(3, 2, dtype=torch.uint8),
    }
    tracks = Tracks(camera="cam00", frames=(0, 1, 2), provenance=Provenance("made"), **fields)
    assert len(tracks) == 2
    for name in ("query", "positions", "visibility", "confidence", "ends"):
        with pytest.raises(ShapeError, match=name):
            replace(tracks, **{name: fields[name][:1]})
