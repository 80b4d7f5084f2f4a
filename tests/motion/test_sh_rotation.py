from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from trackersplat.errors import ShapeError
from trackersplat.geometry.quaternions import quaternion_to_matrix
from trackersplat.motion import sh_rotation
from trackersplat.motion.sh_rotation import rotate_sh
from trackersplat.rendering.sh import sh_basis


def evaluate(sh: torch.Tensor, directions: torch.Tensor) -> torch.Tensor:
    """(N, S, 3) colour functions in unit directions (N, S, 3)."""
    basis = sh_basis(directions.reshape(-1, 3), int(np.sqrt(sh.shape[1])) - 1)
    return basis.reshape(*directions.shape[:2], -1) @ sh


def random_directions(count: int) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.randn(count, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64), dim=-1)


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_turned_colours_in_turned_directions_are_the_colours_before(degree: int) -> None:
    generator = torch.Generator().manual_seed(degree)
    sh = torch.randn(40, (degree + 1) ** 2, 3, generator=generator)
    rotations = torch.tensor(Rotation.random(40, random_state=degree).as_quat()[:, [3, 0, 1, 2]]).float()
    directions = random_directions(30).float().expand(40, 30, 3)
    turned = directions @ quaternion_to_matrix(rotations).transpose(1, 2)
    torch.testing.assert_close(evaluate(rotate_sh(sh, rotations), turned), evaluate(sh, directions), atol=1e-5, rtol=0)
    torch.testing.assert_close(rotate_sh(sh, -rotations), rotate_sh(sh, rotations), atol=1e-6, rtol=0)


@pytest.mark.parametrize("axis", [(1.0, 0, 0), (0, 1.0, 0), (0, 0, -1.0)])
@pytest.mark.parametrize("angle", [1e-2, 0.3, np.pi / 2, np.pi])
def test_turns_about_the_axes_of_the_world_and_small_ones_turn_colours_too(axis: tuple[float, float, float], angle: float) -> None:
    sh = torch.randn(5, 16, 3, generator=torch.Generator().manual_seed(1))
    turn = Rotation.from_rotvec(angle * np.array(axis))
    directions = random_directions(30)
    turned = torch.tensor(turn.apply(directions)).float()
    rotations = torch.tensor(turn.as_quat()[[3, 0, 1, 2]]).float().expand(5, 4)
    before, after = (evaluate(c, d.float().expand(5, 30, 3)) for c, d in ((sh, directions), (rotate_sh(sh, rotations), turned)))
    torch.testing.assert_close(after, before, atol=1e-5, rtol=0)


def test_more_gaussians_than_are_turned_at_once_are_turned_each_by_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    sh = torch.randn(11, 9, 3, generator=torch.Generator().manual_seed(2))
    rotations = torch.tensor(Rotation.random(11, random_state=4).as_quat()[:, [3, 0, 1, 2]]).float()
    at_once = rotate_sh(sh, rotations)
    monkeypatch.setattr(sh_rotation, "_CHUNK", 4)
    torch.testing.assert_close(rotate_sh(sh, rotations), at_once, atol=1e-6, rtol=0)


def test_the_identity_changes_no_bit() -> None:
    sh = torch.randn(10, 16, 3)
    identity = torch.tensor((1.0, 0, 0, 0)).expand(10, 4)
    assert torch.equal(rotate_sh(sh, identity), sh)
    assert torch.equal(rotate_sh(sh, -identity), sh)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ShapeError):
        rotate_sh(torch.zeros(3, 5, 3), torch.zeros(3, 4))
    with pytest.raises(ShapeError):
        rotate_sh(torch.zeros(3, 4, 3), torch.zeros(2, 4))
