"""What a clip and an answer must look like."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from trackersplat.errors import ShapeError
from trackersplat.tracking.tracker import Clip, PointMotion


@pytest.mark.parametrize(
    ("shape", "dtype", "frames"),
    [
        ((1, 1, 8, 9, 3), torch.uint8, (0,)),  # no target
        ((1, 2, 8, 9, 3), torch.uint8, (0,)),
        ((0, 2, 8, 9, 3), torch.uint8, (0, 1)),
        ((2, 8, 9, 3), torch.uint8, (0, 1)),
        ((1, 2, 3, 8, 9), torch.uint8, (0, 1)),  # channels first
        ((1, 2, 8, 9, 3), torch.float32, (0, 1)),
    ],
)
def test_a_clip_holds_uint8_images_of_a_base_and_its_targets(shape: tuple[int, ...], dtype: torch.dtype, frames: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match="clip"):
        Clip(torch.zeros(shape, dtype=dtype), frames)


def test_the_motion_of_points_has_one_probability_of_each_kind_per_position() -> None:
    positions, ones = torch.zeros(1, 2, 7, 2), torch.ones(1, 2, 7)
    PointMotion(positions, ones, ones)
    with pytest.raises(ShapeError, match="visibility"):
        PointMotion(positions, ones[:, :1], ones)
    with pytest.raises(ShapeError, match="positions"):
        PointMotion(positions[..., :1], ones, ones)
    with pytest.raises(ShapeError, match="confidence of points must be float32"):
        PointMotion(positions, ones, ones.double())


def test_the_contract_is_imported_without_pytorch() -> None:
    code = "import sys; import trackersplat.tracking.tracker; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "False"
