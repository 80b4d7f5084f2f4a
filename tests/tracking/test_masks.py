from __future__ import annotations

import pytest
import torch
from torch import Tensor

from trackersplat.errors import ShapeError
from trackersplat.tracking.masks import distrust_crossings
from trackersplat.tracking.tracks import DenseTracks, Provenance


def tracks(shifts: list[float], height: int = 3, width: int = 6) -> DenseTracks:
    """Every pixel moves to the right by ``shifts`` px, one per target frame."""
    grid = torch.stack(torch.meshgrid(torch.arange(width) + 0.5, torch.arange(height) + 0.5, indexing="xy"), dim=-1)
    positions = torch.stack([grid + torch.tensor((shift, 0.0)) for shift in shifts])
    ones = torch.ones(positions.shape[:3])
    return DenseTracks(0, tuple(range(1, len(shifts) + 1)), positions, ones, 0.8 * ones, 0.1, Provenance("made"))


def columns(*foreground: int) -> Tensor:
    mask = torch.zeros(3, 6, dtype=torch.bool)
    mask[:, list(foreground)] = True
    return mask


def test_tracks_that_leave_or_enter_the_mask_lose_all_confidence_and_nothing_else() -> None:
    before = tracks([1.0, 2.0])
    after = distrust_crossings(before, columns(1, 2), [columns(2, 3), columns(3)])
    # 1 px to the right: 1->2 and 2->3 stay foreground, 0->1 and 3->4 stay background, 5->6 leaves the image
    torch.testing.assert_close(after.confidence[0], torch.full((3, 6), 0.8))
    # 2 px: 1->3 stays; 2->4 leaves the mask; 0->2 and 3->5 stay background; 4 and 5 leave the image
    torch.testing.assert_close(after.confidence[1], torch.tensor([0.8, 0.8, 0.0, 0.8, 0.8, 0.8]).expand(3, 6))
    assert torch.equal(after.positions, before.positions)
    assert torch.equal(after.visibility, before.visibility)
    assert torch.equal(before.confidence, tracks([1.0, 2.0]).confidence)  # a copy


def test_a_mask_is_read_at_the_row_and_column_that_a_track_ends_in() -> None:
    before = tracks([2.0])
    target = torch.zeros(3, 6, dtype=torch.bool)
    target[1, 4] = True  # hit by the pixel (2, 1) alone
    after = distrust_crossings(before, columns(), [target])
    assert (after.confidence[0] == 0).nonzero().tolist() == [[1, 2]]


def test_without_a_mask_on_either_side_nothing_changes() -> None:
    before = tracks([2.0, 2.0])
    assert distrust_crossings(before, None, [columns(1), columns(1)]) is before
    assert distrust_crossings(before, columns(1), [None, None]) is before
    after = distrust_crossings(before, columns(1), [None, columns(0)])
    assert torch.equal(after.confidence[0], before.confidence[0])
    assert after.confidence[1, 0, 1] == 0


def test_positions_that_are_no_numbers_are_left_alone() -> None:
    before = tracks([0.0])
    before.positions[0, 0, 1] = torch.nan
    after = distrust_crossings(before, columns(1), [columns()])
    assert after.confidence[0, 0, 1] == before.confidence[0, 0, 1]
    assert after.confidence[0, 1, 1] == 0


def test_masks_of_another_size_or_number_are_refused() -> None:
    with pytest.raises(ShapeError):
        distrust_crossings(tracks([1.0]), columns(1)[:2], [columns(1)])
    with pytest.raises(ShapeError):
        distrust_crossings(tracks([1.0]), columns(1), [])
