from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from trackersplat.errors import ShapeError
from trackersplat.tracking.masks import distrust_crossings
from trackersplat.tracking.registry import tracker_info
from trackersplat.tracking.tracks import DenseTracks


def tracks(shifts: list[float], height: int = 3, width: int = 6) -> DenseTracks:
    """Every pixel moves to the right by ``shifts`` px, one per target frame."""
    grid = np.stack(np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5), axis=-1).astype(np.float32)
    positions = np.stack([grid + np.float32((shift, 0)) for shift in shifts])
    ones = np.ones(positions.shape[:3], np.float32)
    return DenseTracks(0, tuple(range(1, len(shifts) + 1)), positions, ones, 0.8 * ones, tracker_info("dis"))


def columns(*foreground: int) -> np.ndarray:
    mask = np.zeros((3, 6), dtype=bool)
    mask[:, list(foreground)] = True
    return mask


def test_tracks_that_leave_or_enter_the_mask_lose_all_confidence_and_nothing_else():
    before = tracks([1.0, 2.0])
    after = distrust_crossings(before, columns(1, 2), [columns(2, 3), columns(3)])
    # 1 px to the right: 1->2 and 2->3 stay foreground, 0->1 and 3->4 stay background, 5->6 leaves the image
    np.testing.assert_allclose(after.confidence[0], np.full((3, 6), 0.8))
    # 2 px: 1->3 stays; 2->4 leaves the mask; 0->2 and 3->5 stay background; 4 and 5 leave the image
    np.testing.assert_allclose(after.confidence[1], np.tile([0.8, 0.8, 0.0, 0.8, 0.8, 0.8], (3, 1)))
    np.testing.assert_array_equal(after.positions, before.positions)
    np.testing.assert_array_equal(after.visibility, before.visibility)
    assert before.confidence.min() == np.float32(0.8)


def test_without_a_mask_on_either_side_nothing_changes():
    before = tracks([2.0, 2.0])
    assert distrust_crossings(before, None, [columns(1), columns(1)]) is before
    assert distrust_crossings(before, columns(1), [None, None]) is before
    after = distrust_crossings(before, columns(1), [None, columns(0)])
    np.testing.assert_array_equal(after.confidence[0], before.confidence[0])
    assert after.confidence[1, 0, 1] == 0


def test_positions_that_are_no_numbers_are_left_alone():
    before = tracks([0.0])
    before.positions[0, 0, 1] = np.nan
    after = distrust_crossings(before, columns(1), [columns()])
    assert after.confidence[0, 0, 1] == np.float32(0.8)
    assert after.confidence[0, 1, 1] == 0


def test_tensors_of_a_tracker_give_what_arrays_give():
    arrays = tracks([1.0, 2.0])
    fields = {name: torch.tensor(getattr(arrays, name)) for name in ("positions", "visibility", "confidence")}
    before, masks = replace(arrays, **fields), [columns(2, 3), columns(3)]
    after = distrust_crossings(before, columns(1, 2), masks)
    np.testing.assert_array_equal(after.confidence, distrust_crossings(arrays, columns(1, 2), masks).confidence)
    assert (fields["confidence"] == np.float32(0.8)).all()


def test_masks_of_another_size_or_number_are_refused():
    with pytest.raises(ShapeError):
        distrust_crossings(tracks([1.0]), columns(1)[:2], [columns(1)])
    with pytest.raises(ShapeError):
        distrust_crossings(tracks([1.0]), columns(1), [])
