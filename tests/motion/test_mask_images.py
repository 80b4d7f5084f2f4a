"""Masks of several cameras, looked up at points."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from trackersplat.motion.mask_images import MaskImages

CPU = torch.device("cpu")
NAMES = ("a", "b", "c")
LEFT = np.arange(8)[None].repeat(6, 0) < 4  # (6, 8)
TOP = torch.arange(5)[:, None].expand(5, 3) < 2  # (5, 3), of another size
MASKS = {"c": TOP, "a": LEFT}


def points(*rows: tuple[int, float, float]) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.tensor([row[1:] for row in rows], dtype=torch.float32), torch.tensor([row[0] for row in rows])


def test_shares_are_those_of_the_four_pixels_around() -> None:
    masks = MaskImages.of(MASKS, NAMES, CPU)
    pixels, camera = points((0, 1.0, 3.0), (0, 6.0, 3.0), (0, 4.0, 3.0), (1, 4.0, 3.0), (2, 1.5, 1.0), (2, 1.5, 2.2), (2, -50.0, 99.0))
    assert masks.shares(pixels, camera).tolist() == pytest.approx([1, 0, 0.5, 0.5, 1, 0.5, 0])


def test_borders_are_where_pixels_side_by_side_differ() -> None:
    masks = MaskImages.of(MASKS, NAMES, CPU)
    pixels, camera = points((0, 2.5, 0.5), (0, 3.5, 0.5), (0, 4.5, 5.5), (0, 5.5, 5.5), (1, 3.5, 0.5), (2, 0.5, 0.5), (2, 0.5, 1.5))
    assert masks.at_borders(pixels, camera).tolist() == [False, True, True, False, False, False, True]


def test_every_pixel_of_every_camera_is_found() -> None:
    masks = {name: torch.rand(4 + i, 7 - i, generator=torch.Generator().manual_seed(i)) < 0.5 for i, name in enumerate(NAMES)}
    images = MaskImages.of(masks, NAMES, CPU)
    for index, mask in enumerate(masks.values()):
        rows, columns = torch.meshgrid(*map(torch.arange, mask.shape), indexing="ij")
        found = images._at(torch.full((mask.numel(),), index), rows.reshape(-1, 1), columns.reshape(-1, 1))
        assert torch.equal(found.view_as(mask), mask)


def test_cameras_without_masks_say_nothing() -> None:
    masks = MaskImages.of({"b": None}, NAMES, CPU)
    pixels, camera = points((0, 1.0, 1.0), (1, 5.0, 5.0), (2, 2.0, 2.0))
    assert masks.shares(pixels, camera).tolist() == [0.5, 0.5, 0.5]
    assert not masks.at_borders(pixels, camera).any()
