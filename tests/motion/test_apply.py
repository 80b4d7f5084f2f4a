from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from trackersplat.errors import ShapeError
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.geometry.quaternions import quaternion_to_matrix, rotation_vector_to_quaternion
from trackersplat.motion.apply import move
from trackersplat.motion.motion import Motion


def motion_of(count: int, static: torch.Tensor | None = None) -> Motion:
    generator = torch.Generator().manual_seed(3)
    return Motion(
        translation=torch.randn(count, 3, generator=generator),
        rotation=rotation_vector_to_quaternion(torch.randn(count, 3, generator=generator)),
        is_static=torch.zeros(count, dtype=torch.bool) if static is None else static,
        measured=torch.ones(count, dtype=torch.bool),
        confidence=torch.ones(count),
        residual_px=torch.zeros(count),
        views=torch.full((count,), 3, dtype=torch.int32),
    )


@pytest.fixture
def gaussians(make_gaussians: Callable[..., Gaussians]) -> Gaussians:
    return make_gaussians(np.random.default_rng(0).normal(size=(40, 3)), degree=3)


def test_static_gaussians_stay_bit_identical(gaussians: Gaussians) -> None:
    static = torch.arange(40) % 3 == 0
    odd = replace(gaussians, quats=gaussians.quats * 3.7)  # not normalised, as training leaves them
    moved = move(odd, motion_of(40, static))
    for name, before in odd.tensors().items():
        assert torch.equal(moved.tensors()[name][static], before[static]), name
    assert not torch.isclose(moved.means[~static], odd.means[~static]).all(-1).any()


def test_means_axes_and_colours_move_rigidly(gaussians: Gaussians) -> None:
    motion = motion_of(40)
    moved = move(gaussians, motion)
    torch.testing.assert_close(moved.means, gaussians.means + motion.translation)
    expected = quaternion_to_matrix(motion.rotation) @ quaternion_to_matrix(gaussians.quats)
    torch.testing.assert_close(quaternion_to_matrix(moved.quats), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(moved.quats.norm(dim=-1), torch.ones(40))
    assert torch.equal(moved.sh[:, 0], gaussians.sh[:, 0])
    assert not torch.isclose(moved.sh[:, 1:4], gaussians.sh[:, 1:4], atol=1e-3).all()
    assert torch.equal(moved.log_scales, gaussians.log_scales)
    assert torch.equal(moved.opacity_logits, gaussians.opacity_logits)


def test_translation_alone_changes_no_bit_of_orientation_or_colour(gaussians: Gaussians) -> None:
    identity = torch.tensor((1.0, 0.0, 0.0, 0.0)).expand(40, 4)
    moved = move(gaussians, replace(motion_of(40), rotation=identity))
    assert torch.equal(moved.quats, gaussians.quats)
    assert torch.equal(moved.sh, gaussians.sh)


def test_the_sign_of_a_quaternion_does_not_matter(gaussians: Gaussians) -> None:
    motion = motion_of(40)
    one = move(gaussians, motion)
    other = move(replace(gaussians, quats=-gaussians.quats), replace(motion, rotation=-motion.rotation))
    torch.testing.assert_close(quaternion_to_matrix(one.quats), quaternion_to_matrix(other.quats))
    torch.testing.assert_close(one.sh, other.sh, atol=1e-6, rtol=0)


def test_unrotated_gaussians_give_no_nan(gaussians: Gaussians) -> None:
    plain = replace(gaussians, quats=torch.tensor((1.0, 0.0, 0.0, 0.0)).repeat(40, 1))
    for tensor in move(plain, motion_of(40)).tensors().values():
        assert torch.isfinite(tensor).all()


def test_the_input_is_left_alone(gaussians: Gaussians) -> None:
    before = {name: tensor.clone() for name, tensor in gaussians.tensors().items()}
    move(gaussians, motion_of(40))
    assert all(torch.equal(before[name], tensor) for name, tensor in gaussians.tensors().items())


def test_a_motion_of_another_scene_is_refused(gaussians: Gaussians) -> None:
    with pytest.raises(ShapeError, match="39"):
        move(gaussians, motion_of(39))


@pytest.mark.cuda
@pytest.mark.parametrize("degree", [0, 1, 3])
def test_the_kernel_moves_as_the_selections_do(degree: int, device: torch.device, make_gaussians: Callable[..., Gaussians]) -> None:
    from trackersplat.motion import apply_triton as fused
    from trackersplat.motion.sh_rotation import sample_tables

    gaussians = make_gaussians(np.random.default_rng(1).normal(size=(100, 3)), degree=degree)
    gaussians = replace(gaussians, quats=gaussians.quats * 3.7)
    kept = torch.arange(100) % 3 == 0
    kept[32:64] = True  # a program in which nothing turns
    motion = motion_of(100, kept)
    motion.rotation[70:75] = torch.tensor((1.0, 0.0, 0.0, 0.0))
    there = Motion(**{name: value.to(device) if isinstance(value, torch.Tensor) else value for name, value in vars(motion).items()})
    expected, found = move(gaussians, motion), fused.move(gaussians.to(device), there, *sample_tables(device))
    unturned = kept | (motion.rotation[:, 1:] == 0).all(-1)
    for name, tensor in expected.tensors().items():
        got = found.tensors()[name].cpu()
        torch.testing.assert_close(got, tensor, rtol=1e-5, atol=2e-6, msg=lambda text, name=name: f"{name}: {text}")
        same = kept if name == "means" else unturned
        assert torch.equal(got[same], tensor[same])
